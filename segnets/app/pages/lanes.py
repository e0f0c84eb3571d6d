"""The timeline of the Runs page: which trials, in which order, and what each lane shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from segnets.app.records import Trial
from segnets.app.timeline import Attempt, Life, status_now

LANES = 12
"""Trials on one page of the timeline; only their logs are read."""
MOST_DOTS = 40
"""Dots of one lane: a live tick of 12 lanes is 9 kB, or 17 with three attempts in each."""
WINDOWS_S = {"2h": 2 * 3600.0, "24h": 24 * 3600.0, "7d": 7 * 24 * 3600.0, "all": float("inf")}
_TROUBLE = ("silent", "failed", "diverged", "running", "stopped", "paused", "done", "queued")
_TONES = {
    "done": "good",
    "running": "live",
    "open": "live",
    "silent": "warn",
    "failed": "bad",
    "diverged": "bad",
}


def in_window(trials: Sequence[Trial], window: str, now: float) -> list[Trial]:
    """The trials that moved in the last so many seconds, those to look at first, then the newest."""
    since = now - WINDOWS_S[window]
    moved = [t for t in trials if t.time >= since or t.status in {"running", "silent", "queued"}]
    return sorted(
        moved,
        key=lambda t: (
            _TROUBLE.index(t.status),
            not (t.status == "done" and t.restarts),  # among the done ones, those that died once
            -t.time,
            t.id,
        ),
    )


def span(
    trials: Sequence[Trial], lives: Mapping[str, Life], window: str, now: float
) -> tuple[float, float]:
    """From when to when the lanes reach: no longer than the window, no longer than what there is."""
    starts = [began_of(trial, lives.get(trial.id)) for trial in trials]
    known = [start for start in starts if start]
    first = max(min(known, default=now - 3600), now - WINDOWS_S[window])
    is_live = any(trial.status in {"running", "silent"} for trial in trials)
    ends = [trial.time for trial in trials if trial.time]
    # a quiet store is not drawn as a small heap at the left of an empty week
    last = now if is_live or not ends or now - max(ends) < 0.3 * (now - first) else max(ends)
    last = min(
        max(last, 0.0), now + 86_400
    )  # a clock that is far ahead must not make an endless axis
    first = min(max(first, 0.0), last)
    return first, max(last, first + 60)


def began_of(trial: Trial, life: Life | None) -> float:
    """When the first attempt claimed it; from its summary as long as the log is not read; 0: never."""
    if life is not None and life.attempts:
        return life.attempts[0].began
    return trial.time - (trial.seconds or 0.0) if trial.time else 0.0


def lane(trial: Trial, life: Life | None, now: float) -> dict[str, Any]:
    """One lane: bars with dots, gaps, marks at their ends, and a text where there is nothing."""
    digits = trial.id.rsplit("-", 1)[-1][:4]
    base = {"id": trial.id, "name": trial.model or trial.id, "status": trial.status}
    if life is None or not life.attempts:
        start = began_of(trial, None)
        text = "queued: nobody has claimed it yet" if trial.status == "queued" else ""
        bars = [{"from": start, "to": trial.time, "tone": "faint", "dots": [], "title": ""}]
        return base | {
            "sub": f"{digits} · {trial.status}",
            "text": text,
            "bars": bars if start else [],
            "gaps": [],
            "marks": [],
        }
    status = status_now(trial.status, life)
    bars, gaps, marks = [], [], []
    for attempt in life.attempts:
        is_last = attempt is life.attempts[-1]
        word = status if is_last and attempt.end == "open" else attempt.end
        end = now if is_last and word == "running" else attempt.last
        bars.append(
            {
                "from": attempt.began,
                "to": end,
                "tone": _TONES.get(word, "idle"),
                "dots": _dots(attempt, max(MOST_DOTS // len(life.attempts), 4)),
                "title": _title(attempt, word),
            }
        )
        if word in {"lost", "silent", "failed", "diverged", "stopped"}:
            marks.append({"at": end, "kind": "stop" if word == "stopped" else _tone_of(word)})
    for before, after, restart in zip(
        life.attempts, life.attempts[1:], life.restarts, strict=False
    ):
        tone = "bad" if any(restart.lost) else "idle" if restart.after == "stopped" else "warn"
        gaps.append(
            {
                "from": before.last,
                "to": after.began,
                "tone": tone,
                "text": resumed_text(restart.resumed, restart.saved),
            }
        )
    count = len(life.attempts)
    progress = f"{trial.epoch} of {trial.epochs}" if trial.epochs else status
    sub = f"{digits} · {progress}" + (f" · {count} attempts" if count > 1 else "")
    return base | {
        "status": status,
        "sub": sub,
        "text": "",
        "bars": bars,
        "gaps": gaps,
        "marks": marks,
    }


def resumed_text(resumed: tuple[int, int] | None, saved: tuple[int, int]) -> str:
    """How an attempt went on, in few words."""
    if resumed is None:
        return f"claimed at {place_text(saved)}" if saved != (0, 0) else "claimed again"
    if resumed == (0, 0):
        return "began again" if saved != (0, 0) else "began: nothing was saved yet"
    if resumed == saved:
        return f"resumed from {place_text(resumed)}"
    return f"went back to {place_text(resumed)}"


def place_text(position: tuple[int, int]) -> str:
    """A position as people say it."""
    epoch, step = position
    return f"epoch {epoch}" if epoch else f"step {step}"


def _tone_of(word: str) -> str:
    return "bad" if word in {"failed", "diverged"} else "warn"


def _title(attempt: Attempt, word: str) -> str:
    words = {"open": "running", "lost": "killed, or its machine or store was lost"}
    reached = attempt.reached
    return (
        f"attempt {attempt.number}: {words.get(word, word)}; "
        f"{len(attempt.commits)} saves, up to epoch {reached[0]}, step {reached[1]}"
    )


def _dots(attempt: Attempt, most: int) -> list[int]:
    times = [round(entry.time) for entry in attempt.commits if entry.files]
    stride = max(-(-len(times) // most), 1)
    return times[::-1][::stride][::-1]  # the newest is always among them

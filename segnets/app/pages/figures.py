"""The five figures of a grid, from the trials' views alone."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from segnets.app.records import STATUSES, Trial

Figure = dict[str, Any]


def grid_figures(trials: Sequence[Trial]) -> list[Figure]:
    """Best, counts by status, time to finish, whether time helps, restarts."""
    return [
        _best(trials),
        _counts(trials),
        _finish(trials),
        _time_helps(trials),
        _restarts(trials),
    ]


def _figure(label: str, value: str, *notes: tuple[str, str], tone: str = "") -> Figure:
    return {"label": label, "value": value, "tone": tone, "notes": [list(note) for note in notes]}


def _best(trials: Sequence[Trial]) -> Figure:
    scored = sorted((t for t in trials if t.miou is not None), key=lambda t: -(t.miou or 0.0))
    if not scored:
        return _figure("Best val mIoU", "–", ("no epoch is scored yet", ""))
    best = scored[0]
    notes = [(best.id.rsplit("-", 1)[-1][:4], "")]
    if len(scored) > 1:
        ahead = (best.miou or 0.0) - (scored[1].miou or 0.0)
        notes.append((f"+{ahead:.3f} over the next", "good"))
    return _figure("Best val mIoU", f"{best.miou:.3f}", *notes)


def _counts(trials: Sequence[Trial]) -> Figure:
    counts = Counter(trial.status for trial in trials)
    tones = {"failed": "bad", "diverged": "bad", "silent": "warn", "stopped": "warn"}
    order = ("done", *(status for status in STATUSES if status != "done"))
    notes = [(f"{counts[s]} {s}", tones.get(s, "")) for s in order if counts[s]]
    return _figure("Trials", str(len(trials)), *notes)


def seconds_left(trial: Trial) -> float | None:
    """Seconds until a trial has all its epochs, at its own speed so far; None: unknown."""
    if not trial.seconds or not trial.epoch:
        return None
    return max(trial.epochs - trial.epoch, 0) * trial.seconds / trial.epoch


def _finish(trials: Sequence[Trial]) -> Figure:
    running = [t for t in trials if t.status == "running"]
    queued = [t for t in trials if t.status == "queued"]
    speed = sum(t.clips_s or 0.0 for t in running)
    if not running:
        spent = sum(t.seconds or 0.0 for t in trials)
        label, note = "Training time", "of all trials"
        if queued:
            note = f"so far · {len(queued)} queued, none running"
        return _figure(label, duration(spent), (note, ""))
    left = [seconds_left(t) for t in running]
    known = [seconds for seconds in left if seconds is not None]
    if not known:
        return _figure("Finishes in", "–", ("the first epoch is on its way", ""))
    # what is queued runs on the slots of what runs now, each as long as those take on the whole
    whole = [(t.seconds or 0.0) / t.epoch * t.epochs for t in running if t.seconds and t.epoch]
    waiting = len(queued) * (sum(whole) / len(whole) if whole else 0.0) / len(running)
    notes = [(f"at {speed:.1f} clips/s", "")] if speed else []
    return _figure("Finishes in", duration(max(known) + waiting), *notes)


def _time_helps(trials: Sequence[Trial]) -> Figure:
    with_past = [
        t for t in trials if t.miou is not None and t.settings.get("temporal", "none") != "none"
    ]
    single = [t for t in trials if t.miou is not None and t.settings.get("temporal") == "none"]
    if not with_past or not single:
        return _figure("Time helps?", "–", ("no single-frame trial beside", ""))
    best = max(with_past, key=lambda t: t.miou or 0.0)
    gain = (best.miou or 0.0) - max(t.miou or 0.0 for t in single)
    name = str(best.settings.get("temporal"))[:20]
    tone = "good" if gain > 0 else "bad"
    return _figure(
        "Time helps?", f"{gain:+.3f}", (f"{name} over the best single frame", ""), tone=tone
    )


def _restarts(trials: Sequence[Trial]) -> Figure:
    restarts = sum(trial.restarts for trial in trials)
    if not restarts:
        return _figure("Restarts", "0", ("no trial was started again", ""), tone="good")
    again = sum(max(trial.restarts - trial.resumed, 0) for trial in trials)
    if again:
        text = f"{again} before a first checkpoint, the rest resumed"
        return _figure("Restarts", str(restarts), (text, ""), tone="warn")
    return _figure("Restarts", str(restarts), ("all resumed from a checkpoint", "good"))


def duration(seconds: float) -> str:
    """Seconds as people write them: 42 s, 12 min, 3 h 05."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d}"

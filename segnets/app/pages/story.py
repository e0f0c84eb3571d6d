"""One trial's log in words: what happened, each entry as a row, and the command that goes on."""

import shlex
from typing import Any

from segnets.app.pages.figures import duration
from segnets.app.pages.lanes import place_text, resumed_text
from segnets.app.records import Trial, number, text
from segnets.app.timeline import Attempt, Life, Restart
from segnets.config.ids import flat_settings
from segnets.config.train import TrainConfig
from segnets.store.entry import Entry

MOST_ROWS = 120

Said = dict[str, Any]


def story(life: Life, status: str = "") -> list[Said]:
    """Sentences {time, text, tone}, oldest first; saves without news are told together."""
    said: list[Said] = []
    restarts = {restart.attempt: restart for restart in life.restarts}
    for attempt in life.attempts:
        restart = restarts.get(attempt.number)
        said.append(_begin(attempt, restart))
        said += _saves(attempt)
        if attempt.end == "lost":
            said.append(
                {
                    "time": attempt.last,
                    "text": f"attempt {attempt.number} fell silent after "
                    f"{_saved(attempt.reached)}: killed, or its machine or store was lost",
                    "tone": "warn",
                }
            )
    if status == "silent" and life.attempts:
        words = "nobody has been seen alive since"
        said.append({"time": life.attempts[-1].last, "text": words, "tone": "warn"})
    torn = life.torn
    if torn:
        what = "an entry cannot be read" if torn == 1 else f"{torn} entries cannot be read"
        said.append(
            {
                "time": None,
                "text": f"{what}: its seal does not fit. It does not count; the newest whole one does.",
                "tone": "bad",
            }
        )
    return said


def _saved(position: tuple[int, int]) -> str:
    return f"{place_text(position)} was saved" if position[1] else "its claim"


def _begin(attempt: Attempt, restart: Restart | None) -> Said:
    if restart is None:
        return {"time": attempt.began, "text": "attempt 1 begins", "tone": ""}
    what = resumed_text(restart.resumed, restart.saved)
    parts = [f"attempt {attempt.number}, {duration(restart.away_s)} later: {what}"]
    if any(restart.lost):
        epochs, steps = restart.lost
        parts.append(f"; {epochs} epochs" if epochs else f"; {steps} steps")
        parts.append(" that were saved are gone and done again")
    elif restart.after == "stopped":
        parts.append("; nothing is done again")
    elif restart.again is not None:
        parts.append(f"; at most {restart.again} steps are done again")
    tone = "bad" if any(restart.lost) else ""
    return {"time": attempt.began, "text": "".join(parts), "tone": tone}


def _saves(attempt: Attempt) -> list[Said]:
    said: list[Said] = []
    run: list[Entry] = []
    begun = (attempt.resumed or (0, 0))[0]

    def tell() -> None:
        if not run:
            return
        first, last = run[0], run[-1]
        epochs = sorted({entry.epoch for entry in run if entry.epoch})
        what = f"{len(run)} saves up to {place_text((last.epoch, last.step))}"
        if len(run) == 1:
            what = f"{place_text((last.epoch, last.step))} saved"
        elif epochs and len(epochs) == len(run) and epochs[0] > begun:  # none in mid-epoch
            what = f"epochs {epochs[0]} to {epochs[-1]} saved"
        said.append({"time": first.time if len(run) == 1 else last.time, "text": what, "tone": ""})
        run.clear()

    for entry in attempt.commits:
        for note in entry.notes:
            if note.kind != "resumed":  # the line of the attempt says it
                tell()
                tone = "bad" if note.kind == "skipped" else "warn"
                words = f"skipped {note.text}" if note.kind == "skipped" else note.text
                said.append({"time": note.time, "text": text(words), "tone": tone})
        if entry.event == "checkpoint":
            run.append(entry)
            continue
        tell()
        said.append({"time": entry.time, **_ending(entry)})
    tell()
    return said


def _ending(entry: Entry) -> dict[str, str]:
    where = place_text((entry.epoch, entry.step))
    if entry.event == "stopped" and entry.metrics.get("reason") == "paused":
        return {"text": f"paused by a search, {where} saved", "tone": ""}
    if entry.event == "stopped":
        return {"text": f"stopped by a signal, {where} saved", "tone": "warn"}
    if entry.event == "failed":
        sentence = text(entry.metrics.get("sentence")) or "it does not say why"
        word = "diverged" if entry.metrics.get("reason") == "diverged" else "failed"
        return {"text": f"{word}: {sentence}", "tone": "bad"}
    digest = text(entry.metrics.get("weights_sha256"))[:8]
    best = number(entry.metrics.get("val_miou"))
    score = "" if best is None else f", best val mIoU {best:.3f}"
    return {"text": f"done: {where}{score}, weights_sha256 {digest}…", "tone": "good"}


def log_rows(life: Life) -> list[dict[str, Any]]:
    """The entries of the log, the newest first, at most 120."""
    kept = life.kept
    resumed = {attempt.resumed for attempt in life.attempts[1:] if attempt.resumed}
    rows = []
    for slot, entry in life.lines[:MOST_ROWS]:
        if entry is None:
            rows.append({"seq": slot.seq, "event": "torn", "sealed": False})
            continue
        state = next((file for file in entry.files if file.name == "state.pt"), None)
        position = (entry.epoch, entry.step)
        tags = list(kept[position].roles) if state and position in kept else []
        if entry.is_commit and position in resumed and entry.event != "failed":
            tags.append("resumed from")
        rows.append(
            {
                "seq": slot.seq,
                "event": entry.event,
                "epoch": entry.epoch,
                "step": entry.step,
                "attempt": entry.attempt,
                "writer": entry.writer[:8],
                "time": entry.time,
                "sealed": True,
                "miou": number(entry.metrics.get("val_miou_last")) if entry.epoch else None,
                "tags": tags,
                "sha": state.sha256[:8] if state else "",
                "notes": [text(note.text) for note in entry.notes],
            }
        )
    return rows


def advice(trial: Trial, status: str, life: Life | None) -> tuple[str, str]:
    """What the state means and what to do next: (sentence, tone)."""
    head = life.head if life else None
    where = place_text((head.epoch, head.step)) if head and head.step else "the start"
    if status == "done":
        return "It is complete. The same command again finds it done and trains nothing.", "good"
    if status == "running":
        return "Somebody is training it. A second command would wait and stop with exit code 5.", ""
    if status == "queued":
        return "Nobody has claimed it yet. The grid's command starts it, or this one:", ""
    if status == "silent":
        return (
            f"Nobody has been seen alive for a minute. This command goes on from {where}:",
            "warn",
        )
    if status == "paused":
        return f"A search has paused it and may go on with it. Alone, it goes on from {where}:", ""
    if status == "stopped":
        return f"It was stopped after saving. This command goes on from {where}:", "warn"
    if status == "diverged":
        return (
            f"{trial.error or 'The loss was not finite.'} The same settings diverge again.",
            "bad",
        )
    return f"{trial.error or 'It does not say why.'} Then this command goes on from {where}:", "bad"


def train_command(trial: Trial, store: str) -> str:
    """The command of this trial: settings that differ from the defaults, each one quoted."""
    defaults = flat_settings(TrainConfig())
    parts, settings = ["python", "flows/train.py"], {"dataset": trial.dataset, **trial.settings}
    for name, default in defaults.items():
        value = settings.get(name, default)
        if value in {default, None, ""}:
            continue
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            parts.append(flag if value else flag.replace("--", "--no-"))
        else:
            parts += [flag, str(value)]
    return shlex.join([*parts, "--store", store])

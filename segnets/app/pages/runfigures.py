"""The five figures of the Runs page: was anything lost, and what did not losing it cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from segnets.app.pages.figures import duration
from segnets.app.records import Trial
from segnets.app.timeline import Life

_NEED_A_LOOK = {"silent": "warn", "failed": "bad", "diverged": "bad", "stopped": "warn"}

Figure = dict[str, Any]


def run_figures(trials: Sequence[Trial], lives: Mapping[str, Life]) -> list[Figure]:
    """Epochs lost, restarts, their time, the cost of saving, who needs a look.

    Over the trials whose log has been read, but for the last one, which all summaries tell.
    """
    read = [lives[trial.id] for trial in trials if trial.id in lives]
    seconds = sum(trial.seconds or 0.0 for trial in trials if trial.id in lives)
    return [
        _lost(read),
        _restarts(read),
        _time_lost(read, seconds),
        _saving(read, seconds),
        _look_at(trials),
    ]


def _figure(label: str, value: str, *notes: tuple[str, str], tone: str = "") -> Figure:
    return {"label": label, "value": value, "tone": tone, "notes": [list(note) for note in notes]}


def _lost(lives: Sequence[Life]) -> Figure:
    if not lives:
        return _figure("Epochs lost", "–", ("no log has been read", ""))
    epochs = sum(restart.lost[0] for life in lives for restart in life.restarts)
    steps = sum(restart.lost[1] for life in lives for restart in life.restarts)
    torn = sum(life.torn for life in lives)
    finished = sum(life.head.epoch for life in lives if life.head)
    notes = [(f"of {finished} finished and saved", "")]
    if steps:
        notes.append((f"{steps} saved steps gone, done again", "bad"))
    if torn:
        notes.append((f"{torn} torn entries", "bad"))
    return _figure("Epochs lost", str(epochs), *notes, tone="bad" if steps or torn else "good")


def _restarts(lives: Sequence[Life]) -> Figure:
    told = [restart for life in lives for restart in life.restarts]
    if not told:
        return _figure("Restarts", "0", ("no trial was started again", ""))
    trials = sum(bool(life.restarts) for life in lives)
    notes = [(f"in {trials} trial{'s' if trials > 1 else ''}", "")]
    back = sum(any(restart.lost) for restart in told)
    empty = sum(restart.saved == (0, 0) for restart in told)
    if back:
        notes.append((f"{back} went back further than the last checkpoint", "bad"))
    elif empty == len(told):
        notes.append(("before a first checkpoint", "warn"))
    elif empty:
        notes.append((f"{empty} before a first checkpoint, the rest resumed", "warn"))
    else:
        notes.append(("all from the last checkpoint", "good"))
    return _figure("Restarts", str(len(told)), *notes)


def _time_lost(lives: Sequence[Life], seconds: float) -> Figure:
    # a stop is no loss: its last step was saved, and who stopped it chose when to go on
    died = [r for life in lives for r in life.restarts if r.after != "stopped"]
    away = sum(restart.away_s for restart in died)
    if not died:
        return _figure("Time lost to restarts", "0 s", ("nothing was done twice", "good"))
    again = [restart.again for restart in died]
    steps = f"at most {sum(n or 0 for n in again)}{'+' if None in again else ''} steps done again"
    notes = [(steps, "")]
    if seconds:
        notes.insert(0, (f"{100 * away / seconds:.1f} % of {duration(seconds)} of training", ""))
    return _figure("Time lost to restarts", duration(away), *notes, tone="warn")


def _saving(lives: Sequence[Life], seconds: float) -> Figure:
    sizes = [size for life in lives if (size := checkpoint_bytes(life))]
    if not sizes or not seconds:
        return _figure("Checkpoint cost", "–", ("no checkpoint yet", ""))
    share = 100 * sum(life.seconds_saving for life in lives) / seconds
    each = f"{median(sizes) / 1e6:.1f} MB each" if median(sizes) < 1e7 else ""
    each = each or f"{median(sizes) / 1e6:.0f} MB each"
    return _figure("Checkpoint cost", f"{share:.1f}%", (f"of training time · {each}", ""))


def checkpoint_bytes(life: Life) -> int:
    """Bytes that the newest save has put; 0 before any."""
    for _, entry in life.lines:
        if entry is not None and entry.files:
            return sum(file.size for file in entry.files)
    return 0


def _look_at(trials: Sequence[Trial]) -> Figure:
    counts = Counter(trial.status for trial in trials)
    notes = [
        (f"{counts[word]} {word}", tone) for word, tone in _NEED_A_LOOK.items() if counts[word]
    ]
    number = sum(counts[word] for word in _NEED_A_LOOK)
    worst = "bad" if any(tone == "bad" for _, tone in notes) else "warn" if notes else "good"
    going = f"{counts['running']} running" if counts["running"] else f"{counts['done']} done"
    return _figure("Need a look", str(number), *(notes or [(going, "")]), tone=worst)

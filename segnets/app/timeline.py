"""What the log of a trial says of its life: attempts, restarts, what was done again, what was lost.

No Panel inside. An attempt is a claim and what its writer committed after it. Nobody writes down a
death, so an attempt that ends in a checkpoint and has a successor was lost somewhere between its last
entry and the next claim: what it had done since is done again, and only bounds of that are known.
"""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from segnets.app.read import Reader
from segnets.app.records import number
from segnets.errors import NotFound
from segnets.store.entry import Entry, Live, read_file
from segnets.store.history import list_slots, read_entry
from segnets.store.keys import Slot
from segnets.store.tables import from_parquet

_RESUMED = re.compile(r"epoch (\d+) \(step (\d+)")  # the note of a process that has loaded
_LINE_BYTES = 6_000  # of an entry in memory

Position = tuple[int, int]
"""(finished epochs, steps since the start of the trial)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One claim and the commits of its writer, oldest first.

    `saved`: what the store held when it came; `resumed`: what it loaded, None if it never said.
    `end`: done, stopped, failed or diverged by its own word; lost: another one came; open: the last.
    """

    number: int
    writer: str
    began: float
    saved: Position
    resumed: Position | None
    commits: tuple[Entry, ...]
    end: str

    @property
    def last(self) -> float:
        """Time of its last sign in the log."""
        return self.commits[-1].time if self.commits else self.began

    @property
    def reached(self) -> Position:
        """What was saved when it ended."""
        last = self.commits[-1] if self.commits else None
        return self.saved if last is None else (last.epoch, last.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """From one attempt to the next. `lost` is what was saved and is gone: (0, 0) as promised.

    `away_s`: from the last entry before to the claim; `again`: at most so many steps were done again,
    None if no attempt has told its speed.
    """

    attempt: int
    after: str
    saved: Position
    resumed: Position | None
    lost: Position
    away_s: float
    again: int | None


@dataclass(frozen=True, slots=True)
class Life:
    """A trial's log as it was read, newest slot first; `epochs` are the rows of its table."""

    lines: tuple[tuple[Slot, Entry | None], ...] = ()
    epochs: Sequence[dict[str, Any]] = ()
    attempts: tuple[Attempt, ...] = field(init=False)
    restarts: tuple[Restart, ...] = field(init=False)

    def __post_init__(self) -> None:
        entries = [entry for _, entry in self.lines if entry is not None]
        object.__setattr__(self, "attempts", attempts_of(entries))
        object.__setattr__(self, "restarts", restarts_of(self.attempts))

    @property
    def head(self) -> Entry | None:
        """The commit that says what the trial is."""
        commits = [entry for _, entry in self.lines if entry is not None and entry.is_commit]
        return max(commits, key=lambda entry: entry.rank, default=None)

    @property
    def torn(self) -> int:
        """Entries that cannot be read."""
        return sum(entry is None for _, entry in self.lines)

    @property
    def kept(self) -> dict[Position, Live]:
        """The checkpoints that the head's inventory names."""
        head = self.head
        return {(one.epoch, one.step): one for one in head.live} if head else {}

    @property
    def seconds_saving(self) -> float:
        """For how long saving has held up training."""
        return sum(number(row.get("seconds_saving")) or 0.0 for row in self.epochs)


def read_life(reader: Reader, trial: str) -> Life:
    """The life of a trial: one listing, and a read of each entry that is not known yet."""
    slots = reader.ask(("slots", trial), lambda store: list_slots(store, trial), lambda _: 0)
    lines = tuple((slot, _read(reader, trial, slot)) for slot in slots)
    head = Life(lines).head
    try:
        table = head.file("epochs.parquet") if head else None
    except NotFound:
        table = None
    if table is None:
        return Life(lines)
    rows = reader.ask(
        ("epochs", table.key),
        lambda store: from_parquet(read_file(store, table)).to_pylist(),
        lambda rows: 800 * len(rows),
    )
    return Life(lines, rows)


def _read(reader: Reader, trial: str, slot: Slot) -> Entry | None:
    entry = reader.ask(
        ("entry", slot.key),
        lambda store: read_entry(store, trial, slot),
        lambda entry: 0 if entry is None else _LINE_BYTES,  # a torn one is tried again
    )
    # a time that no clock can show would be an endless axis; whoever sealed it, it is not believed
    return entry if entry is not None and 0 <= entry.time < 2**32 else None


def attempts_of(entries: Iterable[Entry]) -> tuple[Attempt, ...]:
    """Attempts in the order of their claims."""
    by_writer: dict[tuple[int, str], list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.rank[:2], entry.seq)):
        by_writer.setdefault((entry.attempt, entry.writer), []).append(entry)
    found = []
    for index, ((number_, writer), own) in enumerate(by_writer.items()):
        claims = [entry for entry in own if not entry.is_commit]
        commits = tuple(entry for entry in own if entry.is_commit)
        before = claims[-1] if claims else own[0]
        saved = (before.epoch, before.step) if claims else (0, 0)
        found.append(
            Attempt(
                number=number_,
                writer=writer,
                began=before.time,
                saved=saved,
                resumed=_resumed(commits),
                commits=commits,
                end=_end(commits, is_last=index == len(by_writer) - 1),
            )
        )
    return tuple(found)


def _resumed(commits: Sequence[Entry]) -> Position | None:
    """What the attempt loaded: its note says so; one that commits without a note began again."""
    for entry in commits[:1]:
        for note in entry.notes:
            match = _RESUMED.search(note.text) if note.kind == "resumed" else None
            if match:
                return int(match[1]), int(match[2])
        return 0, 0
    return None


def _end(commits: Sequence[Entry], *, is_last: bool) -> str:
    event = commits[-1].event if commits else "claim"
    if event == "failed":
        return "diverged" if commits[-1].metrics.get("reason") == "diverged" else "failed"
    if event in {"done", "stopped"}:
        return event
    return "open" if is_last else "lost"


def restarts_of(attempts: Sequence[Attempt]) -> tuple[Restart, ...]:
    """What happened between each attempt and the next."""
    speed, epoch_steps = _speed(attempts), _steps_per_epoch(attempts)
    found = []
    for before, after in itertools.pairwise(attempts):
        away_s = max(after.began - before.last, 0.0)
        lost = (0, 0)
        if after.resumed is not None:
            lost = (
                max(after.saved[0] - after.resumed[0], 0),
                max(after.saved[1] - after.resumed[1], 0),
            )
        again: int | None = 0
        if before.end != "stopped":  # who stops by a signal has saved its last step
            again = None if speed is None else math.ceil(speed * away_s)
            if again is not None and epoch_steps:
                # one save is in flight while the next epoch runs: two epochs are the most
                again = min(again, 2 * epoch_steps)
        found.append(
            Restart(
                attempt=after.number,
                after=before.end,
                saved=after.saved,
                resumed=after.resumed,
                lost=lost,
                away_s=away_s,
                again=again,
            )
        )
    return tuple(found)


def _speed(attempts: Sequence[Attempt]) -> float | None:
    """Steps a second over all that was committed, saving and scoring included."""
    told = [one for one in attempts if one.commits]
    steps = sum(max(one.reached[1] - (one.resumed or (0, 0))[1], 0) for one in told)
    seconds = sum(one.last - one.began for one in told)
    return steps / seconds if steps and seconds > 0 else None


def _steps_per_epoch(attempts: Sequence[Attempt]) -> int:
    """Steps of an epoch: at an epoch's end the quotient is exact, in between it is more."""
    quotients = [e.step / e.epoch for one in attempts for e in one.commits if e.epoch]
    return round(min(quotients, default=0.0))


def status_now(status: str, life: Life) -> str:
    """The view's word, unless the log knows better: a claim without a commit has no view yet."""
    return "running" if status == "queued" and life.attempts else status

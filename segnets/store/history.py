"""Reading a trial's log: slots, torn entries, the head.

The head is the commit with the highest (attempt, writer, seq); a claim never moves it. A torn entry
keeps its slot and is reported. Nobody decides by `prev` or by a clock.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from segnets.errors import ConfigError, Corrupt, NotFound
from segnets.store.base import Store
from segnets.store.entry import READS, Entry, from_bytes
from segnets.store.keys import Slot, log_prefix, parse_slot

logger = logging.getLogger("segnets.store")


@dataclass(frozen=True, slots=True)
class Survey:
    """What one reading of a log found."""

    slots: tuple[Slot, ...]
    head: Entry | None
    newest: Entry | None
    attempt: int
    torn: tuple[str, ...]

    @property
    def top(self) -> int:
        """The highest occupied slot, readable or not; -1 for an empty log."""
        return max((slot.seq for slot in self.slots), default=-1)


def read_head(store: Store, trial: str, config_sha256: str | None = None) -> Entry | None:
    """The newest commit, or None before the first; ConfigError if the id is of another config."""
    head = survey(store, trial).head
    check_config(trial, head, config_sha256)
    return head


def read_env(store: Store, trial: str) -> dict[str, Any] | None:
    """The environment sealed by the newest valid entry, claims included; None before any."""
    newest = survey(store, trial).newest
    return None if newest is None else dict(newest.env)


def read_history(store: Store, trial: str) -> list[Entry]:
    """Every valid entry, oldest first; claims and those of processes that lost are among them."""
    entries = [entry for _, entry in read_slots(store, trial) if entry is not None]
    return sorted(entries, key=lambda entry: (entry.seq, entry.rank))


def read_slots(store: Store, trial: str) -> list[tuple[Slot, Entry | None]]:
    """Every slot, the newest first, with its entry; None for a torn one."""
    return [(slot, read_entry(store, trial, slot)) for slot in list_slots(store, trial)]


def survey(store: Store, trial: str, slots: Sequence[Slot] | None = None) -> Survey:
    """List a log (unless its slots are given) and read as little of it as tells its head.

    Where every name says its attempt and writer, entries are read from the highest on down to the
    first commit. Where none does, slots exclude each other, so attempts rise with them, and the newest
    are read down to the first commit. A log that has both kinds is read whole.
    """
    slots = list_slots(store, trial) if slots is None else slots
    named = [slot for slot in slots if slot.attempt is not None]
    if named and len(named) < len(slots):
        order, stop_early = list(slots), False
    else:
        order = sorted(slots, key=_rank_of, reverse=True)
        stop_early = True
    head: Entry | None = None
    newest: Entry | None = None
    highest = max((slot.attempt or 0 for slot in slots), default=0)
    torn = []
    for slot in order:
        entry = read_entry(store, trial, slot)
        if entry is None:
            torn.append(slot.key)
            continue
        highest = max(highest, entry.attempt)
        if newest is None or entry.rank > newest.rank:
            newest = entry
        if entry.is_commit and (head is None or entry.rank > head.rank):
            head = entry
            if stop_early:
                break
    if torn:
        logger.warning("%s has %d unreadable entries: %s", trial, len(torn), ", ".join(torn))
    return Survey(tuple(slots), head, newest, highest + len(torn), tuple(torn))


def list_slots(store: Store, trial: str) -> list[Slot]:
    """All keys of a log, the newest first."""
    listed = store.list(log_prefix("trial", trial))
    return [slot for one in listed if (slot := parse_slot(one.key)) is not None]


def _rank_of(slot: Slot) -> tuple[int, str, int]:
    return slot.attempt or 0, slot.writer or "", slot.seq


def read_entry(store: Store, trial: str, slot: Slot) -> Entry | None:
    """The entry of a slot, or None if three reads give no good seal: torn, it keeps its slot."""
    for _ in range(READS):  # one read that was damaged on its way must not hide an epoch
        try:
            entry = from_bytes(store.get(slot.key))
        except (Corrupt, NotFound):
            continue
        named = (slot.attempt or entry.attempt, slot.writer or entry.writer, slot.seq)
        if (entry.kind, entry.id) == ("trial", trial) and entry.rank == named:
            return entry
    return None


def check_config(trial: str, entry: Entry | None, config_sha256: str | None) -> None:
    """ConfigError if an entry is of another config than this one (None: of any)."""
    if entry is not None and config_sha256 not in {None, entry.config_sha256}:
        raise ConfigError(
            "the store holds a trial of this id with other settings",
            trial,
            "Change a setting (--seed for example), or use another --store.",
        )

"""The log of a trial: append, look, claim; the one commit point.

The guarantee, on every kind of store: an epoch that was said to be saved is in the history of every
later head; of several processes at most one can say so, the others stop with TakenOver at their next
commit. It rests on three rules: a claim is put and then everything is read again; an entry is put and
then everything above it is looked at, and only then is it said; and a claim never moves the head. No
clock is asked. `tests/unit/store/test_log.py` takes the rules one by one.
"""

import itertools
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from segnets.errors import (
    Conflict,
    Corrupt,
    NotFound,
    StoreError,
    TakenOver,
    Unavailable,
)
from segnets.store.base import Store
from segnets.store.beat import Beat, delete_other_beats, wait_until_still
from segnets.store.entry import (
    Entry,
    FileRef,
    Live,
    Note,
    digest_of,
    from_bytes,
    read_file,
    to_bytes,
)
from segnets.store.history import (
    Survey,
    check_config,
    list_slots,
    read_entry,
    read_env,
    read_head,
    read_history,
    survey,
)
from segnets.store.keys import (
    Slot,
    blob_key,
    blob_prefix,
    log_prefix,
    new_writer,
    parse_slot,
    slot_key,
)
from segnets.store.retry import at_most, jitter
from segnets.store.views import refresh_view, write_view

__all__ = [
    "Entry",
    "FileRef",
    "Live",
    "Note",
    "Survey",
    "TrialLog",
    "claim",
    "read_env",
    "read_file",
    "read_head",
    "read_history",
    "survey",
]

CLAIM_S = 120.0
"""How long a starter tries to get a slot that others keep taking."""
DELETE_S = 20.0
"""How long a commit waits to delete what it has dropped; the rest is left to gc."""

logger = logging.getLogger("segnets.store")


def claim(
    store: Store,
    trial: str,
    config_sha256: str,
    *,
    env: Mapping[str, Any],
    take_over: bool = False,
) -> "TrialLog":
    """Take the trial for this process and start its beat.

    A trial that is done is not claimed: its log comes back for reading, `head.event` says so. Raises
    TakenOver if another process trains it (seen by its beats, unless `take_over`) or wins the race,
    ConfigError if the id is of another config.
    """
    found = survey(store, trial)
    check_config(trial, found.newest, config_sha256)
    log = TrialLog(store, trial, config_sha256, env)
    done = found.head is not None and found.head.event == "done"
    if not done and not take_over:
        wait_until_still(store, trial)
    log._claim()  # noqa: SLF001  # the only way to a claimed log leads through here
    return log


class TrialLog:
    """A trial that this process has claimed. Made by `claim`; close it, or use it as a context.

    One thread at a time may commit; `put_file` may run beside it. It belongs to the process that made
    it: a fork must claim for itself.
    """

    def __init__(
        self, store: Store, trial: str, config_sha256: str, env: Mapping[str, Any]
    ) -> None:
        self.id = trial
        self.head: Entry | None = None
        self.attempt = 0
        self.writer = new_writer()
        self._store = store
        self._config_sha256 = config_sha256
        self._env = dict(env)
        self._pid = os.getpid()
        self._seq = -1
        self._counter = itertools.count()
        self._notes: list[Note] = []
        self._mine: set[str] = set()
        self._dead: set[str] = set()
        self._lock = threading.Lock()
        self._stuck: str | None = None
        self._beat: Beat | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def put_file(self, name: str, data: bytes) -> FileRef:
        """Put a blob of this attempt; it counts once a commit names it."""
        self._check_mine()
        sha256 = digest_of(data)
        key = blob_key("trial", self.id, self.attempt, self.writer, next(self._counter), sha256)
        self._store.put(key, data)
        return FileRef(name, key, sha256, len(data))

    def get_file(self, ref: FileRef) -> bytes:
        """The bytes of a file that the head names, verified.

        Raises NotFound or Corrupt, after which this log never names that key again: take the
        checkpoint before. A missing file may also mean that another process has the trial: TakenOver.
        """
        try:
            return read_file(self._store, ref)
        except (NotFound, Corrupt) as error:
            if isinstance(error, NotFound) and self.attempt:
                self._look()
            self._dead.add(ref.key)
            raise

    def note(self, kind: str, text: str) -> None:
        """Something that the next entry should tell."""
        self._notes.append(Note(time.time(), kind, text))

    def hurry(self, seconds: float) -> None:
        """Let nothing of this store wait longer than this from now on, also what waits already."""
        self._store.patience.hurry(seconds)

    def commit(
        self,
        event: str,
        *,
        epoch: int,
        step: int,
        files: Sequence[FileRef],
        live: Sequence[Live],
        metrics: Mapping[str, Any],
        view: Mapping[str, Any],
    ) -> Entry:
        """Append an entry, look, and only then return: now it may be said to be saved.

        Then writes the view and deletes the blobs that the inventory before named and this one does
        not. Raises TakenOver if another process has the trial. After Unavailable the outcome is
        unknown and this log takes no further entry: the next start finds out.
        """
        assert event in {"checkpoint", "stopped", "failed", "done"}, event
        self._check_mine()
        with self._lock:
            for wait in self._store.patience.take_waits():
                self.note("store", wait)
            entry = Entry(
                id=self.id,
                config_sha256=self._config_sha256,
                seq=self._seq + 1,
                attempt=self.attempt,
                writer=self.writer,
                event=event,
                prev="" if self.head is None else digest_of(to_bytes(self.head)),
                epoch=epoch,
                step=step,
                files=tuple(files),
                live=tuple(live),
                notes=tuple(self._notes),
                metrics=dict(metrics),
                env=self._env,
            )
            self._check_inventory(entry)
            told = len(self._notes)
            self._append(entry)
            try:
                self._look()
            except StoreError:  # a later look would not cover this slot again
                self._stuck = "its last entry could not be looked after"
                raise
            before = set() if self.head is None else self.head.live_keys()
            self.head = from_bytes(to_bytes(entry))
            del self._notes[:told]
            write_view(self._store, "trial", self.id, entry.seq, self.writer, view)
            self._drop(before - entry.live_keys())
            return self.head

    def refresh_view(self, view: Mapping[str, Any]) -> None:
        """Write the view of the head if only an older one is there; a failure is logged."""
        assert self.head is not None
        try:
            refresh_view(self._store, "trial", self.id, self.head.seq, self.writer, view)
        except StoreError as error:
            logger.info("the summary of %s was not written: %s", self.id, error)

    def close(self) -> None:
        """End the beat. Safe to repeat; commits nothing."""
        if self._beat is not None and self._pid == os.getpid():
            self._beat.close()

    def _claim(self) -> None:
        """Claim, list again, and once more above others' lower claims; only the last list counts."""
        until = time.monotonic() + CLAIM_S
        found = survey(self._store, self.id)
        while True:
            if found.head is not None and found.head.event == "done":
                self.head, self.attempt = found.head, 0
                return
            seq, self.attempt = found.top + 1, found.attempt + 1
            entry = Entry(
                id=self.id,
                config_sha256=self._config_sha256,
                seq=seq,
                attempt=self.attempt,
                writer=self.writer,
                event="claim",
                prev="" if found.newest is None else digest_of(to_bytes(found.newest)),
                epoch=0 if found.head is None else found.head.epoch,
                step=0 if found.head is None else found.head.step,
                env=self._env,
            )
            try:
                self._put_entry(entry)
            except Conflict:  # somebody took the slot between our list and our put
                if time.monotonic() > until:
                    raise self._taken("others keep claiming") from None
                time.sleep(jitter(0.05, 0.5))
                found = survey(self._store, self.id)
                continue
            found = survey(self._store, self.id)
            check_config(self.id, found.newest, self._config_sha256)
            others = [one for one in found.slots if one.seq >= seq and one.key not in self._mine]
            for slot in others:
                self._stop_if_higher(slot)
            if not others:
                break
            # Only lower ones: their writers may not have seen our claim, but they will see one that
            # stands above everything they can still write.
        self._seq = seq
        self.head = found.head
        delete_other_beats(self._store, self.id, self.writer)
        self._beat = Beat(self._store, self.id, self.writer)
        self._beat.start()

    def _append(self, entry: Entry) -> None:
        try:
            self._put_entry(entry)
        except Conflict:
            self._stuck = "another process has the trial"
            raise self._taken("it holds the slot of our next entry") from None
        except StoreError:
            self._stuck = "the outcome of its last entry is unknown"
            raise
        self._seq = entry.seq

    def _put_entry(self, entry: Entry) -> None:
        key = slot_key(
            self.id, entry.seq, entry.attempt, entry.writer, conditional=self._store.conditional
        )
        self._store.put_if_absent(key, to_bytes(entry))
        self._mine.add(key)

    def _look(self) -> None:
        """List from the newest down to my last entry; TakenOver if another one has a higher rank."""
        prefix, limit = log_prefix("trial", self.id), 16
        listed = self._store.list(prefix, limit=limit)
        slots = [slot for one in listed if (slot := parse_slot(one.key)) is not None]
        if len(listed) == limit and all(slot.seq >= self._seq for slot in slots):
            slots = list_slots(self._store, self.id)
        for slot in slots:
            if slot.seq >= self._seq and slot.key not in self._mine:
                self._stop_if_higher(slot)

    def _stop_if_higher(self, slot: Slot) -> None:
        attempt, writer = slot.attempt, slot.writer
        if attempt is None or writer is None:
            entry = read_entry(self._store, self.id, slot)
            if entry is None:
                self._stuck = "an entry above it cannot be read"
                raise self._taken(f"an entry of it cannot be read ({slot.key})")
            attempt, writer = entry.attempt, entry.writer
        if (attempt, writer) > (self.attempt, self.writer):
            self._stuck = "another process has the trial"
            raise self._taken(f"its attempt is number {attempt}")

    def _taken(self, why: str) -> TakenOver:
        return TakenOver(
            f"another process has taken the trial: {why}",
            self.id,
            "It goes on from the last saved epoch; wait for it.",
        )

    def _drop(self, keys: set[str]) -> None:
        """Delete blobs that no inventory names any more; the keys are dead from now on."""
        self._dead |= keys
        try:
            with at_most(DELETE_S):
                self._store.delete(sorted(keys))
        except StoreError as error:
            logger.info("%d old files of %s are left to gc: %s", len(keys), self.id, error)

    def _check_inventory(self, entry: Entry) -> None:
        keys = entry.live_keys()
        assert {file.key for file in entry.files} <= keys, "files of an entry stand in its live"
        assert not keys & self._dead, f"dead keys are never named again: {keys & self._dead}"
        assert all(key.startswith(blob_prefix("trial", self.id)) for key in keys), keys

    def _check_mine(self) -> None:
        assert self.attempt, f"{self.id} is done: nothing is written to it"
        assert self._pid == os.getpid(), "a fork must claim the trial for itself"
        if self._stuck is not None:
            raise Unavailable(
                f"this process writes nothing more: {self._stuck}",
                self.id,
                "The same command again goes on from the last saved epoch.",
            )

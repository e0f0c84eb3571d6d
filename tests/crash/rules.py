"""The rules of folder, log, seal, resume and garbage, each with how to switch it off.

Every function here changes the program in the process that calls it, for good: call it in a child. The
rules about requests of several processes on servers are taken away in `tests/sim`.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segnets.errors import Conflict, Corrupt
from segnets.store import bag, entry, folder, gc, history, log
from segnets.store.folder import FolderStore
from segnets.store.log import TrialLog
from segnets.training import checkpoint, state
from segnets.training.record import Record
from segnets.training.uploader import Saver


@dataclass(frozen=True)
class Rule:
    """One rule: what it says, what switches it off, who should notice, and on which subjects."""

    says: str
    off: Callable[[], None]
    proof: str
    subjects: tuple[str, ...] = ("trial",)
    injectors: tuple[str, ...] = ("kill",)


# ---- the folder


def no_fsync_of_files() -> None:
    def write(path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        os.write(descriptor, data)
        os.close(descriptor)

    folder.write_durably = write


def no_fsync_of_directories() -> None:
    folder.sync_directory = lambda _: None


def no_fsync_of_parents() -> None:
    def settle(_: FolderStore, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    FolderStore.settle = settle  # type: ignore[method-assign]


def parents_only_by_their_maker() -> None:
    real = FolderStore.settle

    def settle(store: FolderStore, path: Path) -> None:
        if not path.is_dir():
            real(store, path)

    FolderStore.settle = settle  # type: ignore[method-assign]


def known_parents_not_again() -> None:
    def settle(store: FolderStore, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        for directory in (path, *path.parents):
            if directory in store._settled:
                break
            folder.sync_directory(directory)
            store._settled.add(directory)

    FolderStore.settle = settle  # type: ignore[method-assign]


def write_in_place() -> None:
    def put(store: FolderStore, key: str, data: bytes) -> None:
        path = store._path(key)
        store.settle(path.parent)
        path.unlink(missing_ok=True)
        folder.write_durably(path, data)
        folder.sync_directory(path.parent)

    FolderStore.put = put  # type: ignore[method-assign]


def entries_in_place() -> None:
    def create(store: FolderStore, key: str, data: bytes) -> bool:
        path = store._path(key)
        store.settle(path.parent)
        try:
            folder.write_durably(path, data)
        except FileExistsError:
            return False
        folder.sync_directory(path.parent)
        return True

    FolderStore.create = create  # type: ignore[method-assign]


def entries_over_others() -> None:
    FolderStore.put_if_absent = FolderStore.put  # type: ignore[method-assign]


# ---- the log


def entry_before_blobs() -> None:
    waiting: list[tuple[str, bytes]] = []
    real_commit = TrialLog.commit

    def put_file(self: TrialLog, name: str, data: bytes) -> entry.FileRef:
        sha256 = entry.digest_of(data)
        numbers = self.attempt, self.writer, next(self._counter)
        key = log.blob_key("trial", self.id, *numbers, sha256)
        waiting.append((key, data))
        return entry.FileRef(name, key, sha256, len(data))

    def commit(self: TrialLog, *args: Any, **kwargs: Any) -> entry.Entry:
        done = real_commit(self, *args, **kwargs)
        while waiting:
            self._store.put(*waiting.pop(0))
        return done

    TrialLog.put_file = put_file  # type: ignore[method-assign]
    TrialLog.commit = commit  # type: ignore[method-assign]


def said_before_saved() -> None:
    real = Record.save

    def save(self: Record, event: str, check: Any = None) -> None:
        epoch = self._state.epoch
        if event == "checkpoint" and epoch > self._told_epoch:
            self._on_epoch({"epoch": epoch})
        real(self, event, check)

    Record.save = save  # type: ignore[method-assign]


def deleted_before_committed() -> None:
    real = TrialLog._append

    def append(self: TrialLog, one: entry.Entry) -> None:
        if one.event != "claim" and self.head is not None:
            self._drop(self.head.live_keys() - one.live_keys())
        real(self, one)

    TrialLog._append = append  # type: ignore[method-assign]


def deletes_named_keys() -> None:
    real = TrialLog._drop

    def drop(self: TrialLog, keys: set[str]) -> None:
        assert self.head is not None
        real(self, keys | {file.key for live in self.head.live[:-1] for file in live.files})

    TrialLog._drop = drop  # type: ignore[method-assign]


def takes_any_slot_and_does_not_look() -> None:
    def append(self: TrialLog, one: entry.Entry) -> None:
        while True:
            try:
                self._put_entry(one)
            except Conflict:
                one = replace(one, seq=one.seq + 1)
            else:
                self._seq = one.seq
                return

    TrialLog._append = append  # type: ignore[method-assign]
    TrialLog._look = lambda _: None  # type: ignore[method-assign]


def torn_entries_have_no_slot() -> None:
    log.CLAIM_S = 1.0
    real = history.list_slots

    def list_slots(store: Any, trial: str) -> list[Any]:
        slots = real(store, trial)
        return [one for one in slots if history.read_entry(store, trial, one) is not None]

    history.list_slots = list_slots


# ---- the seal


def seals_unchecked() -> None:
    def unseal(data: bytes) -> dict[str, Any]:
        try:
            return dict(entry.json.loads(data.split(b"\n")[0]))
        except ValueError:
            raise Corrupt("no JSON", "an entry", "None.") from None

    entry.unseal = bag.unseal = unseal


def digests_unchecked() -> None:
    def read(store: Any, ref: entry.FileRef) -> bytes:
        return bytes(store.get(ref.key))

    log.read_file = checkpoint.read_file = entry.read_file = read


def sizes_unchecked() -> None:
    bag._is_there = lambda files, sizes: all(file.key in sizes for file in files)


def torn_at_the_first_look() -> None:
    history.READS = bag.READS = entry.READS = 1


def damaged_ones_stay() -> None:
    real = checkpoint._resumed

    def resumed(trial: TrialLog, *args: Any) -> checkpoint.Resumed:
        found = real(trial, *args)
        assert trial.head is not None
        stay = tuple(one for one in trial.head.live if checkpoint._has_state(one))
        return replace(found, stay=stay)

    checkpoint._resumed = resumed
    TrialLog._check_inventory = lambda *_: None  # type: ignore[method-assign]


def no_older_checkpoint() -> None:
    real = checkpoint._candidates
    checkpoint._candidates = lambda *args: itertools.islice(real(*args), 1)


# ---- resume


def without(part: str) -> Callable[[], None]:
    """Restores everything but this part of a state."""

    def off() -> None:
        real = state.restore

        def restore(self: state.TrainState, taken: dict[str, Any], where: str) -> str:
            fresh = {
                "optimizer": self.optimizer.state_dict(),
                "ema": None if self.ema is None else self.ema.module.state_dict(),
                "totals": {"loss_sum": 0.0, "grad_norm_sum": 0.0, "steps": 0, "clips": 0}
                | {"counts": state.Totals().counts},
                "best": None,
                "samples": taken["position"] | {"samples": 0},
                "rows": [],
                "rng": state._rng_state(),
            }[part]
            name = "position" if part == "samples" else part
            return real(self, taken | {name: fresh}, where)

        checkpoint.restore = restore

    return off


def next_batch_unchecked() -> None:
    without("samples")()
    checkpoint.keys_digest = lambda _: state.keys_digest([])
    real = checkpoint.restore

    def restore(*args: Any) -> str:
        real(*args)
        return state.keys_digest([])

    checkpoint.restore = restore


def snapshot_of_the_live_tensors() -> None:
    def same(value: Any) -> Any:
        return value.detach() if isinstance(value, state.Tensor) else value

    def copied(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: copied(one) for key, one in value.items()}
        return [copied(one) for one in value] if isinstance(value, list) else same(value)

    state._copied = copied


def saves_in_mid_step() -> None:
    def tell_end(self: Record, _: BaseException) -> None:
        self.save("stopped")
        self.finish()

    Record.tell_end = tell_end  # type: ignore[method-assign]


def ends_without_an_inventory() -> None:
    real = Saver.close

    def close(self: Saver, *args: Any) -> None:
        self.live = ()
        real(self, *args)

    Saver.close = close  # type: ignore[method-assign]


# ---- garbage


def gc_of_named_files() -> None:
    real = gc._rule
    gc._rule = lambda *args: replace(real(*args), named=frozenset())


def gc_without_a_fence() -> None:
    real = gc._rule
    gc._rule = lambda *args: replace(real(*args), below=None)


def gc_before_a_commit() -> None:
    real = gc._trial_rule

    def rule(store: Any, trial: str) -> Any:
        found = real(store, trial)
        return gc._Rule() if "no commit" in found.why_not else found

    gc._trial_rule = rule


def gc_before_a_done() -> None:
    real = gc._bag_rule

    def rule(store: Any, kind: str, subject: str) -> Any:
        found = real(store, kind, subject)
        return gc._Rule() if "not complete" in found.why_not else found

    gc._bag_rule = rule


def gc_of_runs() -> None:
    real = gc._bag_rule

    def rule(store: Any, kind: str, subject: str) -> Any:
        return gc._Rule() if kind == "run" else real(store, kind, subject)

    gc._bag_rule = rule


NOT_NEEDED = {
    "blobs before their line of a bag": "a line counts only once all of its blobs are listed",
    "a key is put once, also for equal bytes": "a folder has no late deletes; tests/sim has",
}
"""Rules that a folder could do without, as was seen, and why they are kept all the same or not missed."""

BAGS = ("dataset", "grid", "eval", "run")
RULES = (
    Rule("bytes of a file are fsynced before its name", no_fsync_of_files, "powercut"),
    Rule("a directory is fsynced after a new name in it", no_fsync_of_directories, "powercut"),
    Rule("new parents are fsynced", no_fsync_of_parents, "powercut"),
    Rule("parents that were found are fsynced too", parents_only_by_their_maker, "powercut"),
    Rule("a known parent with a new name is fsynced", known_parents_not_again, "powercut"),
    Rule("a blob is renamed into place", write_in_place, "points", ("run",), ("torn",)),
    Rule("an entry is linked, whole", entries_in_place, "points", ("trial",), ("torn",)),
    Rule("an entry is never written over another", entries_over_others, "races"),
    Rule("blobs before their entry", entry_before_blobs, "points"),
    Rule("said after it is saved", said_before_saved, "points"),
    Rule("deleted after the commit", deleted_before_committed, "points"),
    Rule("a delete spares what live names", deletes_named_keys, "points"),
    Rule("a holder looks, and takes no other slot", takes_any_slot_and_does_not_look, "races"),
    Rule("a torn entry keeps its slot", torn_entries_have_no_slot, "rot"),
    Rule("the seal of a line is checked", seals_unchecked, "rot"),
    Rule("the digest of a file is checked", digests_unchecked, "rot"),
    Rule("an item counts only with all of its bytes", sizes_unchecked, "rot", BAGS),
    Rule("torn only after three reads", torn_at_the_first_look, "rot"),
    Rule("a damaged checkpoint leaves live", damaged_ones_stay, "rot"),
    Rule("the checkpoint before is taken", no_older_checkpoint, "rot"),
    *(
        Rule(f"resume puts back: {part}", without(part), "points", ("trial-mid-epoch",))
        for part in ("optimizer", "ema", "totals", "best", "samples", "rows", "rng")
    ),
    Rule("a snapshot is a copy", snapshot_of_the_live_tensors, "points", ("trial-mid-epoch",)),
    Rule("saved between steps only", saves_in_mid_step, "interrupts"),
    Rule("the end names what was committed", ends_without_an_inventory, "interrupts"),
    Rule("gc spares what live names", gc_of_named_files, "sweeps"),
    Rule("gc spares who may still commit", gc_without_a_fence, "sweeps"),
    Rule("gc waits for a first commit", gc_before_a_commit, "sweeps"),
    Rule("gc of a bag waits for its done", gc_before_a_done, "sweeps", ("dataset",)),
    Rule("gc leaves a run alone", gc_of_runs, "sweeps", ("run",)),
)

"""The power goes at any moment of a run: what was said to be saved is there, and the rest can be made.

    python -m tests.crash powercut --part k/4      folder only

A run is recorded: every write, fsync, rename, link, unlink, mkdir, and what was acknowledged between
them. For each moment of it `disk.py` says what may be left; that is laid out as a real directory, looked
at, and the same command is run again. Equal directories are tried once. Then the same with a process
that was killed first: what it left is in the memory of the machine and not yet on its disk, and the
next one goes on from it before the power goes.
"""

import contextlib
import pickle
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from crash import tiny
from crash.disk import MODES, Disk, Event, Tree, digest, read_tree, write_tree
from crash.forks import in_child
from crash.subjects import SUBJECTS, Place, Subject, fill
from crash.taps import Op, Proceed, Taps
from crash.tries import Count, aftermath, forget_the_seed, total

KILLED_FIRST = 80
"""Tries of each subject in which a kill comes before the cut, shared out by the parts."""

Mutate = Callable[[], None]


def run(
    part: int,
    parts: int,
    seed: int,
    store: str,
    sample: int | None = None,
    only: Sequence[str] = tuple(SUBJECTS),
) -> dict[str, Any]:
    """This part's share of all moments; `sample` takes that many of each subject instead."""
    assert store == "folder", "the disk of a server is not ours to model"
    counts: dict[str, Count] = {}
    moments: dict[str, int] = {}
    with tiny.prepare() as made:
        for name in only:
            subject = SUBJECTS[name](made)
            chance = random.Random(f"powercut {name} {seed} {part}/{parts}")
            count = counts.setdefault(name, Count())
            cuts = Cuts(subject, made)
            mine = [at for at in range(len(cuts.events) + 1) if (at + seed) % parts == part - 1]
            mine = mine if sample is None else chance.sample(mine, sample)
            moments[name] = len(mine)
            for at in mine:
                cuts.try_moment(at, chance, count)
            for killed in cuts.unsynced_folders()[part - 1 :: parts] if sample is None else ():
                cuts.try_after_kill(chance, count, killed)
            for _ in range(KILLED_FIRST // parts if sample is None else sample):
                cuts.try_after_kill(chance, count)
    return {**total(counts), "moments": moments}


class Cuts:
    """A recorded run of one subject, and tries of what a loss of power makes of it."""

    def __init__(self, subject: Subject, made: tiny.Made, mutate: Mutate | None = None) -> None:
        self.subject, self.made, self.mutate = subject, made, mutate
        self.seen: set[str] = set()
        with self._place() as place:
            if subject.needs_trial:
                fill(place, made)
            self.start = read_tree(place.base)
            self.events = self._record(place)
            product = in_child(lambda: subject.product(place, place.open(write=False)))
            assert product.value is not None, product
            self.expected = product.value
            disk = self._disk(self.events)
            real, model = read_tree(place.base), disk.tree()
            unlike = sorted(p for p in {*real, *model} if real.get(p, 0) != model.get(p, 0))
            assert not unlike, f"the model of the disk is another one at {unlike}"

    def try_moment(self, at: int, chance: random.Random, count: Count) -> None:
        """Cut the power after `at` events, in every mode."""
        disk = self._disk(self.events[:at])
        for mode in MODES:
            what = f"{self.subject.name}, {mode}, after {at} of {len(self.events)} events"
            self._try(disk, disk.cut(mode, chance), count, what)

    def unsynced_folders(self) -> list[int]:
        """Moments at which folders are made and not one of their names is fsynced yet."""
        calls = [event.call for event in self.events]
        return [
            at for at in range(1, len(calls)) if (calls[at - 1], calls[at]) == ("mkdir", "fsync")
        ]

    def try_after_kill(
        self, chance: random.Random, count: Count, killed: int | None = None
    ) -> None:
        """Kill at a moment, let the next process go on, cut the power at a random moment.

        With a moment given, all that was not fsynced is lost at the end; else all is by chance.
        """
        at_end = killed is not None
        killed = killed or chance.randrange(1, len(self.events))
        disk = self._disk(self.events[:killed])
        with self._place() as place:
            write_tree(disk.tree(), place.base)
            more = self._record(place)
        at = len(more) if at_end else chance.randrange(1, len(more) + 1)
        for event in more[:at]:
            disk.apply(event)
        mode = "lost" if at_end else chance.choice(MODES)
        what = f"{self.subject.name}, killed after {killed} events, {mode} after {at} more"
        self._try(disk, disk.cut(mode, chance), count, what)

    def _try(self, disk: Disk, tree: Tree, count: Count, what: str) -> None:
        one = digest(tree, disk.acks)
        if one in self.seen:
            return
        self.seen.add(one)
        with self._place() as place:
            write_tree(tree, place.base)
            place.acks.write_text("".join(f"{ack}\n" for ack in disk.acks))
            count.add(aftermath(self.subject, place, self.expected, self.mutate), what)

    def _disk(self, events: list[Event]) -> Disk:
        disk = Disk(self.start)
        for event in events:
            disk.apply(event)
        return disk

    def _record(self, place: Place) -> list[Event]:
        """What a run does, to its end."""
        path = place.acks.with_name("events")

        def body() -> None:
            if self.mutate is not None:
                self.mutate()
            forget_the_seed()
            recorder = Recorder()
            with recorder.acknowledging(), Taps(place.base.parent, recorder).installed():
                self.subject.run(place, tiny.WAIT_S)
            path.write_bytes(pickle.dumps([tuple(event) for event in recorder.events]))

        ended = in_child(body)
        assert ended.returned, ended
        return [Event(*event) for event in pickle.loads(path.read_bytes())]

    @contextlib.contextmanager
    def _place(self) -> Iterator[Place]:
        """An empty place whose parent is a folder too, so that its own name is seen to be fsynced."""
        whole = self.made.fresh("cut")
        base = whole / "disk" / "mount"
        base.mkdir(parents=True)
        try:
            yield Place(str(base / "store"), base, whole / "acks")
        finally:
            shutil.rmtree(whole, ignore_errors=True)


class Recorder:
    """The injector that only writes down what worked, one operation after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._lock = threading.RLock()

    def __call__(self, op: Op, proceed: Proceed) -> Any:
        with self._lock:
            result = proceed()
            data = op.data[:result] if op.call == "write" else b""
            self.events.append(Event(op.call, _below(op.path), _below(op.target), data))
            return result

    @contextlib.contextmanager
    def acknowledging(self) -> Iterator[None]:
        """Write down what is acknowledged, too; a forked child may simply never leave."""
        real = tiny.ack

        def ack(path: Path, text: str) -> None:
            with self._lock:
                real(path, text)
                self.events.append(Event("ack", text))

        tiny.ack = ack
        try:
            yield
        finally:
            tiny.ack = real


def _below(path: str) -> str:
    """The path as the disk has it: below its root, which is ``."""
    return "" if path == "mount" else path.removeprefix("mount/")

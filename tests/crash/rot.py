"""One object of a store is damaged, or one read of it: the same command notices and makes up for it.

    python -m tests.crash rot --part 1/1      folder only

Each object in turn has a byte changed, is cut, emptied, or gone: of a trial that was killed after two of
its three epochs, of one that is done (its log; whoever reads its files is told), and of bags (their
lines, and files of another size). Then each read of a resumed run in turn is damaged once, as by a bad
line: what was saved must not be taken for torn.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crash import tiny
from crash.forks import in_child
from crash.injectors import die
from crash.subjects import SUBJECTS, Place, Subject, Trial
from crash.tries import Count, Lab, forget_the_seed, look, total, undisturbed
from segnets.config.ids import trial_id
from segnets.store.folder import FolderStore
from segnets.store.log import read_head, read_history
from segnets.training.checkpoint import EPOCHS_FILE, STATE_FILE

Mutate = Callable[[], None]


def flip(data: bytes) -> bytes:
    """Another digit where there are digits (so that JSON stays JSON), else another bit."""
    at = len(data) // 2
    for near in range(at, min(at + 200, len(data))):
        if data[near : near + 1].isdigit():
            at = near
            break
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


HARMS: dict[str, Callable[[bytes], bytes | None]] = {
    "flip": flip,
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "gone": lambda _: None,
}
"""Name -> what becomes of the bytes; None: nothing is left."""


def run(part: int, parts: int, seed: int, store: str, sample: int | None = None) -> dict[str, Any]:
    """This part's share of all damages; `sample` takes that many of each subject instead."""
    assert store == "folder", "the files of a server are not ours to damage"
    counts: dict[str, Count] = {}
    with tiny.prepare() as made:
        for name in ("trial", "dataset", "grid", "eval", "run"):
            rotten = Rotten(SUBJECTS[name](made), made)
            points = rotten.points()
            if sample is not None:
                points = random.Random(seed).sample(points, sample)
            for when, key, harm in points[part - 1 :: parts]:
                found = rotten.try_damage(when, key, harm)
                counts.setdefault(harm, Count()).add(found, f"{name}, {harm} of {key}, {when}")
            reads = range(rotten.reads)[part - 1 :: parts]
            for at in reads if sample is None else ():
                found = rotten.try_misread(at)
                counts.setdefault("misread", Count()).add(found, f"{name}, read {at} damaged")
    return total(counts)


class Rotten:
    """A subject that was killed in the middle, and one that is done, each to be damaged."""

    def __init__(self, subject: Subject, made: tiny.Made, mutate: Mutate | None = None) -> None:
        self.subject, self.made, self.mutate = subject, made, mutate
        self.lab = Lab(made, "folder")
        self.expected, _ = undisturbed(subject, self.lab)
        self.half, self.done = made.fresh("half"), made.fresh("done")
        with self.lab.place(subject) as place:
            killed = in_child(lambda: self._run(place, die_after=2))
            assert killed.signum == 9, killed
            self._keep(place, self.half)
            ended = in_child(lambda: self._run(place))
            assert ended.returned, ended
            self.reads = int(ended.value)
            self._keep(place, self.done)

    def points(self) -> list[tuple[str, str, str]]:
        """(half or done, key, harm) of everything that is tried."""
        found = []
        is_trial = isinstance(self.subject, Trial)
        for when, folder in (("half", self.half), ("done", self.done)):
            store = folder / "store"
            for path in sorted(store.rglob("*")):
                key = str(path.relative_to(store))
                kind = key.split("/")[1] if "/" in key else ""
                if not path.is_file() or kind != self._kind or path.name.startswith(".tmp-"):
                    continue
                if key.startswith("log/"):
                    harms = list(HARMS)
                elif not key.startswith("obj/") or (is_trial and when == "done"):
                    continue
                else:
                    harms = list(HARMS) if is_trial else ["cut", "gone"]
                found += [(when, key, harm) for harm in harms]
        return found

    def try_damage(self, when: str, key: str, harm: str) -> dict[str, Any]:
        """Damage one object, run again, look; what is wrong."""
        with self._place(self.half if when == "half" else self.done) as place:
            place.acks.unlink()  # what was said of a damaged entry may be said again
            path = Path(place.url) / key
            named = self._newest(place)
            tables = self._tables(place)
            left = HARMS[harm](path.read_bytes())
            if left is None:
                path.unlink()
            else:
                path.write_bytes(left)
            # a damaged line stays where it is, and verify tells of it
            told = path.name if key.startswith(("log/", "obj/run/")) or key in tables else None
            if when == "done" or key not in named.keys() - tables:
                return self._again(place, lambda: self._run(place), told)
            in_child(lambda: self._run(place, die_after=1))
            looked = in_child(lambda: look(self.subject, place))
            found = self._again(place, lambda: self._run(place), told)
            found["still_named"] = looked.value["corrupt"] if looked.returned else str(looked)
            found["not_told"] = self._not_told(place)
            if named[key] == STATE_FILE and "1" in tiny.acknowledged(place.acks):
                found["begun_again"] = "the checkpoint before the damaged one was not taken"
            return found

    def try_misread(self, at: int) -> dict[str, Any]:
        """Damage the `at`-th read of the run that goes on; what is wrong."""
        with self._place(self.half) as place:
            return self._again(place, lambda: self._run(place, damage=at))

    @property
    def _kind(self) -> str:
        return str(getattr(self.subject, "kind", "trial"))

    def _again(
        self, place: Place, run: Callable[[], Any], told: str | None = None
    ) -> dict[str, Any]:
        ended = in_child(run)
        if not ended.returned:
            return {"wrong_end": f"the run ended with {ended}"}
        looked = in_child(lambda: look(self.subject, place, self.expected))
        if not looked.returned:
            return {"wrong_end": f"looking ended with {looked}"}
        found = looked.value
        corrupt = [one for one in found["corrupt"] if told is None or not _is_of(one, told)]
        return {
            "lost": [found["lost"]] if found["lost"] else [],
            "corrupt": [corrupt] if corrupt else [],
            "unequal": found["unequal"],
        }

    def _run(self, place: Place, *, die_after: int = 0, damage: int = -1) -> int:
        """Run it; how many reads of the store it made. Belongs into a child."""
        if self.mutate is not None:
            self.mutate()
        forget_the_seed()
        reads, said = 0, 0
        real_get, real_ack = FolderStore.get, tiny.ack

        def get(store: FolderStore, key: str) -> bytes:
            nonlocal reads
            data = real_get(store, key)
            # a store that the probe cannot trust is refused, and should be
            if not store._any_key and not key.startswith("probe/"):
                reads += 1
                if reads - 1 == damage:
                    return flip(data)
            return data

        def ack(path: Path, text: str) -> None:
            nonlocal said
            real_ack(path, text)
            said += 1
            if said == die_after:
                die()

        FolderStore.get, tiny.ack = get, ack  # type: ignore[method-assign]
        self.subject.run(place, tiny.WAIT_S)
        if die_after:
            die()  # it has fewer lines: killed at its end
        return reads

    def _newest(self, place: Place) -> dict[str, str]:
        """Key -> name of the files of the checkpoint that a trial would go on from."""
        if not isinstance(self.subject, Trial):
            return {}
        head = read_head(place.open(write=False), self._trial())
        assert head is not None
        return {file.key: file.name for file in head.live[-1].files}

    def _tables(self, place: Place) -> set[str]:
        """The keys of epochs tables: nobody goes on from one, since the state has its rows too."""
        if not isinstance(self.subject, Trial):
            return set()
        history = read_history(place.open(write=False), self._trial())
        return {file.key for entry in history for file in entry.files if file.name == EPOCHS_FILE}

    def _not_told(self, place: Place) -> str:
        history = read_history(place.open(write=False), self._trial())
        told = any(note.kind == "skipped" for entry in history for note in entry.notes)
        return "" if told else "no entry tells which checkpoint was skipped, and why"

    def _trial(self) -> str:
        return trial_id(tiny.config(self.made, **getattr(self.subject, "settings", {})))

    def _keep(self, place: Place, folder: Path) -> None:
        shutil.copytree(place.base, folder, dirs_exist_ok=True)
        shutil.copy(place.acks, folder / "acks")

    @contextmanager
    def _place(self, template: Path) -> Iterator[Place]:
        base = self.made.fresh("rot")
        try:
            shutil.copytree(template, base, dirs_exist_ok=True)
            yield Place(str(base / "store"), base, base / "acks")
        finally:
            shutil.rmtree(base, ignore_errors=True)


def _is_of(fault: str, name: str) -> bool:
    return name in fault or "built on one that is not there" in fault

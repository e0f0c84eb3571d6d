"""An exception at every line that a trial executes: nothing half done is ever saved.

    python -m tests.crash interrupts --part k/4      folder only

The lines are found by tracing the main thread of an undisturbed run, which saves after every step: each
line of segnets that it comes to, from the claim to the last save. At each of them, the first time and
once more at a later time, two things are raised: a BaseException, as Ctrl-C is one that no handler has
caught, and an Exception, as a bug is. Besides the whole run there are two others, for the lines that
only they have: one that goes on from a stop, and one that a signal stops.

Checked: each state that any entry names is to the bit the undisturbed run's at that step; an entry that
says `failed` or `stopped` without new files names what the last commit named; nothing acknowledged is
lost; and the same command again ends with the same digests.
"""

import contextlib
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import segnets
from crash import tiny
from crash.forks import Ended, in_child
from crash.subjects import MidEpoch, Place
from crash.tries import Count, Lab, aftermath, forget_the_seed, total
from segnets.config.ids import trial_id
from segnets.errors import NotFound, Stopped
from segnets.store.entry import digest_of, read_file, to_bytes
from segnets.store.log import read_history
from segnets.training.checkpoint import STATE_FILE, parse_state
from segnets.training.record import Record
from segnets.training.state import state_sha256
from segnets.training.uploader import Saver

PROGRAM = f"{Path(segnets.__file__).parent}{os.sep}"
STOP_AT = 2
SCENES = ("whole", "resumed", "stopped")


class Interrupt(BaseException):
    """What no handler of ours knows."""


class Bug(Exception):
    """What a mistake of ours would raise."""


KINDS: dict[str, type[BaseException]] = {"interrupt": Interrupt, "bug": Bug}


@dataclass(frozen=True)
class Line:
    """The n-th time, from 1 on, that a line is come to."""

    file: str
    number: int
    time: int


class Tracer:
    """Counts the lines of the program that this thread comes to; raises once at one of them."""

    def __init__(self, at: Line | None = None, what: type[BaseException] = Interrupt) -> None:
        self.seen: Counter[tuple[str, int]] = Counter()
        self.raised = False
        self._at, self._what = at, what

    def __call__(self, frame: FrameType, event: str, _: Any) -> "Tracer | None":
        path = frame.f_code.co_filename
        if not path.startswith(PROGRAM):
            return None
        if event == "line":
            key = path[len(PROGRAM) :], frame.f_lineno
            self.seen[key] += 1
            if self._at == Line(*key, self.seen[key]):
                self.raised = True
                raise self._what("raised by the proof")
        return self


def run(part: int, parts: int, seed: int, store: str, sample: int | None = None) -> dict[str, Any]:
    """This part's share of all lines; `sample` takes that many instead."""
    assert store == "folder", "the loop does not know where it saves"
    counts = {kind: Count() for kind in KINDS}
    not_reached = 0
    with tiny.prepare() as made:
        trial = Interrupted(made)
        found = trial.lines(seed)
        chance = random.Random(f"interrupts {seed} {part}/{parts}")
        mine = found[part - 1 :: parts] if sample is None else chance.sample(found, sample)
        for scene, line in mine:
            for kind in KINDS:
                wrong, reached = trial.try_line(scene, line, kind)
                counts[kind].add(wrong, f"{kind} at {line}, {scene}")
                not_reached += not reached
    return {**total(counts), "lines": len(mine), "not_reached": not_reached}


class Interrupted(MidEpoch):
    """The trial that saves after each step, with what it is interrupted by."""

    def __init__(self, made: tiny.Made) -> None:
        super().__init__(made)
        self.lab = Lab(made, "folder")
        self.mutate: Callable[[], None] | None = None
        self.half = made.fresh("half") / "store"
        stopped = in_child(lambda: self._train(str(self.half), None, stop=True))
        assert stopped.fault == "Stopped", stopped
        with self.lab.place(self) as place:
            calm = in_child(lambda: self._states(place))
            assert calm.returned, calm
            self.states = calm.value
            self.expected = in_child(lambda: self.product(place, place.open(write=False))).value

    def lines(self, seed: int) -> list[tuple[str, Line]]:
        """Every line of every scene, the first time and a later time; a line in one scene only."""
        chance, found, known = random.Random(seed), [], set()
        for scene in SCENES:
            with self._scene(scene) as place:
                ended = in_child(lambda: self._traced(scene, place, Tracer()))  # noqa: B023
                assert ended.returned, ended
            new = {(file, n): times for file, n, times in ended.value["seen"]}
            for (file, n), times in sorted(new.items()):
                if (file, n) not in known:
                    found.append((scene, Line(file, n, 1)))
                    if times > 1:
                        found.append((scene, Line(file, n, chance.randint(2, times))))
            known |= new.keys()
        return found

    def try_line(self, scene: str, line: Line, kind: str) -> tuple[dict[str, Any], bool]:
        """Raise there, look, go on, look; what is wrong, and whether the line was come to."""
        with self._scene(scene) as place:
            tracer = Tracer(line, KINDS[kind])
            ended = in_child(lambda: self._traced(scene, place, tracer))
            wrong = self._wrong_end(scene, kind, ended)
            if wrong:
                return {"wrong_end": wrong}, True
            looked = in_child(lambda: self._wrong_entries(place))
            if not looked.returned or looked.value:
                return {"wrong_end": str(looked.value or looked)}, True
            return aftermath(self, place, self.expected), not ended.returned

    @contextlib.contextmanager
    def _scene(self, scene: str) -> Any:
        with self.lab.place(self) as place:
            if scene == "resumed":
                shutil.copytree(self.half, place.url)
            yield place

    def _traced(self, scene: str, place: Place, tracer: Tracer) -> Any:
        if self.mutate is not None:
            self.mutate()
        forget_the_seed()
        sys.settrace(tracer)
        try:
            self._train(place.url, place.acks, stop=scene == "stopped")
        except Stopped:
            if scene != "stopped":
                raise
        finally:
            sys.settrace(None)
        return {"seen": [[*key, times] for key, times in tracer.seen.items()]}

    def _train(self, url: str, acks: Path | None, *, stop: bool = False) -> None:
        def on_step(step: int, _: int) -> None:
            if stop and step == STOP_AT:
                os.kill(os.getpid(), signal.SIGTERM)

        Record.save_if_due = lambda record, _: record.save("checkpoint")  # in a child only
        tiny.run_trial(url, self.made, acks=acks, on_step=on_step, take_over=True, **self.settings)

    def _states(self, place: Place) -> dict[str, str]:
        """Position -> digest of the state, of a run that nothing disturbs."""
        states: dict[str, str] = {}
        real: Callable[..., Any] = Saver.start

        def start(saver: Saver, save: Any) -> None:
            states[f"{save.epoch}/{save.step}"] = state_sha256(save.taken)
            real(saver, save)

        Saver.start = start  # type: ignore[method-assign]
        self._train(place.url, place.acks)
        return states

    def _wrong_end(self, scene: str, kind: str, ended: Ended) -> str:
        """What is wrong with how it ended. Not reached, or swallowed: then it got to its end."""
        if ended.returned or ended.fault == KINDS[kind].__name__:
            return ""
        return f"{scene} ended with {ended}"

    def _wrong_entries(self, place: Place) -> list[str]:
        """What entries say that they may not."""
        if not Path(place.url).is_dir():
            return []
        store, wrong = place.open(write=False), []
        history = read_history(store, trial_id(tiny.config(self.made, **self.settings)))
        by_digest = {digest_of(to_bytes(entry)): entry for entry in history}
        for entry in history:
            what = f"{entry.event} at epoch {entry.epoch}, step {entry.step}"
            for file in entry.files:
                if file.name != STATE_FILE:
                    continue
                with contextlib.suppress(NotFound):  # dropped since
                    taken = parse_state(read_file(store, file), what)
                    position = f"{taken['position']['epoch']}/{taken['position']['step']}"
                    if position != f"{entry.epoch}/{entry.step}":
                        wrong.append(f"{what} names a state of {position}")
                    if state_sha256(taken) != self.states.get(position):
                        wrong.append(f"{what} names a state that the undisturbed run never had")
            if entry.event in {"failed", "stopped"} and not entry.files:
                before = by_digest.get(entry.prev)
                if entry.live != (() if before is None else before.live):
                    wrong.append(f"{what} names other files than the commit before it")
        return wrong

"""kill -9 at random moments, again and again until the trial is done: nothing acknowledged is lost.

    python -m tests.crash kills --part 1/1 --store rclone      200 kills in 1/1, shared out by n

Each trial is trained by a forked child, which is killed after a random time, several times in a row,
until one gets to the end. After each kill: every epoch that any of them said to be saved is in the head,
and every artefact has its digest; in the end no epoch was said twice, and the result is to the bit that
of a run that nothing disturbs. Every other trial saves after each step too.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crash import tiny
from crash.places import damage, ended, fork, place, share, wait
from segnets.config.ids import trial_id
from segnets.store.base import Store
from segnets.store.log import read_head
from segnets.store.open import open_store
from segnets.training import budget

KILLS = 200
SETTINGS = {"epochs": 4}


def run(part: int, parts: int, seed: int, store: str, kills: int = KILLS) -> dict[str, Any]:
    """Kill until this part's share of the kills is made."""
    left, found = share(kills, part, parts), Found()
    chance = random.Random(f"kills {store} {seed} {part}/{parts}")
    with tiny.prepare() as made, place(store, made.folder) as fresh:
        calm = tiny.undisturbed(made, **SETTINGS)
        longest = _time_of_a_child(made, fresh())
        while found.points < left:
            saves = saves_after_each_step() if found.trials % 2 else contextlib.nullcontext()
            one = _Trial(made, fresh(), calm)
            with saves:
                one.kill_until_done(chance, longest, left - found.points)
            if one.in_time is not None:  # measured while the machine was busy, it would be too long
                longest = min(longest, one.in_time)
            found.add(one)
    return found.line()


class Found:
    """What all trials of a part came to."""

    def __init__(self) -> None:
        self.points = self.ok = self.trials = self.not_bit_equal = 0
        self.lost: list[str] = []
        self.corrupt: list[str] = []
        self.faults: list[str] = []
        self.acknowledged = self.resumed = 0

    def add(self, one: "_Trial") -> None:
        """Count a trial that is over."""
        self.trials += 1
        self.points += one.kills
        self.acknowledged += len(one.said())
        self.resumed += one.resumed
        self.lost += one.lost
        self.corrupt += one.corrupt
        self.faults += one.faults
        self.not_bit_equal += not one.is_equal
        if one.is_equal and not (one.lost or one.corrupt or one.faults):
            self.ok += one.kills

    def line(self) -> dict[str, Any]:
        """The result, for JSON."""
        return {
            "points": self.points,
            "ok": self.ok,
            "lost_epochs": len(self.lost),
            "corrupt": len(self.corrupt),
            "not_bit_equal": self.not_bit_equal,
            "trials": self.trials,
            "acknowledged": self.acknowledged,
            "resumed": self.resumed,
            "told": [*self.lost, *self.corrupt, *self.faults],
        }


class _Trial:
    """One trial in a store of its own, and the children that train it, one after another."""

    def __init__(self, made: tiny.Made, url: str, calm: tiny.Digests) -> None:
        self.made, self.url, self.calm = made, url, calm
        self.trial = trial_id(tiny.config(made, **SETTINGS))
        folder = made.fresh("said")
        self.acks, self.told = folder / "acks", folder / "faults"
        self.store: Store | None = None
        self.kills = self.resumed = self.step = 0
        self.is_equal = False
        self.in_time: float | None = None
        """How long a child took that was to be killed and was not."""
        self.lost: list[str] = []
        self.corrupt: list[str] = []
        self.faults: list[str] = []

    def kill_until_done(self, chance: random.Random, longest: float, most: int) -> None:
        """Train; kill each child after a random time, `most` of them; then look at the result."""
        while True:
            before, began = self.step, time.monotonic()
            pid = fork(self._train, self.told)
            code = None
            if self.kills < most:
                code = _ended_within(pid, chance.uniform(0, longest))
                if code is None:
                    os.kill(pid, signal.SIGKILL)
                elif self.kills == 0:
                    self.in_time = time.monotonic() - began
            code = wait(pid) if code is None else code
            if code != -signal.SIGKILL:
                break
            self.kills += 1
            self.resumed += before > 0
            self._look(f"kill {self.kills}")
        if code != 0:
            self.faults.append(f"{self.url}: a child ended with {code}")
        self._look("the end")
        said = self.said()
        if len(said) != len(set(said)):
            self.lost.append(f"{self.url}: an epoch was said twice: {said}")
        self.is_equal = tiny.digests(self.store or self.url, self.made, **SETTINGS) == self.calm
        if self.told.exists():
            self.faults.append(self.told.read_text())

    def said(self) -> list[str]:
        """The epochs that were said to be saved, in this order."""
        return tiny.acknowledged(self.acks)

    def _train(self) -> None:
        tiny.run_trial(self.url, self.made, acks=self.acks, **SETTINGS)

    def _look(self, when: str) -> None:
        if not ("://" in self.url or Path(self.url).is_dir()):
            return  # killed before it made the folder
        if self.store is None:
            self.store = open_store(self.url, write=False, wait_s=tiny.WAIT_S)
        head = read_head(self.store, self.trial)
        self.step = 0 if head is None else head.step
        last = max(map(int, self.said()), default=0)
        if last > (0 if head is None else head.epoch):
            self.lost.append(f"{self.url}: epoch {last} is lost at {when}")
        self.corrupt += [f"{fault} at {when}" for fault in damage(self.store)]


def _ended_within(pid: int, seconds: float) -> int | None:
    """How a child ended within this time; None if it still runs."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(0.02, left))
        code = ended(pid)
        if code is not None:
            return code
    return ended(pid)


def _time_of_a_child(made: tiny.Made, url: str) -> float:
    """How long a child takes that nobody kills."""
    began = time.monotonic()
    told = made.fresh("said") / "faults"
    code = wait(fork(lambda: tiny.run_trial(url, made, **SETTINGS), told))
    assert code == 0, told.read_text()
    return time.monotonic() - began


@contextlib.contextmanager
def saves_after_each_step() -> Iterator[None]:
    """A save in mid-epoch is due after every step, whatever it costs."""
    names: dict[str, float] = {"AT_LEAST_S": 0.0, "FIRST_S": 0.0, "SHARE": 1e9}
    before = {name: getattr(budget, name) for name in names}
    try:
        for name, value in names.items():
            setattr(budget, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(budget, name, value)

"""Two processes on one trial: at most one says each epoch, and the result is that of one alone.

    python -m tests.crash races --part 1/1 --store ministack      100 races in 1/1, shared out by n

Both have --take-over, so that the protocol decides and not the beat. The second one starts after a random
time, also before the first one has claimed. It counts as a race if neither found the trial done. Each
child writes which epochs it said to be saved; the one that loses ends with TakenOver (exit code 5).
"""

import random
import time
from pathlib import Path
from typing import Any

from crash import tiny
from crash.places import damage, fork, place, share, wait
from segnets.config.ids import trial_id
from segnets.errors import TakenOver
from segnets.store import beat
from segnets.store.entry import digest_of, to_bytes
from segnets.store.log import read_head, read_history
from segnets.store.open import open_store

RACES = 100
SETTINGS = {"epochs": 6, "take_over": True}
POLITE = 5
"""Second launches without --take-over, in each part."""


def run(part: int, parts: int, seed: int, store: str, races: int = RACES) -> dict[str, Any]:
    """Race until this part's share of the races is run."""
    left, found = share(races, part, parts), Found()
    chance = random.Random(f"races {store} {seed} {part}/{parts}")
    with tiny.prepare() as made, place(store, made.folder) as fresh:
        calm = tiny.undisturbed(made, **SETTINGS)
        began = time.monotonic()
        alone = _Race(made, fresh(), calm)
        alone.run([0.0])
        assert alone.codes == [0], alone.told
        longest = time.monotonic() - began
        while found.points < left:
            one = _Race(made, fresh(), calm)
            delay_s = chance.choice([0.0, chance.uniform(0, longest)])
            one.run([delay_s, 0.0] if chance.random() < 0.5 else [0.0, delay_s])
            found.add(one)
        found.polite = [_second_is_polite(made, fresh(), calm) for _ in range(POLITE)]
    return found.line()


class Found:
    """What all races of a part came to."""

    def __init__(self) -> None:
        self.points = self.ok = self.late = self.corrupt = self.not_bit_equal = 0
        self.said_twice = self.both_stopped = self.lost = self.both_said = 0
        self.told: list[str] = []
        self.polite: list[bool] = []

    def add(self, one: "_Race") -> None:
        """Count a race that is over, and one that came too late to be any."""
        self.late += not one.is_race
        self.points += one.is_race
        self.ok += one.is_race and not one.told
        self.said_twice += one.said_twice
        self.lost += one.lost
        self.both_said += all(one.said)
        self.both_stopped += one.codes == [5, 5]
        self.corrupt += len(one.corrupt)
        self.not_bit_equal += not one.is_equal
        self.told += one.told

    def line(self) -> dict[str, Any]:
        """The result, for JSON."""
        return {
            "points": self.points,
            "ok": self.ok,
            "lost_epochs": self.lost,
            "corrupt": self.corrupt,
            "not_bit_equal": self.not_bit_equal,
            "said_twice": self.said_twice,
            "both_said_some": self.both_said,
            "both_stopped": self.both_stopped,
            "too_late_to_race": self.late,
            "polite": sum(self.polite),
            "told": self.told,
        }


class _Race:
    """Children that train one trial side by side, in a store of its own."""

    def __init__(self, made: tiny.Made, url: str, calm: tiny.Digests) -> None:
        self.made, self.url, self.calm = made, url, calm
        self.trial = trial_id(tiny.config(made, **SETTINGS))
        self.folder = made.fresh("race")
        self.codes: list[int] = []
        self.said: list[list[str]] = []
        self.corrupt: list[str] = []
        self.told: list[str] = []
        self.is_race = self.is_equal = False
        self.said_twice = self.lost = 0

    def run(self, delays_s: list[float]) -> None:
        """Start a child for each delay, wait for all; then look at what they said and left."""
        faults = self.folder / "faults"
        pids = [
            fork(lambda n=number, s=delay_s: self._train(n, s), faults)
            for number, delay_s in enumerate(delays_s)
        ]
        self.codes = [wait(pid) for pid in pids]
        self.said = [tiny.acknowledged(self._path("acks", number)) for number in range(len(pids))]
        self.is_race = not any(self._path("reused", number).exists() for number in range(len(pids)))
        self._judge(faults)

    def _train(self, number: int, delay_s: float) -> None:
        time.sleep(delay_s)
        try:
            result = tiny.run_trial(
                self.url, self.made, acks=self._path("acks", number), **SETTINGS
            )
        except TakenOver as error:
            self._path("sentence", number).write_text(str(error))
            raise
        if result.reused:
            self._path("reused", number).touch()

    def _judge(self, faults: Path) -> None:
        """Fill `told` with everything that should not be."""
        both = [epoch for said in self.said for epoch in said]
        self.said_twice = len(both) - len(set(both))
        if self.said_twice:
            self.told.append(f"{self.url}: an epoch was said twice: {self.said}")
        if any(said != sorted(said, key=int) for said in self.said):
            self.told.append(f"{self.url}: epochs were said out of order: {self.said}")
        self.lost = len(set(both) - _epochs_of_head(self.url, self.trial))
        if self.lost:
            self.told.append(
                f"{self.url}: of {self.said} {self.lost} are not in the head's history"
            )
        if (0 not in self.codes and self.codes != [5, 5]) or set(self.codes) - {0, 5}:
            self.told.append(f"{self.url}: the exit codes are {self.codes}")
        if self.codes == [5, 5]:  # allowed: each saw the other one; the next launch ends it
            tiny.run_trial(self.url, self.made, **SETTINGS)
        for number, code in enumerate(self.codes):
            if code == 5 and "\n" in self._path("sentence", number).read_text():
                self.told.append(f"{self.url}: more than a sentence")
        self.corrupt = damage(open_store(self.url, write=False, wait_s=tiny.WAIT_S))
        self.is_equal = tiny.digests(self.url, self.made, **SETTINGS) == self.calm
        if not self.is_equal:
            self.told.append(f"{self.url}: the result is another one than alone")
        self.told += self.corrupt
        if faults.exists():
            self.told.append(faults.read_text())

    def _path(self, name: str, number: int) -> Path:
        return self.folder / f"{name}-{number}"


def _epochs_of_head(url: str, trial: str) -> set[str]:
    """The epochs that were committed on the way to the head: it and what it was built on, and so on."""
    store = open_store(url, write=False, wait_s=tiny.WAIT_S)
    entries = {digest_of(to_bytes(entry)): entry for entry in read_history(store, trial)}
    entry, epochs = read_head(store, trial), set()
    while entry is not None:
        if entry.is_commit:
            epochs.add(str(entry.epoch))
        entry = entries.get(entry.prev)
    return epochs


def _second_is_polite(made: tiny.Made, url: str, calm: tiny.Digests) -> bool:
    """Whether a second launch without --take-over waits, refuses in one sentence, and harms nothing.

    The first one waits in mid-epoch until the second one has gone; beats come every second instead of
    every 15.
    """
    folder = made.fresh("polite")
    faults, settings = folder / "faults", {**SETTINGS, "take_over": False}
    began, gone = folder / "began", folder / "gone"

    def first() -> None:
        def wait_for_the_second(step: int, _steps: int) -> None:
            began.touch()
            until = time.monotonic() + 30
            while step == 4 and not gone.exists() and time.monotonic() < until:
                time.sleep(0.05)

        tiny.run_trial(url, made, on_step=wait_for_the_second, **settings)

    def second() -> None:
        started = time.monotonic()
        try:
            tiny.run_trial(url, made, **settings)
        except TakenOver as error:
            waited = time.monotonic() - started
            (folder / "said").write_text(f"{waited}\n{error}")
            raise

    before, beat.PERIOD_S = beat.PERIOD_S, 1.0
    try:
        holder = fork(first, faults)
        while not began.exists():
            time.sleep(0.01)
        refused = wait(fork(second, faults))
        gone.touch()
        ended = wait(holder)
    finally:
        beat.PERIOD_S = before
    if (refused, ended) != (5, 0) or faults.exists():
        return False
    waited, _, sentence = (folder / "said").read_text().partition("\n")
    return (
        "another process trains this trial" in sentence
        and "--take-over" in sentence
        and "\n" not in sentence
        and float(waited) > 0.05
        and tiny.digests(url, made, **settings) == calm
    )

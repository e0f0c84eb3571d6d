"""SIGTERM and SIGINT at random moments to every flow: it saves and goes, and then goes on.

    python -m tests.crash signals --part k/5      10 of each signal to each flow in 1/1; folder only

The flows are run by forked children, as `python flows/NAME.py` runs them: flags in, one JSON line out,
an exit code. A grid starts its trials as real processes. A signal that
came before the flow had begun, or after its end, is sent again to another one and does not count. Checked:
the exit code is 128 + the signal's number, with one sentence and one line of JSON; it is gone within 20 s;
everything in the store is as it was sealed; and the same command again ends with exit code 0 and with the
digests of a run that nothing disturbs.
"""

import importlib
import json
import os
import random
import runpy
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from support.commands import ROOT, SMALL, World

from crash import worlds
from crash.places import wait
from segnets.store.open import open_store

EACH = 10
GONE_S = 20.0
MOST = 6
"""Tries until a signal comes neither before the flow has begun nor after its end."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
FLOWS = ("train", "train_grid", "evaluate", "preprocess", "predict")


@dataclass
class Found:
    """What all signals to one flow came to."""

    points: int = 0
    ok: int = 0
    too_late: int = 0
    too_early: int = 0
    corrupt: int = 0
    not_bit_equal: int = 0
    slowest_s: float = 0.0


def run(
    part: int,
    parts: int,
    seed: int,
    store: str,
    each: int = EACH,
    flows: Sequence[str] = FLOWS,
) -> dict[str, Any]:
    """Send this part's share of the signals."""
    assert store == "folder", "the flows are tried where they are quick"
    torch.set_num_threads(1)
    for flow in flows:
        importlib.import_module(f"tasks.{flow}")  # once, before the forks
    counts = {flow: Found() for flow in flows}
    told: list[str] = []
    with worlds.prepare() as commands:
        for flow in flows:
            trier = Trier(commands, flow)
            chance = random.Random(f"signals {flow} {seed} {part}/{parts}")
            todo = [signum for signum in SIGNALS for _ in range(each)][part - 1 :: parts]
            count = counts[flow]
            for signum in todo:
                enough, tries = count.points + 1, 0
                while count.points < enough and tries < MOST:
                    told += trier.try_signal(signum, chance, count)
                    tries += 1
    names = ("points", "ok", "too_late", "too_early", "corrupt", "not_bit_equal")
    return {
        **{name: sum(getattr(count, name) for count in counts.values()) for name in names},
        "lost_epochs": sum("is lost" in one for one in told),
        "slowest_s": max(round(count.slowest_s, 1) for count in counts.values()),
        "flows": {flow: vars(count) | {"slowest_s": 0} for flow, count in counts.items()},
        "told": told,
    }


class Trier:
    """One flow with its flags, how long it takes, and what it should come to."""

    def __init__(self, commands: worlds.Commands, flow: str) -> None:
        self.commands, self.flow = commands, flow
        training = ["--dataset", commands.dataset, *worlds.QUICK, "--epochs", "3"]
        self.flags = {
            "train": training,
            "train_grid": [*training, "--grid", "lr=0.002"],
            "evaluate": ["--split", "train"],
            "preprocess": ["--data", str(commands.streets), *SMALL[2:], "--clip-frames", "2"],
            "predict": ["--data", str(commands.streets), "--out", "masks", "--frames", "all"],
        }[flow]
        with self._world() as world:
            began = time.monotonic()
            code = wait(self._fork(world))
            self.seconds = time.monotonic() - began
            assert code == 0, (world.root / "err").read_text()
            self.expected = self._digests(world)

    def try_signal(self, signum: int, chance: random.Random, count: Found) -> list[str]:
        """Send it once at a random moment, look, run again, look; what is wrong."""
        with self._world() as world:
            pid = self._fork(world)
            time.sleep(chance.uniform(0, self.seconds))
            sent = time.monotonic()
            os.kill(pid, signum)
            code = wait(pid)
            seconds = time.monotonic() - sent
            told = [f"it took {seconds:.1f} s to go"] if seconds > GONE_S else []
            err, out = ((world.root / name).read_text() for name in ("err", "out"))
            told += self._wrong_end(signum, code, err, out)
            corrupt = worlds.wrong(world.store)
            told += corrupt + self._lost(world, err)
            again = wait(self._fork(world))
            if again != 0:
                told.append(
                    f"again it ended with {again}: {(world.root / 'err').read_text()[-500:]}"
                )
            unequal = again == 0 and self._digests(world) != self.expected
            if unequal:
                told.append("the result is another one")
            corrupt += worlds.wrong(world.store)
        hit = code not in {0, -signum}
        count.points += hit or bool(told)
        count.ok += hit and not told
        count.too_late += code == 0
        count.too_early += code == -signum
        count.corrupt += len(corrupt)
        count.not_bit_equal += unequal
        count.slowest_s = max(count.slowest_s, seconds)
        return [f"{self.flow}, {signal.Signals(signum).name}: {one}" for one in told]

    def _wrong_end(self, signum: int, code: int, err: str, out: str) -> list[str]:
        if code in {0, -signum}:  # it was done, or had not begun
            return [] if code == 0 or not out else ["it was killed and had said its line"]
        if code != 128 + signum:
            return [f"it ended with {code}: {err[-500:]}"]
        sentence = f"stopped by {signal.Signals(signum).name}"
        try:
            said = json.loads(out)
        except ValueError:
            return [f"it said no JSON line: {out!r}"]
        if "Traceback" in err or _sentences(err) != 1 or said["status"] != "stopped":
            return [f"no one sentence: {err[-500:]}"]
        if said["error"] != {"sentence": sentence, "exit_code": code}:
            return [f"it said {said['error']}"]
        return []

    def _lost(self, world: World, err: str) -> list[str]:
        """Epochs that were said to be saved, and that no head has."""
        said = max(map(int, worlds.SAVED.findall(err)), default=0)
        store = open_store(str(world.store), write=False)
        last = worlds.last_epoch(store, self.commands.trial)
        return [f"epoch {said} is lost"] if said > last else []

    def _digests(self, world: World) -> dict[str, Any]:
        return worlds.digests(open_store(str(world.store), write=False), world.root / "masks")

    def _world(self) -> Any:
        return self.commands.copy()

    def _fork(self, world: World) -> int:
        """Start the flow in a child; its pid."""
        pid = os.fork()
        if pid:
            return pid
        try:
            for signum in SIGNALS:
                signal.signal(signum, signal.SIG_DFL)
            self._become(world)
        finally:
            os._exit(99)

    def _become(self, world: World) -> None:
        os.chdir(world.root)
        os.environ.clear()
        os.environ.update(world.env)
        for name, number in (("out", 1), ("err", 2)):
            descriptor = os.open(world.root / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, number)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # pytest has put others there
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  # same
        path = str(ROOT / "flows" / f"{self.flow}.py")
        sys.argv = [path, *self.flags]
        code: Any = 98
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as done:
            code = done.code
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _sentences(err: str) -> int:
    return sum(line.startswith("error: ") for line in err.splitlines())

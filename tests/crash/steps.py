"""Stop after every step of an epoch of 30 steps, go on, and compare bits.

    python -m tests.crash steps --part 1/1

Both epochs of a trial of 30 clips at batch 1 are stopped by SIGTERM after each of their steps in turn and
resumed, in fp32 and in bf16, with the same number of reader threads and with another one.
"""

import contextlib
import os
import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from support.tiny_dataset import draw_cityscapes, make_tiny_dataset

from crash import tiny
from crash.forks import in_child
from crash.places import Fresh, damage, place
from segnets.config.ids import trial_id
from segnets.data.reader import open_dataset
from segnets.errors import Stopped
from segnets.inference.device import has_bf16
from segnets.store.log import read_head
from segnets.store.open import open_store

STEPS = 30
EPOCHS = 2
CLIPS = {"train": STEPS, "val": 2}
READERS = (0, 1, 4)
SETTINGS = {"epochs": EPOCHS, "batch_size": 1}


@dataclass(frozen=True)
class Point:
    """One stop: after which step, in which precision, with how many readers before and after."""

    step: int
    precision: str
    before: int
    after: int


def points() -> list[Point]:
    """Every stop there is; bf16 only where this processor has it."""
    precisions = ["fp32", "bf16"] if has_bf16("cpu") else ["fp32"]
    return [
        Point(step, precision, READERS[step % 3], READERS[(step + changed) % 3])
        for precision in precisions
        for step in range(1, EPOCHS * STEPS + 1)
        for changed in (0, 1)
    ]


def run(
    part: int, parts: int, seed: int, store: str, only: list[Point] | None = None
) -> dict[str, Any]:
    """Try this part's share of the points."""
    found = {"points": 0, "ok": 0, "lost_epochs": 0, "corrupt": 0, "not_bit_equal": 0}
    told: list[str] = []
    mine = (points() if only is None else only)[part - 1 :: parts]
    with long_epochs() as made, place(store, made.folder) as fresh:
        calm = {
            precision: tiny.undisturbed(made, precision=precision, **SETTINGS)
            for precision in sorted({point.precision for point in mine})
        }
        for point in mine:
            faults = try_point(made, fresh, point, calm[point.precision], seed)
            found["points"] += 1
            found["ok"] += not faults
            for fault in faults:
                found[fault.partition(":")[0]] += 1
                told.append(f"{fault} ({point})")
    return {**found, "bf16": has_bf16("cpu"), "told": told}


def try_point(
    made: tiny.Made, fresh: Fresh, point: Point, calm: tiny.Digests, seed: int = 0
) -> list[str]:
    """Stop and go on; what is wrong then, each beginning with the name of the count it belongs to."""
    url = fresh()
    settings = {**SETTINGS, "precision": point.precision}
    faults = []

    def stop(step: int, _steps: int) -> None:
        if step == point.step:
            os.kill(os.getpid(), signal.SIGTERM)

    with contextlib.suppress(Stopped):
        tiny.run_trial(url, made, on_step=stop, workers=point.before, **settings)
    store = open_store(url, write=False)
    head = read_head(store, trial_id(tiny.config(made, **settings)))
    if head is None or (head.event, head.step) != ("stopped", point.step):
        faults.append(f"lost_epochs: the head is not that of the stop: {head}")
    forget_the_seed(seed + point.step)
    result = tiny.run_trial(url, made, workers=point.after, **settings)
    if result.resumed_from is None or result.resumed_from["step"] != point.step:
        faults.append(f"lost_epochs: it went on from {result.resumed_from}")
    if tiny.digests(url, made, **settings) != calm:
        faults.append("not_bit_equal: the result is another one")
    faults += [f"corrupt: {fault}" for fault in damage(store)]
    if "://" not in url:
        shutil.rmtree(url)
    return faults


@contextlib.contextmanager
def long_epochs() -> Iterator[tiny.Made]:
    """The tiny trial with a dataset that makes an epoch of 30 steps."""
    with tiny.prepare() as made:
        folder = made.fresh("long")
        draw_cityscapes(folder / "data", CLIPS)
        url, cache = str(folder / "store"), folder / "cache"

        def make() -> str:
            return make_tiny_dataset(folder / "data", open_store(url, write=True), cache)

        # in a child: the threads of the PNG decoder would not survive the forks of this process
        ended = in_child(make)
        assert ended.returned, ended
        dataset = str(ended.value)
        with open_dataset(open_store(url, write=False), dataset, cache) as opened:
            yield replace(made, folder=folder, dataset=dataset, opened=opened)


def forget_the_seed(number: int) -> None:
    """Leave the random states of the process as another one would find them: anywhere."""
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002  # the global generator is what is meant
    torch.manual_seed(number)

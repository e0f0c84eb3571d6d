"""The store is away for two minutes: training waits, says so, and loses no step.

    python -m tests.crash outage --part 1/1 --store rclone

The server is behind a proxy that closes its port in the middle of the second epoch. Checked: the epoch is
trained to its end; from then on a line every ten seconds says for what is waited; every step was made
once, by one attempt; and the result is to the bit that of a run that nothing disturbs.
"""

import logging
import os
import time
from pathlib import Path
from typing import Any

from support.proxy import FaultProxy

from crash import tiny
from crash.places import damage, environment, fork, place, wait
from segnets.config.ids import trial_id
from segnets.store.log import read_history
from segnets.store.open import open_store
from segnets.store.retry import SAY_EVERY_S

AWAY_S = 120.0
SETTINGS = {"epochs": 4}
STEPS = [(step, 3 * SETTINGS["epochs"]) for step in range(1, 3 * SETTINGS["epochs"] + 1)]
CLOSES_AT = 4
"""The step in which the line is cut, the first one of epoch 2."""


def run(part: int, parts: int, seed: int, store: str, away_s: float = AWAY_S) -> dict[str, Any]:
    """One outage in each part; the seed changes nothing."""
    with tiny.prepare() as made, place(store, made.folder) as fresh:
        calm = tiny.undisturbed(made, **SETTINGS)
        url = fresh()
        told, waited = _outage(made, url, away_s)
        there = open_store(url, write=False)
        trial = trial_id(tiny.config(made, **SETTINGS))
        if len({entry.attempt for entry in read_history(there, trial)}) != 1:
            told.append("it took more than one attempt")
        is_equal = tiny.digests(there, made, **SETTINGS) == calm
        corrupt = damage(there)
    told += corrupt + ([] if is_equal else ["other bits"])
    return {
        "points": 1,
        "ok": int(not told),
        "lost_epochs": sum("epochs" in one for one in told),
        "corrupt": len(corrupt),
        "not_bit_equal": int(not is_equal),
        "away_s": away_s,
        "said_that_it_waits": waited,
        "told": told,
    }


def _outage(made: tiny.Made, url: str, away_s: float) -> tuple[list[str], int]:
    """Train behind a line that is cut; what is wrong, and how many lines said that it waits."""
    folder = made.fresh("outage")
    faults, acks, steps, log = (folder / name for name in ("faults", "acks", "steps", "log"))
    ready, down = folder / "ready", folder / "down"

    def on_step(step: int, of: int) -> None:
        tiny.ack(steps, f"{step}/{of}")
        if step == CLOSES_AT:
            ready.touch()
            _wait_for(down)

    def body() -> None:
        logging.disable(logging.NOTSET)
        logging.basicConfig(filename=log, level=logging.INFO, force=True)
        tiny.run_trial(url, made, acks=acks, on_step=on_step, wait_s=10 * away_s, **SETTINGS)

    with FaultProxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        with environment({"AWS_ENDPOINT_URL": proxy.endpoint}):
            child = fork(body, faults)
        _wait_for(ready)
        proxy.refuse()
        began = time.monotonic()
        down.touch()
        while time.monotonic() - began < away_s:
            time.sleep(0.1)
        said_meanwhile = tiny.acknowledged(acks)
        proxy.accept()
        code = wait(child)
    lines = log.read_text().splitlines()
    waits = sum("waiting for the store to" in line for line in lines)
    expected = [f"{step}/{of}" for step, of in STEPS]
    wrong = {
        f"it ended with {code}": code != 0,
        f"steps were made otherwise: {tiny.acknowledged(steps)}": tiny.acknowledged(steps)
        != expected,
        f"epochs were said while the store was away: {said_meanwhile}": said_meanwhile
        not in ([], ["1"]),  # the first one's save may still have been under way
        f"epochs were said otherwise: {tiny.acknowledged(acks)}": tiny.acknowledged(acks)
        != [str(epoch + 1) for epoch in range(SETTINGS["epochs"])],
        f"it said {waits} times that it waits": waits < away_s / SAY_EVERY_S - 2,
        "it did not say that the store is back": not any("the store is back" in n for n in lines),
    }
    return [sentence for sentence, is_so in wrong.items() if is_so] + _told(faults), waits


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.005)


def _told(path: Path) -> list[str]:
    return [path.read_text()] if path.exists() else []

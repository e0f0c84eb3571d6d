"""kill -9 of a real `python flows/train.py` at random moments, until it gets to its end.

    python -m tests.crash shell --part 1/1 --store rclone      20 kills in 1/1, shared out by n

What was said to be saved is read from its stderr. After each kill that epoch must be in the head and
everything as it was sealed; the last start must end with the digests of a run that nothing disturbs.
"""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from support.commands import World, ended

from crash import worlds
from crash.places import damage, place, share
from segnets.store.open import open_store

KILLS = 20
AT_A_TIME = 4
"""Kills of one trial before it may get to its end."""
LIMIT_S = 600.0
"""Longest time for a command; it takes 10 to 20 s on a quiet machine."""
FLAGS = [*worlds.QUICK, "--epochs", "4"]


def run(part: int, parts: int, seed: int, store: str, kills: int = KILLS) -> dict[str, Any]:
    """Kill until this part's share of the kills is made."""
    left = share(kills, part, parts)
    chance = random.Random(f"shell {store} {seed} {part}/{parts}")
    found: dict[str, Any] = dict.fromkeys(
        ("points", "ok", "lost_epochs", "corrupt", "not_bit_equal", "resumed", "acknowledged"), 0
    )
    found["told"] = []
    with worlds.prepare() as commands, commands.copy() as world:
        began = time.monotonic()
        flags = ["--dataset", commands.dataset, *FLAGS]
        calm = world.run("train", *flags)
        longest = time.monotonic() - began
        assert calm.code == 0, calm.err
        expected = worlds.digests(open_store(str(world.store), write=False))
        with place(store, world.root.parent) as fresh:
            while found["points"] < left:
                most = min(AT_A_TIME, left - found["points"])
                url = fresh()
                fill(commands.world.store, url)
                one = _kill_until_done(world, url, flags, commands.trial, chance, longest, most)
                one["not_bit_equal"] = worlds.digests(open_store(url, write=False)) != expected
                one["points"] = most
                one["ok"] = 0 if one["told"] or one["not_bit_equal"] else most
                found = {name: found[name] + one[name] for name in found}
    return found


def fill(source: Path, url: str) -> None:
    """Copy a store that is a folder into another one."""
    if "://" not in url:
        shutil.copytree(source, url)
        return
    there, here = open_store(url, write=True), open_store(str(source), write=False)
    for listed in here.list(""):
        there.put(listed.key, here.get(listed.key))


def _kill_until_done(
    world: World,
    url: str,
    flags: list[str],
    there: str,
    chance: random.Random,
    longest: float,
    most: int,
) -> dict[str, Any]:
    told: list[str] = []
    corrupt: list[str] = []
    said: list[int] = []
    resumed, killed = 0, 0
    lost = 0
    while True:
        process = world.popen("train", *flags, "--store", url, **_aws())
        if killed < most:
            try:
                process.wait(chance.uniform(0, longest))
            except subprocess.TimeoutExpired:
                process.kill()
        done = ended(process, LIMIT_S)
        resumed += "goes on from the checkpoint" in done.err
        said += [int(epoch) for epoch in worlds.SAVED.findall(done.err)]
        store = open_store(url, write=False)
        lost += max(said, default=0) > worlds.last_epoch(store, there)
        corrupt += [one for one in damage(store) if "no line of it" not in one]
        if done.code != -9:
            break
        killed += 1
    if done.code != 0:
        told.append(f"{url}: the last start ended with {done.code}: {done.err[-500:]}")
    if len(said) != len(set(said)):
        told.append(f"{url}: an epoch was said twice: {said}")
    told += [f"{url}: {one}" for one in corrupt]
    told += [f"{url}: an epoch is lost"] * lost
    return {
        "told": told,
        "corrupt": len(corrupt),
        "lost_epochs": lost,
        "resumed": resumed,
        "acknowledged": len(said),
    }


def _aws() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith("AWS_")}

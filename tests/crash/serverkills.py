"""kill -9 of the S3 server in the middle of uploads: training waits for the next one, nothing is lost.

    python -m tests.crash serverkills --part 1/1 --store rclone      50 kills in 1/1, shared out by n

A trial of some megabytes saves after every step. Each time the server is killed while a file is on its
way to it, and started again on the same port and folder. Meanwhile a reader reads every file that the
head names, over and over: bytes that are not those that were sealed are a wrong read. In the end the
trial has trained in one go, and its result is to the bit that of a run that nothing disturbs. What a
killed rclone leaves beside the objects is counted: files that no S3 request can see.
"""

import contextlib
import itertools
import json
import mmap
import random
import time
from pathlib import Path
from typing import Any

import torch
from support.servers import S3Server, free_port, ministack_server, rclone_server
from support.tiny_dataset import TinyNet

from crash import tiny
from crash.kills import saves_after_each_step
from crash.places import damage, environment, fork, share, wait
from segnets.config.ids import trial_id
from segnets.errors import Corrupt, NotFound
from segnets.models.registry import MODELS
from segnets.store.base import Store
from segnets.store.entry import read_file
from segnets.store.log import read_head, read_history
from segnets.store.open import open_store
from segnets.store.s3 import S3Store

KILLS = 50
AT_A_TIME = 10
"""Kills within one trial; it has 18 saves."""
SETTINGS = {"epochs": 6}
WAIT_S = 60.0
BALLAST = 750_000
HIDDEN = ".rclone_multipart_upload_*"


class HeavyNet(TinyNet):
    """The tiny net with 3 MB more of weights, so that a save takes its time: 12 MB with its optimizer."""

    def __init__(self) -> None:
        super().__init__()
        self.ballast = torch.nn.Parameter(torch.zeros(BALLAST))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = super().forward(clips)
        return logits + self.ballast.sum()


class Server:
    """A server that can be killed and started again where it was."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._start = {"rclone": rclone_server, "ministack": ministack_server}[kind]
        self._folder, self._port = folder, free_port()
        self._running = contextlib.ExitStack()

    def start(self) -> S3Server:
        """Start it; it answers."""
        return self._running.enter_context(self._start(self._folder, port=self._port))

    def kill(self) -> None:
        """SIGKILL; its folder stays."""
        self._running.close()


def run(part: int, parts: int, seed: int, store: str, kills: int = KILLS) -> dict[str, Any]:
    """Kill until this part's share of the kills is made."""
    left = share(kills, part, parts)
    chance = random.Random(f"serverkills {store} {seed} {part}/{parts}")
    names = ("points", "ok", "lost_epochs", "corrupt", "not_bit_equal", "reads", "wrong_reads")
    found: dict[str, Any] = {**dict.fromkeys(names, 0), "told": []}
    with tiny.prepare() as made:
        MODELS["resnet_convlstm"] = lambda _: HeavyNet()  # `prepare` puts the real one back
        calm = tiny.undisturbed(made, **SETTINGS)
        server = Server(store, made.folder)
        running = server.start()
        try:
            with environment(running.env):
                for number in itertools.count():  # a trial may get to its end without a kill
                    if found["points"] >= left:
                        break
                    url = f"s3://{running.bucket}/p{number}"
                    most = min(AT_A_TIME, left - found["points"])
                    one = _Trial(made, url, calm).run(server, chance, most)
                    found = {name: found[name] + one[name] for name in found}
        finally:
            server.kill()
        hidden = sum(1 for _ in running.folder.rglob(HIDDEN))
    return {**found, "hidden_files": hidden}


class _Trial:
    """One trial, the child that trains it, and the child that reads what is there."""

    def __init__(self, made: tiny.Made, url: str, calm: tiny.Digests) -> None:
        self.made, self.url, self.calm = made, url, calm
        self.trial = trial_id(tiny.config(made, **SETTINGS))
        folder = made.fresh("said")
        self.acks, self.faults, self.read = folder / "acks", folder / "faults", folder / "read"
        self.is_over = folder / "over"
        self.busy = mmap.mmap(-1, 1)  # shared with the child: whether a file is on its way

    def run(self, server: Server, chance: random.Random, most: int) -> dict[str, Any]:
        """Train, kill the server `most` times at the most, then look at the result."""
        with saves_after_each_step():
            trainer, reader = fork(self._train, self.faults), fork(self._reads, self.faults)
        kills = 0
        while kills < most and self._wait_for_upload(chance):
            server.kill()
            kills += 1
            time.sleep(chance.uniform(0, 0.3))
            server.start()
        code = wait(trainer)
        self.is_over.touch()
        read_code = wait(reader)
        told = [f"{self.url}: it ended with {code}"] if code else []
        told += [f"{self.url}: the reader ended with {read_code}"] if read_code else []
        told += [self.faults.read_text()] if self.faults.exists() else []
        reads, wrong = json.loads(self.read.read_text()) if self.read.exists() else (0, [])
        store = open_store(self.url, write=False, wait_s=WAIT_S)
        corrupt, lost = damage(store), self._lost(store)
        is_equal = tiny.digests(store, self.made, **SETTINGS) == self.calm
        told += [*wrong, *corrupt, *lost, *([] if is_equal else [f"{self.url}: other bits"])]
        return {
            "points": kills,
            "ok": 0 if told else kills,
            "lost_epochs": len(lost),
            "corrupt": len(corrupt),
            "not_bit_equal": int(not is_equal),
            "reads": reads,
            "wrong_reads": len(wrong),
            "told": told,
        }

    def _train(self) -> None:
        real = S3Store.put

        def put(store: S3Store, key: str, data: bytes) -> None:
            self.busy[0] = key.startswith("obj/trial")
            try:
                real(store, key, data)
            finally:
                self.busy[0] = 0

        S3Store.put = put  # type: ignore[method-assign]
        tiny.run_trial(self.url, self.made, acks=self.acks, wait_s=WAIT_S, **SETTINGS)

    def _reads(self) -> None:
        """Read every file that the head names until all is over; how many, and which were wrong."""
        store, reads, wrong = open_store(self.url, write=False, wait_s=WAIT_S), 0, []
        while not self.is_over.exists():
            head = read_head(store, self.trial)
            files = {file for live in head.live for file in live.files} if head else set()
            for file in files:
                try:
                    read_file(store, file)
                    reads += 1
                except NotFound:
                    break  # dropped by a newer commit: look again
                except Corrupt as error:
                    wrong.append(str(error))
        self.read.write_text(json.dumps([reads, wrong]))

    def _wait_for_upload(self, chance: random.Random) -> bool:
        """Wait for a moment in the middle of an upload; False when the trial is done first."""
        skip = chance.randrange(4)  # files of a save to let pass
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            _let_pass(self.busy, skip)
            time.sleep(chance.uniform(0, 0.05))
            if self.busy[0]:
                return True
            if len(tiny.acknowledged(self.acks)) >= SETTINGS["epochs"]:
                return False
        return False

    def _lost(self, store: Store) -> list[str]:
        """Epochs that were said and are not in the history, or were trained by a second attempt."""
        history = list(read_history(store, self.trial))
        kept = {str(entry.epoch) for entry in history if entry.is_commit}
        lost = [
            f"{self.url}: epoch {one} is lost"
            for one in tiny.acknowledged(self.acks)
            if one not in kept
        ]
        if len({entry.attempt for entry in history}) != 1:
            lost.append(f"{self.url}: it took more than one attempt")
        return lost


def _let_pass(busy: mmap.mmap, files: int) -> None:
    """Wait until one more than so many files have begun, or nothing has moved for a second."""
    for wanted in (0, 1) * (files + 1):
        until = time.monotonic() + 1.0
        while busy[0] != wanted:
            if time.monotonic() > until:
                return
            time.sleep(0.0005)

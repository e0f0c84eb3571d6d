"""What saving costs a training loop: ours, a save that blocks, and torch's own asynchronous save.

A round gives every way of saving the same number of real steps, with one save begun at their start, as
at the end of an epoch. What a way takes more than no saving is the price of one save; of an epoch of
30 s it is the share that counts. The window is shorter than an epoch, but longer than a save.
"""

import hashlib
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

from segnets.config.train import TrainConfig
from segnets.losses import cross_entropy
from segnets.models.registry import build
from segnets.store.log import claim
from segnets.store.s3 import S3Store
from segnets.training.checkpoint import state_bytes
from segnets.training.optim import build_optimizer
from segnets.training.state import TrainState, snapshot
from segnets.training.step import train_step
from segnets.training.uploader import Retention, Save, Saver

BATCH, HEIGHT, WIDTH = 4, 112, 224
CONFIG = TrainConfig(temporal="none", precision="fp32", ema=0)  # ResNet-18, AdamW
SHA256 = "0" * 64


class SlowStore(S3Store):
    """Object storage behind a line of so many MB/s: the parts in flight share it."""

    megabytes_s = 40.0

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._line, self._line_free = threading.Lock(), 0.0

    def _once(self, operation: str, **arguments: Any) -> Any:
        takes = len(arguments.get("Body", b"")) / 1e6 / self.megabytes_s
        with self._line:
            until = self._line_free = max(self._line_free, time.monotonic()) + takes
        answer = super()._once(operation, **arguments)
        time.sleep(max(0.0, until - time.monotonic()))
        return answer


class Training:
    """A model in training, a step at a time, on clips that lie in memory."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        module = build(CONFIG).train()
        self.state = TrainState(module, None, build_optimizer(module, CONFIG), total_steps=10**6)
        self.clips = torch.randn(BATCH, 1, 3, HEIGHT, WIDTH)
        self.labels = torch.randint(0, 19, (BATCH, HEIGHT, WIDTH))

    def steps(self, num: int) -> None:
        """Make `num` steps."""
        for _ in range(num):
            train_step(
                self.state.module,
                self.state.optimizer,
                self.clips,
                self.labels,
                loss=cross_entropy,
                weights=None,
                clip_grad=CONFIG.clip_grad,
                autocast=nullcontext,
            )
            self.state.step += 1


@dataclass
class Took:
    """Seconds of one window, by the wall and of this process's CPU time."""

    wall: float
    cpu: float


class Ways:
    """Each way of saving: a function that begins a save, and one that waits for its end."""

    def __init__(self, store: SlowStore, folder: Path) -> None:
        self.training, self._store, self._folder = Training(), store, folder
        self.training.steps(3)  # so that the optimiser has its state
        self._log = claim(store, "bench-1", SHA256, env={}, take_over=True)
        self._saver = Saver(self._log, Retention(2, 0, 1), b"{}", None)
        self._num_dcp = 0
        self.state_bytes = len(state_bytes(self._taken()))
        self.save_seconds: dict[str, list[float]] = {}
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/rendezvous", rank=0, world_size=1
        )

    def close(self) -> None:
        """End the beat and the process group."""
        self._log.close()
        dist.destroy_process_group()

    def rivals(self) -> dict[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
        """Name -> (begin, finish)."""
        return {
            "none": (lambda: None, lambda _: None),
            "loop_with_checkpoints": (lambda: self._ours(best=False), self._collect),
            "loop_with_checkpoints_and_best": (lambda: self._ours(best=True), self._collect),
            "loop_blocking_save": (self._blocking, lambda _: None),
            "loop_dcp_async": (self._dcp, lambda saving: saving.result()),
        }

    def _taken(self) -> dict[str, Any]:
        state = self.training.state
        state.epoch += 1
        return snapshot(state, ["train/a"], {"threads": 1})

    def _ours(self, *, best: bool) -> None:
        taken = self._taken()
        taken["best"] = {"epoch": taken["position"]["epoch"], "step": self.training.state.step}
        if not best:
            taken["best"] = None
        self._saver.start(Save("checkpoint", taken, {}, lambda _: {}))

    def _collect(self, _: None) -> None:
        self._saver.wait()
        self._saver.collect()
        self.save_seconds.setdefault("ours", []).append(self._saver.seconds_background)

    def _blocking(self) -> None:
        began = time.monotonic()
        data = state_bytes(self._taken())
        key = f"obj/trial/bench-2/000001-{'0' * 16}/0-{hashlib.sha256(data).hexdigest()}"
        self._store.put(key, data)
        self._store.delete([key])
        self.save_seconds.setdefault("blocking", []).append(time.monotonic() - began)

    def _dcp(self) -> Any:
        state = self.training.state
        content = {"model": state.module.state_dict(), "optimizer": state.optimizer.state_dict()}
        self._num_dcp += 1  # a folder each: it does not overwrite in silence
        return dcp.async_save(content, checkpoint_id=str(self._folder / f"dcp{self._num_dcp}"))


def measure(ways: Ways, *, rounds: int, window_s: float) -> dict[str, list[Took]]:
    """What each way took in every round, after one round that warms up; the order turns."""
    began = time.monotonic()
    ways.training.steps(10)
    steps = max(10, round(window_s / ((time.monotonic() - began) / 10)))
    rivals = list(ways.rivals().items())
    took: dict[str, list[Took]] = {name: [] for name, _ in rivals}
    for done in range(rounds + 1):
        turn = done % len(rivals)
        for name, (begin, finish) in rivals[turn:] + rivals[:turn]:
            wall, cpu = time.monotonic(), time.process_time()
            saving = begin()
            ways.training.steps(steps)
            finish(saving)
            if done:
                took[name].append(Took(time.monotonic() - wall, time.process_time() - cpu))
        print(f"loop: round {done} of {rounds}, {steps} steps each", file=sys.stderr)
    return took

"""One trial on several processes, one a GPU, as torchrun starts them: shares of a batch, sums over all.

Rank 0 is the trial: it claims, saves and tells. The others take the state from it, make the same steps
on their shares, and leave when it does. Every sum is taken over all ranks, so a step is that of one
process on the whole batch up to the order in which numbers are added: other bits, hence the number of
ranks is sealed like the kind of machine.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from segnets.errors import RankLost

PATIENCE = timedelta(hours=6)
"""How long a rank waits for another: rank 0 may be waiting for a store that is away."""


@dataclass(slots=True)
class Ranks:
    """The processes of one trial; alone, every method is free and changes no bit."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    is_begun: bool = False
    """Whether rank 0 has said how to begin."""

    def share(self, indices: Sequence[int]) -> list[int]:
        """The samples of a batch that are this rank's; all where there are fewer than ranks."""
        return list(indices[self.rank :: self.size] if self.splits(len(indices)) else indices)

    def splits(self, num: int) -> bool:
        """Whether a batch of `num` samples is divided among several ranks."""
        return 1 < self.size <= num

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all ranks, in place."""
        if self.size > 1:
            with _all_there():
                dist.all_reduce(value)
        return value

    def sum_together(self, values: Sequence[Tensor]) -> None:
        """The sums over all ranks of float32 tensors, in place, in one message."""
        if self.size == 1 or not values:
            return
        flat = self.sum(torch.cat([value.reshape(-1) for value in values]))
        parts = torch.split(flat, [value.numel() for value in values])
        for value, part in zip(values, parts, strict=True):
            value.copy_(part.view(value.shape))

    def agreed(self, *, asked: bool) -> bool:
        """What rank 0 says, on all ranks."""
        if self.size == 1:
            return asked
        flag = torch.tensor(int(asked), device=self.device)
        with _all_there():
            dist.broadcast(flag, 0)
        return bool(flag)

    def processes(self) -> list[int]:
        """The pid of each rank, all of one machine."""
        found: list[Any] = [None] * self.size
        with _all_there():
            dist.all_gather_object(found, os.getpid())
        return found

    def begin(self, content: dict[str, Any] | None) -> dict[str, Any] | None:
        """What rank 0 begins with, on all ranks; None if there is nothing to do."""
        if self.size == 1 or self.is_begun:
            return content
        self.is_begun = True
        said = [content]
        with _all_there():
            dist.broadcast_object_list(said, 0, device=self.device)
        return said[0]


ALONE = Ranks()


@contextmanager
def _all_there() -> Iterator[None]:
    """RankLost where torch says that a message did not arrive."""
    try:
        yield
    except RuntimeError as error:
        raise RankLost(
            "a process of this trial was killed",
            f"rank {dist.get_rank()} of {dist.get_world_size()} heard no other one "
            f"({str(error).partition(chr(10))[0][:160]})",
            "Run the same command again: it goes on from the last save.",
        ) from error


def join(rank: int, size: int, device: torch.device) -> Ranks:
    """Join the ranks that torchrun's environment names: nccl between GPUs, gloo between CPUs."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return Ranks(rank, size, device)


class _Sum(torch.autograd.Function):
    """The sum over all ranks; the gradient of a sum that all of them use is the sum of theirs."""

    @staticmethod
    def forward(_context: Any, value: Tensor) -> Tensor:
        value = value.clone()
        with _all_there():
            dist.all_reduce(value)
        return value

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        with _all_there():
            dist.all_reduce(gradient)
        return gradient


class SyncNorm(nn.BatchNorm2d):
    """Batch norm over the samples of all ranks, on any device; torch's own refuses CPUs.

    Parameters and buffers are BatchNorm2d's. Statistics are float32 or wider in any number format.
    """

    is_synced = True

    def forward(self, value: Tensor) -> Tensor:
        """(N, C, H, W) to the same; in eval mode, and on a batch that is not divided, BatchNorm2d."""
        if not (self.training and self.is_synced):
            return super().forward(value)
        wide = value.to(torch.promote_types(value.dtype, torch.float32))
        channels = wide.shape[1]
        sums = torch.cat([wide.sum((0, 2, 3)), wide.new_full((1,), wide.numel() / channels)])
        sums = _sum(sums)
        count = sums[-1].detach()
        mean = (sums[:-1] / count).view(1, -1, 1, 1)
        centred = wide - mean
        # a second message: mean of squares minus square of the mean would cancel digits
        variance = _sum(centred.square().sum((0, 2, 3))) / count
        if self.track_running_stats:
            self._follow(mean.detach().flatten(), variance.detach(), count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        made = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return made.to(value.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


def _sum(value: Tensor) -> Tensor:
    made: Tensor = _Sum.apply(value)
    return made


def sync_norms(module: nn.Module) -> list[SyncNorm]:
    """Put a SyncNorm with the same parameters in the place of every BatchNorm2d; returns them."""
    made = []
    for parent in module.modules():
        for name, norm in list(parent.named_children()):
            if type(norm) is nn.BatchNorm2d:
                synced = SyncNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
                synced.weight, synced.bias = norm.weight, norm.bias
                for buffer, value in norm.named_buffers():
                    setattr(synced, buffer, value)
                setattr(parent, name, synced.train(norm.training))
                made.append(synced)
    return made


def set_synced(norms: Iterable[SyncNorm], *, on: bool) -> None:
    """Whether these norms look at all ranks: not where each has the whole batch."""
    for norm in norms:
        norm.is_synced = on

"""One training step: forward, loss, backward, clip, update.

Letters: N clips, T frames, H W pixels, K = 19 classes.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from segnets.errors import Diverged
from segnets.labels import IGNORE_INDEX, NUM_CLASSES
from segnets.losses import loss_weight
from segnets.metrics.confusion import confusion
from segnets.training.distributed import ALONE, Ranks

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(slots=True)
class StepResult:
    """What one step gives: its loss, the gradient's norm before clipping, and counts (19, 20)."""

    loss: float
    grad_norm: float
    counts: Tensor


@dataclass(slots=True)
class Totals:
    """Sums over the steps of one epoch; they go into the checkpoint, so a resumed epoch adds up.

    Plain floats and an int64 matrix, added in the order of the steps, hence equal to the bit.
    """

    loss_sum: float = 0.0
    grad_norm_sum: float = 0.0
    steps: int = 0
    clips: int = 0
    counts: Tensor = field(
        default_factory=lambda: torch.zeros(NUM_CLASSES, NUM_CLASSES + 1, dtype=torch.int64)
    )

    def add(self, result: StepResult, num_clips: int) -> None:
        """Add a step over `num_clips` clips."""
        self.loss_sum += result.loss * num_clips
        self.grad_norm_sum += result.grad_norm
        self.steps += 1
        self.clips += num_clips
        self.counts += result.counts

    @property
    def loss(self) -> float:
        """Mean loss of a clip."""
        return self.loss_sum / max(self.clips, 1)

    @property
    def grad_norm(self) -> float:
        """Mean gradient norm of a step."""
        return self.grad_norm_sum / max(self.steps, 1)


def train_step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    clips: Tensor,
    labels: Tensor,
    *,
    loss: Loss,
    weights: Tensor | None,
    clip_grad: float,
    autocast: Callable[[], AbstractContextManager[Any]],
    ranks: Ranks = ALONE,
) -> StepResult | None:
    """Update the module once on normalised clips (N, T, 3, H, W) and labels (N, H, W) int64.

    `ranks` are those that the batch is divided among; the result is that of the whole batch.

    None if no pixel is labelled (a crop can do that): nothing is touched then, not even the running
    statistics, and the step still counts. Raises Diverged before the update when loss or gradient
    is not finite, so the weights stay those of the last good step.
    """
    if not bool(ranks.sum((labels != IGNORE_INDEX).sum())):
        return None
    optimizer.zero_grad(set_to_none=True)
    with autocast():
        logits = module(clips)  # (N, K, H, W)
    value = loss(logits, labels, weights)
    if ranks.size > 1:  # its part of the mean over the pixels of all ranks
        weight = loss_weight(labels, weights)
        value = value * (weight / ranks.sum(weight.clone()))
    total = ranks.sum(value.detach().clone())
    _require_finite(total, "loss")
    value.backward()  # type: ignore[no-untyped-call]  # torch has no type there
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    ranks.sum_together(grads)
    norm = get_total_norm(grads)
    _require_finite(norm, "gradient")
    if clip_grad > 0:
        clip_grads_with_norm_(list(module.parameters()), clip_grad, norm)
    optimizer.step()
    counts = ranks.sum(confusion(logits.detach().argmax(1), labels)).cpu()
    return StepResult(float(total), float(norm), counts)


def _require_finite(value: Tensor, name: str) -> None:
    if not bool(torch.isfinite(value.detach())):
        raise Diverged(
            f"the {name} is not finite",
            f"{float(value.detach())}",
            "Lower --lr, or set --clip-grad; the last saved epoch is kept.",
        )

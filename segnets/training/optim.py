"""Optimisers, parameter groups, and the averaged weights (EMA)."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from segnets.config.train import TrainConfig

Groups = list[dict[str, Any]]


def _adamw(groups: Groups, lr: float) -> torch.optim.Optimizer:
    # fused: one call over all parameters, 21 ms for 12.8 M against 98 to 315 ms for the loop
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def _adam(groups: Groups, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=lr, fused=True)


def _sgd(groups: Groups, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, fused=True)


def _rmsprop(groups: Groups, lr: float) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(groups, lr=lr)


def build_optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of `config` over all parameters that want a gradient.

    AdamW spares norms and biases (every parameter with one dimension) from weight decay, since
    decaying them only moves the scale of what follows; the others decay all parameters, as the
    student's Adam did, where decay is part of the gradient.
    """
    wanted = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if config.optimizer == "adamw":
        groups: Groups = [
            {"params": [p for p in wanted if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in wanted if p.ndim <= 1], "weight_decay": 0.0},
        ]
    else:
        groups = [{"params": wanted, "weight_decay": config.weight_decay}]
    return OPTIMIZERS[config.optimizer]([group for group in groups if group["params"]], config.lr)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group this rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class Ema:
    """Averaged weights: a second module that follows the first with decay min(d, (1+t)/(10+t)).

    The warm-up is needed: with a flat 0.999 the average is still 70 % random start after 352 steps.
    Running statistics of the norms are averaged with the same decay: they then describe the same
    stretch of training as the averaged weights. (Taking the live model's instead gave the same after
    216 steps on CamVid at 112x224: mIoU 0.304 against 0.302.) Integer buffers are copied.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
        ours, theirs = self.module.state_dict(keep_vars=True), module.state_dict(keep_vars=True)
        pairs = [(ours[name], theirs[name]) for name in ours]
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the module's weights after `step` updates (1 or more)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch has no type
        ours: list[Tensor] = [pair[0].detach() for pair in self._averaged]
        theirs: list[Tensor] = [pair[1].detach() for pair in self._averaged]
        average(ours, theirs, step)
        for our, their in self._copied:
            our.copy_(their)


OPTIMIZERS: dict[str, Callable[[Groups, float], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}

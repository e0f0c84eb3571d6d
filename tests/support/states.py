"""Training states of a network of three layers, after real steps."""

import random

import numpy as np
import torch
from torch import nn

from segnets.training.optim import Ema, build_optimizer
from segnets.training.state import TrainState, seed_everything


def make_state(config, *, steps=0):
    """A fresh state for the optimizer and EMA of `config`, and so many steps of it."""
    seed_everything(3)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    module.to(memory_format=torch.channels_last)
    ema = Ema(module, 0.99) if config.ema else None
    state = TrainState(module, ema, build_optimizer(module, config), total_steps=10)
    for _ in range(steps):
        one_step(state)
    return state


def one_step(state):
    """One step on random clips, drawn from all three generators."""
    clips = torch.rand(2, 3, 8, 8) * random.random() * np.random.rand()  # noqa: NPY002
    state.optimizer.zero_grad()
    state.module(clips).square().mean().backward()
    state.optimizer.step()
    state.step += 1
    state.samples += 2
    if state.ema is not None:
        state.ema.update(state.step)

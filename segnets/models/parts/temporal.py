"""How the frames of a clip become one map: none, mean, ConvLSTM.

Letters: T frames (the last is the present), N clips, C channels, h w the map's size.
Each takes the projected maps of all frames (T, N, C, h, w) and returns one map (N, C, h, w): the
present frame's, with what the past says *added* to it. A model so begins close to a single-frame
model and learns what the past is worth.
Source: Shi et al. 2015 (ConvLSTM).
"""

import torch
from torch import Tensor, nn

START_SHARE = 0.1
"""Scale of the merging convolution's first weights. Small, so that the model starts nearly as a
single-frame model; not zero, so that the past gets a gradient from the first step."""


class NoTime(nn.Module):
    """The present frame alone: the single-frame baseline."""

    needs_past = False

    def forward(self, maps: Tensor) -> Tensor:
        """Present map (N, C, h, w) of maps (T, N, C, h, w)."""
        return maps[-1]


class Mean(nn.Module):
    """The present plus a 1x1 convolution of the mean over all frames."""

    needs_past = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.merge = _merge(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """One map (N, C, h, w) of maps (T, N, C, h, w)."""
        merged: Tensor = self.merge(maps.mean(0))
        return maps[-1] + merged


class ConvLstm(nn.Module):
    """The present plus a 1x1 convolution of a ConvLSTM's last state over all frames."""

    needs_past = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input_gates = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.state_gates = nn.Conv2d(channels, 4 * channels, 3, padding=1, bias=False)
        self.merge = _merge(channels)
        with torch.no_grad():
            assert self.input_gates.bias is not None
            self.input_gates.bias.zero_()
            # forget gate open at first, or the oldest frames fade before they can be learnt from
            self.input_gates.bias[channels : 2 * channels] = 1.0

    def forward(self, maps: Tensor) -> Tensor:
        """One map (N, C, h, w) of maps (T, N, C, h, w)."""
        frames, num = maps.shape[:2]
        gates = self.input_gates(maps.flatten(0, 1))  # all frames in one convolution
        gates = gates.unflatten(0, (frames, num))  # (T, N, 4C, h, w)
        state, cell = _step(gates[0], None)
        for frame in range(1, frames):
            state, cell = _step(gates[frame] + self.state_gates(state), cell)
        merged: Tensor = self.merge(state)
        return maps[-1] + merged


def _step(gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
    """Next (state, cell) from the gates (N, 4C, h, w): input, forget, candidate, output."""
    enter, forget, candidate, leave = gates.chunk(4, dim=1)
    new = enter.sigmoid() * candidate.tanh()
    cell = new if cell is None else forget.sigmoid() * cell + new  # before the first frame: zero
    return leave.sigmoid() * cell.tanh(), cell


def _merge(channels: int) -> nn.Conv2d:
    """The 1x1 convolution by which the past enters, small at first."""
    merge = nn.Conv2d(channels, channels, 1, bias=False)
    with torch.no_grad():
        merge.weight.mul_(START_SHARE)
    return merge


def build_temporal(name: str, channels: int) -> nn.Module:
    """The part of this name; KeyError for another one (configs allow only these)."""
    return TEMPORAL[name](channels)


TEMPORAL = {
    "none": lambda channels: NoTime(),  # noqa: ARG005 - one signature for the table
    "mean": Mean,
    "convlstm": ConvLstm,
}

"""The ResNet trunk that architectures share, and how the frames of a clip go through it.

Letters: N clips, T frames (the last labelled), H W pixels, C channels. Frames are kept time-major,
(T * N, ...), so that the present frames are the last N rows: one slice, no copy.
Source: He et al. 2015 (ResNet); layers and their names are torchvision's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from segnets.errors import ConfigError

CHANNELS = (64, 128, 256, 512)
"""Channels of the trunk's maps at 1/4, 1/8, 1/16 and 1/32 of the input."""


def random_resnet18() -> nn.Module:
    """Torchvision's ResNet-18 from torch's random state; never downloads anything."""
    network: nn.Module = resnet18(weights=None)
    return network


class Trunk(nn.Module):
    """ResNet-18 without its classifier; state-dict names are torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        network = random_resnet18()
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, network.get_submodule(name))

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Maps at 1/4, 1/8, 1/16, 1/32 (sizes rounded up) of frames (M, 3, H, W)."""
        return resnet_maps(self, frames)


def resnet_maps(network: nn.Module, frames: Tensor) -> list[Tensor]:
    """The four maps of a torchvision ResNet for frames (M, 3, H, W).

    Raises ConfigError in training where a batch norm would see one value a channel.
    """
    refuse_single_value(network, frames)
    stem = ("conv1", "bn1", "relu", "maxpool")
    for name in stem:
        frames = network.get_submodule(name)(frames)
    maps = []
    for name in ("layer1", "layer2", "layer3", "layer4"):
        frames = network.get_submodule(name)(frames)
        maps.append(frames)
    return maps


def refuse_single_value(network: nn.Module, frames: Tensor) -> None:
    """ConfigError if the 1/32 map of all frames together has one pixel and its norms would train."""
    num, _, height, width = frames.shape
    if network.training and num * -(-height // 32) * -(-width // 32) == 1:
        raise ConfigError(
            "batch norm cannot learn from a single value a channel",
            f"a step with one frame of {height}x{width} pixels",
            "Take a larger --batch-size, or frames of more than 32 pixels a side.",
        )


def time_major(clips: Tensor) -> Tensor:
    """(N, T, 3, H, W) -> (T * N, 3, H, W), channels_last."""
    frames = clips.transpose(0, 1).flatten(0, 1)
    return frames.contiguous(memory_format=torch.channels_last)


@contextmanager
def frozen_statistics(*modules: nn.Module) -> Iterator[None]:
    """Let batch norms in training use the statistics of their batch and leave the running ones alone."""
    norms = [
        part
        for module in modules
        for part in module.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats  # noqa: SLF001 - the base of all of torch's batch norms has no public name
    ]
    # in training torch hands the running statistics on only if this flag is set; in eval mode it
    # would change what is computed, so there nothing is touched
    norms = [norm for norm in norms if norm.training]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def encode_clips(
    maps_of: Callable[[Tensor], list[Tensor]],
    project: Callable[[Tensor], Tensor],
    modules: tuple[nn.Module, ...],
    clips: Tensor,
    *,
    detach_past: bool,
    past_scale: float,
) -> tuple[list[Tensor], Tensor]:
    """Maps of the present frames, and the projected deepest map of all frames (T, N, C, h, w).

    `modules` are those that `maps_of` and `project` run, whose norms are meant below.

    With `detach_past` (in training) or `past_scale` below 1 the past frames go through the trunk
    apart from the present ones. Their batch norms then use the statistics of the past frames' own
    batch and leave the running statistics alone: one update a step, by the frames that are learnt
    from. Updating them twice a step with two distributions would drift towards the last one, and
    running statistics for the past are useless in the first steps, when they are still 0 and 1.
    Otherwise all frames form one batch and update them together. In eval mode all use the running
    statistics and the two ways agree.
    """
    num, frames_a_clip = clips.shape[:2]
    frames = time_major(clips)  # (T * N, 3, H, W)
    apart = frames_a_clip > 1 and (detach_past or past_scale != 1.0)
    if not apart:
        maps = maps_of(frames)
        projected = _by_frame(project(maps[-1]), frames_a_clip)  # (T, N, C, h, w)
        return [level[-num:] for level in maps], projected

    past = frames[:-num]  # ((T - 1) * N, 3, H, W)
    with (
        torch.no_grad() if detach_past else nullcontext(),
        frozen_statistics(*modules),
    ):
        past = project(maps_of(_scaled(past, past_scale))[-1])
    maps = maps_of(frames[-num:])
    present = project(maps[-1])  # (N, C, h, w)
    if past.shape[-2:] != present.shape[-2:]:
        past = F.interpolate(past, present.shape[-2:], mode="bilinear", align_corners=False)
    return maps, _by_frame(torch.cat([past, present]), frames_a_clip)


def _by_frame(maps: Tensor, frames: int) -> Tensor:
    """(T * N, C, h, w) -> (T, N, C, h, w)."""
    return maps.reshape(frames, -1, *maps.shape[1:])


def _scaled(frames: Tensor, scale: float) -> Tensor:
    """Frames at `scale` of their size, at least one pixel a side."""
    if scale == 1.0:
        return frames
    size = [max(1, round(side * scale)) for side in frames.shape[-2:]]
    return F.interpolate(frames, size, mode="bilinear", align_corners=False)

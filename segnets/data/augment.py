"""Augmentation of training clips, on the device: one draw a clip, the same whatever batch it is in.

Order: zoom and crop, mirror, gamma, saturation, normalise. Draws come from the hash of
(seed, epoch, sample, field), so a sample's picture depends on no other sample, no thread and no batch.
Colour works by a table of 256 floats (gamma) and a blend in place (saturation), one frame at a time: a
frame stays in the cache, 4.6 times torchvision's v2 transforms. Applied in training only; the student
project also augmented what it validated on.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from segnets.config.train import AugmentConfig
from segnets.data.batches import Batch
from segnets.data.order import uniform
from segnets.data.resize import nearest_centers
from segnets.labels import IGNORE_INDEX

GAMMA, SATURATION, FLIP, ZOOM, TOP, LEFT = range(1, 7)
"""Fields of the hash; 0 is the order."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow and torchvision take it


@dataclass(frozen=True, slots=True)
class Draw:
    """What happens to one clip; top and left are shares of the free room, 0 to 1."""

    gamma: float
    saturation: float
    is_flipped: bool
    zoom: float
    top: float
    left: float


def draw(config: AugmentConfig, *, seed: int, epoch: int, index: int) -> Draw:
    """The draw of one sample in one epoch; zoom is uniform in its logarithm."""

    def between(low: float, high: float, field: int) -> float:
        return low + (high - low) * uniform(seed, epoch, index, field)

    zoom = between(math.log(config.scale_min), math.log(config.scale_max), ZOOM)
    return Draw(
        gamma=between(1 - config.gamma, 1 + config.gamma, GAMMA),
        saturation=between(1 - config.saturation, 1 + config.saturation, SATURATION),
        is_flipped=uniform(seed, epoch, index, FLIP) < config.flip,
        zoom=math.exp(zoom),
        top=uniform(seed, epoch, index, TOP),
        left=uniform(seed, epoch, index, LEFT),
    )


def normalise(frames: Tensor, mean: list[float], std: list[float]) -> Tensor:
    """(N, T, 3, H, W) float32 from frames (N, T, H, W, 3) uint8: (value / 255 - mean) / std."""
    num, steps, height, width, _ = frames.shape
    clips = torch.empty((num, steps, 3, height, width), dtype=torch.float32, device=frames.device)
    scale, shift = _scale_shift(mean, std, frames.device)
    for sample in range(num):
        for step in range(steps):  # a frame at a time: 1.2 MB stay in the cache
            clips[sample, step].copy_(frames[sample, step].permute(2, 0, 1))
            clips[sample, step].mul_(scale).sub_(shift)
    return clips


def augment(
    batch: Batch,
    config: AugmentConfig,
    *,
    mean: list[float],
    std: list[float],
    seed: int,
    epoch: int,
) -> tuple[Tensor, Tensor]:
    """Clips (N, T, 3, H, W) float32, augmented and normalised, and labels (N, H, W) int64.

    Where a clip is zoomed out, the border is the mean colour (0 after normalising), ignored in labels.
    """
    num, steps, height, width, _ = batch.frames.shape
    device = batch.frames.device
    clips = torch.empty((num, steps, 3, height, width), dtype=torch.float32, device=device)
    labels = torch.empty((num, height, width), dtype=torch.int64, device=device)
    scale, shift = _scale_shift(mean, std, device)
    for sample, index in enumerate(batch.indices):
        chosen = draw(config, seed=seed, epoch=epoch, index=index)
        for step in range(steps):
            image = batch.frames[sample, step].permute(2, 0, 1)  # (3, H, W), channels-last memory
            _zoom_frame(image, chosen, clips[sample, step], scale, shift)
        zoomed = _zoom_labels(batch.labels[sample], chosen)
        labels[sample] = zoomed.flip(1) if chosen.is_flipped else zoomed
    return clips, labels


def _zoom_frame(image: Tensor, chosen: Draw, out: Tensor, scale: Tensor, shift: Tensor) -> None:
    """Zoom, mirror, colour and normalise one frame (3, H, W) uint8 into `out` (3, H, W) float32."""
    source, target = _boxes(image.shape[1], image.shape[2], chosen)
    region = out
    if target != (0, 0, image.shape[1], image.shape[2]):
        out.zero_()  # the mean colour
        region = _cut(out, target)
    if source != target:
        size = (target[2], target[3])
        image = _resize(_cut(image, source), size)
    if chosen.is_flipped:
        image = image.flip(2)
        if region is not out:
            # the border is mirrored too: the region moves to the other side
            left = out.shape[2] - target[1] - target[3]
            region = _cut(out, (target[0], left, target[2], target[3]))
    _color(image, chosen, region)
    region.mul_(scale).sub_(shift)


def _color(image: Tensor, chosen: Draw, region: Tensor) -> None:
    """Gamma and saturation of values 0 to 255, left as floats 0 to 255 in `region`."""
    if chosen.gamma == 1.0:
        region.copy_(image)
    else:
        steps = torch.arange(256, dtype=torch.float32, device=image.device) / 255
        table = 255 * steps**chosen.gamma
        # index_select over planes: six times as quick as table[image] over channels-last memory
        levels = image.contiguous().view(-1).int()
        region.copy_(table.index_select(0, levels).view(image.shape))
    if chosen.saturation != 1.0:
        red, green, blue = region.unbind(0)
        rest = 1 - chosen.saturation
        grey = red.mul(rest * _LUMA[0])
        grey.add_(green, alpha=rest * _LUMA[1]).add_(blue, alpha=rest * _LUMA[2])
        region.mul_(chosen.saturation).add_(grey).clamp_(0, 255)


def _zoom_labels(labels: Tensor, chosen: Draw) -> Tensor:
    """Labels (H, W) zoomed and cropped by nearest pixel centre; 255 outside the picture."""
    source, target = _boxes(labels.shape[0], labels.shape[1], chosen)
    if source == target:
        return labels
    rows = torch.from_numpy(nearest_centers(source[2], target[2]) + source[0]).to(labels.device)
    columns = torch.from_numpy(nearest_centers(source[3], target[3]) + source[1]).to(labels.device)
    small = labels[rows[:, None], columns[None, :]]
    if small.shape == labels.shape:
        return small
    out = torch.full_like(labels, IGNORE_INDEX)
    _cut(out, target).copy_(small)
    return out


Box = tuple[int, int, int, int]
"""top, left, height, width in pixels."""


def _boxes(height: int, width: int, chosen: Draw) -> tuple[Box, Box]:
    """What is cut out of the picture, and where it goes: zoomed in a crop, zoomed out a border."""
    whole = (0, 0, height, width)
    share = min(chosen.zoom, 1 / chosen.zoom)
    size = (max(1, round(height * share)), max(1, round(width * share)))
    top = min(int(chosen.top * (height - size[0] + 1)), height - size[0])
    left = min(int(chosen.left * (width - size[1] + 1)), width - size[1])
    box = (top, left, *size)
    return (box, whole) if chosen.zoom > 1 else (whole, box)


def _cut(image: Tensor, box: Box) -> Tensor:
    top, left, height, width = box
    return image[..., top : top + height, left : left + width]


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, antialiased, (3, h, w) uint8 to (3, *size) uint8."""
    if image.device.type == "cpu":
        return interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]
    # CUDA has no uint8 kernel: the same filter in floats
    large = interpolate(image[None].float(), size=size, mode="bilinear", antialias=True)[0]
    return large.round_().clamp_(0, 255).to(torch.uint8)


def _scale_shift(
    mean: list[float], std: list[float], device: torch.device
) -> tuple[Tensor, Tensor]:
    """(3, 1, 1) factors so that value * scale - shift = (value / 255 - mean) / std."""
    deviation = torch.tensor(std, dtype=torch.float64)
    scale = (1 / (255 * deviation)).float().view(3, 1, 1).to(device)
    shift = (torch.tensor(mean, dtype=torch.float64) / deviation).float().view(3, 1, 1).to(device)
    return scale, shift

"""Pyramid pooling: what the whole picture, its halves, thirds and sixths look like, at every pixel.

Letters: N clips, C channels, h w the map's size.
Source: Zhao et al. 2017 (PSPNet). Pooled maps have no batch norm: a 1x1 map of one clip would be a
single value a channel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BINS = (1, 2, 3, 6)


class AdaptivePool(nn.Module):
    """Adaptive average pooling to a fixed size, with the same bits in every run on a GPU too."""

    def __init__(self, size: int | tuple[int, int]) -> None:
        super().__init__()
        self.size = (size, size) if isinstance(size, int) else size

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, *size)."""
        if not maps.is_cuda:
            return F.adaptive_avg_pool2d(maps, self.size)
        # CUDA's backward of adaptive pooling adds in no fixed order; two matrix products do
        down = pooling_matrix(maps.shape[-2], self.size[0], maps)
        right = pooling_matrix(maps.shape[-1], self.size[1], maps)
        return down @ maps @ right.T


def pooling_matrix(length: int, bins: int, like: Tensor) -> Tensor:
    """(bins, length): row b averages positions floor(b L / B) to ceil((b + 1) L / B), as torch does."""
    bounds = [(b * length // bins, -(-(b + 1) * length // bins)) for b in range(bins)]
    rows = [
        [1.0 / (stop - start) if start <= position < stop else 0.0 for position in range(length)]
        for start, stop in bounds
    ]
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


class PyramidPooling(nn.Module):
    """Pooled maps at four scales beside the map itself, blended by a 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        branch = channels // len(BINS)
        self.branches = nn.ModuleList(
            nn.Sequential(AdaptivePool(bins), nn.Conv2d(channels, branch, 1), nn.ReLU())
            for bins in BINS
        )
        self.blend = nn.Sequential(
            nn.Conv2d(channels + branch * len(BINS), channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        pooled = [
            F.interpolate(branch(maps), maps.shape[-2:], mode="bilinear", align_corners=False)
            for branch in self.branches
        ]
        blended: Tensor = self.blend(torch.cat([maps, *pooled], dim=1))
        return blended

"""ResNet-18, an LSTM over the flattened class maps, transposed convolutions: the student's network.

Letters: N clips, T frames (the last labelled), H W pixels, h w = H/32 W/32, K = 19 classes.
The state dict has the names and shapes of the student's .pt files, with the unused `fc` and `deconv`,
so its weights load. Two things are put right, both without a change of weights: the LSTM goes over
time (the student's went over the batch, so its past frames had no influence and its samples leaked
into each other; `over_batch()` does so for old weights, without the leak), and any size works (pooled to
7 x 14 before the LSTM and brought back after it; a no-op at the student's 224 x 448).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnets.labels import NUM_CLASSES as K
from segnets.models.parts.backbone import CHANNELS, encode_clips, random_resnet18, resnet_maps
from segnets.models.parts.pyramid import BINS, AdaptivePool

GRID = (7, 14)
"""Size of the map the LSTM sees: 1/32 of 224 x 448."""
PSP_WIDTH = 16


class ResnetLstm(nn.Module):
    """Clips in, logits of their last frame out; `psp` adds pyramid pooling on the logits."""

    def __init__(
        self,
        *,
        psp: bool = True,
        detach_past: bool = False,
        past_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.resnet_lstm = _Network(detach_past, past_scale)
        if psp:
            self.psp = _PspOnLogits()
        self.to(memory_format=torch.channels_last)

    def over_batch(self) -> None:
        """What old weights were trained to do, for each clip as if it were alone in its batch."""
        self.resnet_lstm.over_batch = True

    def forward(self, clips: Tensor) -> Tensor:
        """Logits of the last frame (N, K, H, W) float32 from normalised clips (N, T, 3, H, W), any H, W."""
        logits: Tensor = self.resnet_lstm(clips)
        if hasattr(self, "psp"):
            logits = self.psp(logits)
        return logits.float()


class _Network(nn.Module):
    """Everything but the pyramid pooling; attribute names are the state dict's."""

    over_batch = False

    def __init__(self, detach_past: bool, past_scale: float) -> None:
        super().__init__()
        self.detach_past = detach_past
        self.past_scale = past_scale
        self.resnet18 = random_resnet18()
        self.classifier32 = _classifier(CHANNELS[3])
        self.classifier16 = _classifier(CHANNELS[2])
        self.classifier8 = _classifier(CHANNELS[1])
        self.deconv = nn.ConvTranspose2d(2 * K, K, 32, stride=32)  # never used; in every old file
        self.deconv32 = nn.ConvTranspose2d(2 * K, K, 4, stride=2, padding=1)
        self.deconv16 = nn.ConvTranspose2d(2 * K, K, 4, stride=2, padding=1)
        self.deconv8 = nn.ConvTranspose2d(2 * K, K, 8, stride=8)
        self.lstm = nn.LSTM(K * GRID[0] * GRID[1], K * GRID[0] * GRID[1])
        self.pool = AdaptivePool(GRID)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (N, K, H, W) of clips (N, T, 3, H, W)."""
        maps, scores = encode_clips(
            lambda frames: resnet_maps(self.resnet18, frames),
            self.classifier32,
            (self.resnet18, self.classifier32),
            clips,
            detach_past=self.detach_past and self.training,
            past_scale=self.past_scale,
        )  # scores: (T, N, K, h, w)
        present = scores[-1]
        state = _fitted(self._over_time(scores), present)
        # transposed convolutions double; a finer map of odd size is one pixel smaller, so crop
        coarse = self.deconv32(torch.cat([state, present], 1))
        fine = self.classifier16(maps[2])
        coarse = self.deconv16(torch.cat([_cropped(coarse, fine), fine], 1))
        fine = self.classifier8(maps[1])
        return _cropped(self.deconv8(torch.cat([_cropped(coarse, fine), fine], 1)), clips)

    def _over_time(self, scores: Tensor) -> Tensor:
        """The LSTM's last state as a map (N, K, 7, 14), from scores (T, N, K, h, w)."""
        frames, num = scores.shape[:2]
        maps = scores.flatten(0, 1)
        if tuple(maps.shape[-2:]) != GRID:
            maps = self.pool(maps)
        rows = maps.reshape(frames, num, -1)  # (T, N, 1862)
        # over a batch of one clip the old network made one step, on the last frame
        states, _ = self.lstm(rows[-1:] if self.over_batch else rows)
        last = states[-1]
        as_map: Tensor = last.reshape(num, K, *GRID)
        return as_map


class _PspOnLogits(nn.Module):
    """Pyramid pooling on logits; names are the state dict's."""

    def __init__(self) -> None:
        super().__init__()
        self.psp = nn.ModuleList(
            nn.Sequential(AdaptivePool(bins), nn.Conv2d(K, PSP_WIDTH, 1, bias=False), nn.ReLU())
            for bins in BINS
        )
        self.conv_last = nn.Sequential(nn.Conv2d(K + len(BINS) * PSP_WIDTH, K, 1))

    def forward(self, logits: Tensor) -> Tensor:
        """(N, K, H, W) -> (N, K, H, W)."""
        pooled = [_fitted(branch(logits), logits) for branch in self.psp]
        blended: Tensor = self.conv_last(torch.cat([logits, *pooled], 1))
        return blended


def _classifier(channels: int) -> nn.Sequential:
    """Two 1x1 convolutions, nothing between, as the old files have them."""
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, K, 1))


def _fitted(maps: Tensor, like: Tensor) -> Tensor:
    """`maps` at the size of `like`, bilinear."""
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return F.interpolate(maps, like.shape[-2:], mode="bilinear", align_corners=False)


def _cropped(maps: Tensor, like: Tensor) -> Tensor:
    """The top left of `maps` at the size of `like`."""
    return maps[..., : like.shape[-2], : like.shape[-1]]

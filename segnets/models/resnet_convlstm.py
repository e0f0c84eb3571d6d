"""ResNet-18 trunk, ConvLSTM over the clip, pyramid pooling, ladder up to 1/4: the default model.

Letters: N clips, T frames (the last labelled), H W pixels, h w = H/32 W/32, C channels, K classes.
All frames share the trunk. What the past says is added to the present frame's map at 1/32; the
ladder then takes the present frame's finer maps, since thin classes need them. Sizes follow the
finer map at every level, so any H and W work.
Sources: Shi et al. 2015 (ConvLSTM), Zhao et al. 2017 (pyramid pooling), Orsic et al. 2019 (ladder).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segnets.labels import NUM_CLASSES
from segnets.models.parts.backbone import CHANNELS, Trunk, encode_clips
from segnets.models.parts.pyramid import PyramidPooling
from segnets.models.parts.temporal import build_temporal

WIDTH = 128
"""Channels at 1/32, in the cell, and down to 1/16."""


class ResnetConvLstm(nn.Module):
    """Clips in, logits of their last frame out."""

    def __init__(
        self,
        *,
        temporal: str = "convlstm",
        psp: bool = True,
        detach_past: bool = True,
        past_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.detach_past = detach_past
        self.past_scale = past_scale
        self.trunk = Trunk()
        self.project = nn.Conv2d(CHANNELS[3], WIDTH, 1)
        self.temporal = build_temporal(temporal, WIDTH)
        self.pyramid: nn.Module = PyramidPooling(WIDTH) if psp else nn.Identity()
        self.ladder = nn.ModuleList(
            [
                Rung(CHANNELS[2], WIDTH, WIDTH),  # 1/16
                Rung(CHANNELS[1], WIDTH, 64),  # 1/8
                Rung(CHANNELS[0], 64, 64),  # 1/4
            ]
        )
        self.head = nn.Conv2d(64, NUM_CLASSES, 1)
        self.to(memory_format=torch.channels_last)  # 8 % of a training step on CPU

    def forward(self, clips: Tensor) -> Tensor:
        """Logits of the last frame (N, K, H, W) float32 from normalised clips (N, T, 3, H, W), any H, W."""
        size = clips.shape[-2:]
        if not self.temporal.needs_past:
            clips = clips[:, -1:]
        maps, projected = encode_clips(
            self.trunk,
            self.project,
            (self.trunk, self.project),
            clips,
            detach_past=self.detach_past and self.training,
            past_scale=self.past_scale,
        )
        deep = self.pyramid(self.temporal(projected))  # (N, C, h, w)
        for rung, lateral in zip(self.ladder, reversed(maps[:-1]), strict=True):
            deep = rung(deep, lateral)
        with torch.autocast(clips.device.type, enabled=False):
            # fp32 also in a bf16 pass: 8 bits of logit make ties between classes, at no gain in time
            logits = self.head(deep.float())  # (N, K, H/4, W/4)
        return F.interpolate(logits, size, mode="bilinear", align_corners=False)


class Rung(nn.Module):
    """One level of the ladder: the coarse map, brought to the finer one's size, plus the finer one."""

    def __init__(self, lateral: int, channels: int, out: int) -> None:
        super().__init__()
        self.lateral = nn.Sequential(
            nn.Conv2d(lateral, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.blend = nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, channels, h, w) and (N, lateral, h', w') -> (N, out, h', w')."""
        # to the lateral's size, not "times 2": that is what makes any input size work
        coarse = F.interpolate(coarse, fine.shape[-2:], mode="bilinear", align_corners=False)
        blended: Tensor = self.blend(coarse + self.lateral(fine))
        return blended

"""A trained model, what it wants of a clip, and what becomes of its decision: a frame's files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from segnets.inference.device import Runtime
from segnets.inference.evaluate import decide, frame_logits
from segnets.inference.frames import Clip
from segnets.inference.masks import (
    black_out,
    to_confidence_png,
    to_label_png,
    to_overlay_png,
    to_palette_png,
)
from segnets.inference.night import USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A trained model in eval mode, what it wants of a clip, and which files a frame gets."""

    module: nn.Module
    runtime: Runtime
    mean: Sequence[float]
    std: Sequence[float]
    height: int
    width: int
    stride: int = 1
    """Frame numbers from one frame of a clip to the next."""
    min_confidence: float = 0.0
    columns: tuple[str, ...] = USUAL
    """Keys of night.FOLDERS."""

    def logits(self, clip: Clip) -> Tensor:
        """Logits (1, K, H, W) of the last frame of a clip."""
        return frame_logits(self.module, clip.small, self.mean, self.std, self.runtime)

    def small(self, logits: Tensor) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """TrainIds and probability (H, W) at network size, 255 where it is unsure."""
        return decide(logits, (self.height, self.width), min_confidence=self.min_confidence)

    def files(self, clip: Clip, logits: Tensor) -> tuple[NDArray[np.uint8], dict[str, bytes]]:
        """TrainIds (Ho, Wo) at the frame's own size, and the bytes of each file by its column.

        255 where it is unsure, and where the truth of the frame is unlabelled.
        """
        ids, confidence = decide(
            logits,
            (clip.rgb.shape[0], clip.rgb.shape[1]),
            min_confidence=self.min_confidence,
            with_confidence="confidence_map" in self.columns,
        )
        if clip.unlabelled is not None:
            ids = black_out(ids, clip.unlabelled)
        encode: dict[str, Callable[[], bytes]] = {
            "color": lambda: to_palette_png(ids),
            "label_ids": lambda: to_label_png(ids),
            "overlay": lambda: to_overlay_png(clip.rgb, ids),
            "confidence_map": lambda: to_confidence_png(confidence),
        }
        return ids, {column: make() for column, make in encode.items() if column in self.columns}

"""A tiny dataset of drawn rectangles, and a net that learns it in milliseconds a step."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from segnets.config.build import build
from segnets.config.preprocess import PreprocessConfig
from segnets.data.convert import make_dataset
from segnets.store.base import Store
from segnets.store.open import open_source

HEIGHT, WIDTH = 32, 64
LABEL_IDS = (7, 11, 21, 23, 26)
CLIPS = {"train": 6, "val": 2}


def draw_cityscapes(root: Path, clips: dict[str, int], clip_frames: int = 2) -> None:
    rng = np.random.default_rng(5)
    colors = {label: rng.integers(0, 255, 3) for label in LABEL_IDS}
    for split, num in clips.items():
        for clip in range(num):
            labels = np.full((HEIGHT, WIDTH), 23, np.uint8)
            labels[HEIGHT // 2 :] = 7
            for label in LABEL_IDS:
                top, left = rng.integers(0, HEIGHT - 8), rng.integers(0, WIDTH - 16)
                labels[top : top + 8, left : left + 16] = label
            name = f"aachen_{clip:06d}_{{frame:06d}}_{{kind}}.png"
            for frame in range(clip_frames):
                rgb = np.stack([colors[one] for one in (7, 11, 21, 23, 26)])
                index = np.searchsorted(LABEL_IDS, labels)
                noise = rng.integers(-20, 20, (HEIGHT, WIDTH, 3))
                pixels = np.clip(rgb[index] + noise, 0, 255).astype(np.uint8)
                at = 19 - (clip_frames - 1 - frame)
                _png(root / "leftImg8bit_sequence" / split, name, at, "leftImg8bit", pixels)
            _png(root / "leftImg8bit" / split, name, 19, "leftImg8bit", pixels)
            _png(root / "gtFine" / split, name, 19, "gtFine_labelIds", labels)


def _png(folder: Path, name: str, frame: int, kind: str, pixels: np.ndarray) -> None:
    path = folder / "aachen" / name.format(frame=frame, kind=kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_tiny_dataset(data: Path, store: Store, cache: Path | None = None) -> str:
    """The id of the dataset that these drawn files become in a store; digests are kept in `cache`."""
    settings = {"data": str(data), "height": HEIGHT, "width": WIDTH, "clip_frames": 2}
    if cache is not None:
        settings["cache"] = str(cache)
    config = build(PreprocessConfig, settings)
    source = open_source(str(data))
    return make_dataset(source, config, store, name="tiny", sources_salt=None).dataset


class TinyNet(torch.nn.Module):
    """A net of one look: norm and dropout are in it, so running statistics and random state count."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.2),
            torch.nn.Conv2d(8, 19, 1),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        logits = self.body(clips[:, -1]).float()
        return torch.nn.functional.interpolate(logits, clips.shape[-2:], mode="bilinear")

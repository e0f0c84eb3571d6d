"""Mean, standard deviation, class frequencies, class weights, and what a prediction of no skill scores.

All sums are exact integers, so they are the same in any order and on any machine. `stats.json`:

    {v, mean [3], std [3], class_pixels {split: [19]}, ignored_pixels {split: n}, frames {split: n},
     clips {split: n}, classes_present [names], prior_miou, constant_miou}

mean and std are of the train split's distinct frames at network size, uint8 / 255. `prior_miou`
predicts at each pixel the class that is most frequent there in train, `constant_miou` the class that
is most frequent overall; both are scored on val at network size, null without labels there.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segnets.labels import CLASS_NAMES, NUM_CLASSES

VERSION = 1


@dataclass(slots=True)
class Totals:
    """Exact sums over the frames and labels of a dataset."""

    height: int
    width: int
    frames: dict[str, int] = field(default_factory=dict)
    sums: dict[str, list[int]] = field(default_factory=dict)
    squares: dict[str, list[int]] = field(default_factory=dict)
    class_pixels: dict[str, list[int]] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    where: NDArray[np.int32] | None = None
    """Labels of train by class and pixel, (19, H*W)."""

    def add_frame(self, split: str, sums: list[int], squares: list[int]) -> None:
        """One more frame, by its `frame_sums`."""
        self.frames[split] = self.frames.get(split, 0) + 1
        for total, more in ((self.sums, sums), (self.squares, squares)):
            total[split] = [a + b for a, b in zip(total.get(split, [0] * 3), more, strict=True)]

    def add_label(self, split: str, train_ids: NDArray[np.uint8]) -> None:
        """One more label (H*W,) uint8 trainIds."""
        counts = np.bincount(train_ids, minlength=256)
        before = self.class_pixels.get(split, [0] * NUM_CLASSES)
        more = counts[:NUM_CLASSES].tolist()
        self.class_pixels[split] = [a + b for a, b in zip(before, more, strict=True)]
        self.ignored[split] = self.ignored.get(split, 0) + int(counts[NUM_CLASSES:].sum())
        if split == "train":
            if self.where is None:
                self.where = np.zeros((NUM_CLASSES, self.height * self.width), dtype=np.int32)
            pixels = np.flatnonzero(train_ids < NUM_CLASSES)
            self.where[train_ids[pixels], pixels] += 1  # each pixel once, so no index repeats

    def mean_std(self) -> tuple[list[float], list[float]]:
        """Of train, or of everything where there is no train split; std is at least 1/255."""
        splits = ["train"] if self.frames.get("train") else sorted(self.frames)
        num = sum(self.frames[split] for split in splits) * self.height * self.width
        mean, std = [], []
        for channel in range(3):
            total = sum(self.sums[split][channel] for split in splits)
            square = sum(self.squares[split][channel] for split in splits)
            variance = (square * num - total * total) / (num * num)  # integers until here
            mean.append(total / num / 255)
            std.append(max(math.sqrt(variance), 1.0) / 255)
        return mean, std

    def usual_class(self) -> int:
        """The most frequent train class overall."""
        return int(np.argmax(self.class_pixels.get("train", [1])))

    def prior(self) -> NDArray[np.uint8]:
        """The most frequent train class at each pixel (H*W,); overall, where a pixel never has one."""
        usual = np.full(self.height * self.width, self.usual_class(), dtype=np.uint8)
        if self.where is None:
            return usual
        return np.where(self.where.any(axis=0), self.where.argmax(axis=0), usual).astype(np.uint8)


def frame_sums(pixels: NDArray[np.uint8]) -> tuple[list[int], list[int]]:
    """Sum and sum of squares of each channel of a frame, any shape that ends in RGB."""
    sums, squares = [], []
    values = np.arange(256, dtype=np.int64)
    rgb = pixels.reshape(-1, 3)
    for channel in range(3):
        counts = np.bincount(rgb[:, channel], minlength=256)
        sums.append(int(counts @ values))
        squares.append(int(counts @ (values * values)))
    return sums, squares


class Baseline:
    """Counts of one fixed prediction against labels."""

    def __init__(self, predicted: NDArray[np.uint8]) -> None:
        self._predicted = predicted.astype(np.int64)
        self._counts = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)

    def add(self, train_ids: NDArray[np.uint8]) -> None:
        """Count one label (H*W,)."""
        truth = train_ids.astype(np.int64)
        labelled = truth < NUM_CLASSES
        pairs = truth[labelled] * NUM_CLASSES + self._predicted[labelled]
        self._counts += np.bincount(pairs, minlength=NUM_CLASSES**2).reshape(self._counts.shape)

    def miou(self) -> float | None:
        """Mean IoU over the classes that have truth; None without any."""
        hits = np.diag(self._counts)
        truth = self._counts.sum(axis=1)
        union = truth + self._counts.sum(axis=0) - hits
        has_truth = truth > 0
        return float((hits[has_truth] / union[has_truth]).mean()) if has_truth.any() else None


def stats_json(
    totals: Totals, clips: dict[str, int], prior: Baseline, constant: Baseline
) -> dict[str, Any]:
    """The content of stats.json."""
    mean, std = totals.mean_std()
    seen = np.sum(list(totals.class_pixels.values()) or [[0] * 19], axis=0)
    return {
        "v": VERSION,
        "mean": mean,
        "std": std,
        "class_pixels": dict(sorted(totals.class_pixels.items())),
        "ignored_pixels": dict(sorted(totals.ignored.items())),
        "frames": dict(sorted(totals.frames.items())),
        "clips": clips,
        "classes_present": [name for name, n in zip(CLASS_NAMES, seen, strict=True) if n],
        "prior_miou": prior.miou(),
        "constant_miou": constant.miou(),
    }


def class_weights(class_pixels: list[int], rule: Literal["log", "none"]) -> NDArray[np.float32]:
    """Weights (19,) float32 of the classes, from their pixels in train.

    log: 1 / log(1.10 + share), mean 1 over the classes that occur and 0 (never infinite) for those
    that do not. none: 1 for all. Source of the log rule: ENet (Paszke et al. 2016), with 1.10.
    """
    if rule == "none":
        return np.ones(NUM_CLASSES, dtype=np.float32)
    pixels = np.asarray(class_pixels, dtype=np.float64)
    occurs = pixels > 0
    if not occurs.any():
        return np.ones(NUM_CLASSES, dtype=np.float32)
    weights = np.where(occurs, 1.0 / np.log(1.10 + pixels / pixels.sum()), 0.0)
    scaled: NDArray[np.float32] = (weights / weights[occurs].mean()).astype(np.float32)
    return scaled

"""How far a night is from what the model was trained on.

Three measures over the frames that a night has decided, each from 0 to 1, so that one bar fits all:
- `share_distance`: the share of pixels that would have to change class for the class shares to be those
  of the training labels (half the sum of the differences);
- `confidence_drop`: mean confidence on val less that of the night, both at network size;
- `flicker`: the share of pixels that change class from a frame to the next of its sequence. There is no
  reference for it: the labels of a training set are single frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from segnets.labels import CLASS_NAMES


@dataclass(frozen=True, slots=True)
class Training:
    """What a night is compared with; None where the store does not know it."""

    share: Sequence[float] | None = None
    """Share of each class among the labelled pixels of train (19), their sum is 1."""
    confidence: float | None = None
    """Mean confidence on val at network size."""


def measure(rows: Sequence[Mapping[str, Any]], training: Training, above: float) -> dict[str, Any]:
    """The measures over the rows of a night's frames, what is above the bar in words, `marked` if any.

    A measure is None where there is nothing to measure, or nothing to compare it with.
    """
    distance, most = _share_distance(rows, training.share)
    confidence = _mean([row["confidence"] for row in rows])
    drop = None
    if confidence is not None and training.confidence is not None:
        drop = training.confidence - confidence
    flicker = _mean([row["flicker"] for row in rows])
    why = []
    if distance is not None and distance > above:
        why.append(f"{distance:.2f} of the pixels are of other classes than in training ({most})")
    if drop is not None and drop > above:
        why.append(f"mean confidence is {confidence:.2f}, {training.confidence:.2f} on val")
    if flicker is not None and flicker > above:
        why.append(f"{flicker:.2f} of the pixels change class from a frame to the next")
    return {
        "marked": bool(why),
        "why": why,
        "above": above,
        "frames": len(rows),
        "share_distance": distance,
        "confidence": confidence,
        "confidence_drop": drop,
        "flicker": flicker,
    }


def _share_distance(
    rows: Sequence[Mapping[str, Any]], usual: Sequence[float] | None
) -> tuple[float | None, str]:
    """The distance, and the class that moved most, in words."""
    shares = np.array([row["share"] for row in rows], np.float64)
    if usual is None or not shares.sum():
        return None, ""
    share = shares.sum(0) / shares.sum()  # black pixels are of no class, here and in training
    moved = share - np.asarray(usual)
    most = int(np.abs(moved).argmax())
    words = f"most {CLASS_NAMES[most]}, {share[most]:.2f} instead of {usual[most]:.2f}"
    return float(np.abs(moved).sum() / 2), words


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None

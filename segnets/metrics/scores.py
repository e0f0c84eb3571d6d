"""Scores from confusion counts (19, 20); numpy only, so the app can compute them too.

Two means carry two names, since papers and tools mean either:
- `miou`: over the classes that have truth. The leaderboard's.
- `miou_official`: that of the Cityscapes evaluator. A class without truth that is predicted somewhere
  on labelled pixels counts as 0; only one that is in neither is left out.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.labels import CATEGORIES, CLASS_NAMES, CLASSES, NUM_CLASSES

Counts = NDArray[np.int64]


def intersections(counts: Counts) -> NDArray[np.int64]:
    """Pixels of each class that are predicted right (19,)."""
    found: NDArray[np.int64] = np.diagonal(counts).copy()
    return found


def unions(counts: Counts) -> NDArray[np.int64]:
    """Labelled pixels of each class that are of it or predicted as it (19,)."""
    both: NDArray[np.int64] = (
        counts.sum(axis=1) + counts[:, :NUM_CLASSES].sum(axis=0) - np.diagonal(counts)
    )
    return both


def iou(counts: Counts) -> NDArray[np.float64]:
    """Intersection over union of each class (19,), NaN where it is neither in truth nor predicted."""
    values: NDArray[np.float64] = _ratio(intersections(counts), unions(counts))
    return values


def miou(counts: Counts) -> float:
    """Mean IoU over the classes that have truth; NaN if none has."""
    return _mean(iou(counts)[counts.sum(axis=1) > 0])


def miou_official(counts: Counts) -> float:
    """Mean IoU over the classes in truth or prediction, as the official evaluator has it."""
    return _mean(iou(counts))


def classes_counted(counts: Counts) -> int:
    """How many classes stand in `miou_official`."""
    return int((unions(counts) > 0).sum())


def pixel_accuracy(counts: Counts) -> float:
    """Share of labelled pixels that are predicted right; NaN if none is labelled."""
    return float(_ratio(intersections(counts).sum(), counts.sum()))


def category_iou(counts: Counts) -> dict[str, float]:
    """Category -> IoU, where confusion inside a category is no error; NaN where in neither."""
    values = {}
    for category in CATEGORIES:
        inside = np.array([row.category == category for row in CLASSES])
        block = counts[inside][:, :NUM_CLASSES][:, inside].sum()
        union = counts[inside].sum() + counts[:, :NUM_CLASSES][:, inside].sum() - block
        values[category] = float(_ratio(block, union))
    return values


def category_miou_official(counts: Counts) -> float:
    """Mean over the categories that have a pixel in truth or prediction, as the official tool's."""
    return _mean(np.array(list(category_iou(counts).values())))


def summary(counts: Counts) -> dict[str, Any]:
    """All SCORES, `iou` by class and `category_iou` by category, ready for JSON: NaN becomes None."""
    scores: dict[str, Any] = {name: _known(score(counts)) for name, score in SCORES.items()}
    scores["iou"] = {
        name: _known(float(value)) for name, value in zip(CLASS_NAMES, iou(counts), strict=True)
    }
    scores["category_iou"] = {name: _known(value) for name, value in category_iou(counts).items()}
    return scores


def _ratio(above: Any, below: Any) -> Any:
    """Quotient above / below in float64, NaN where below is 0."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN; NaN if there is none."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan


def _known(value: float) -> float | None:
    """None for NaN: JSON has no NaN."""
    return None if math.isnan(value) else value


SCORES: Mapping[str, Callable[[Counts], float]] = {
    "miou": miou,
    "miou_official": miou_official,
    "classes_counted": classes_counted,
    "pixel_accuracy": pixel_accuracy,
    "category_miou_official": category_miou_official,
}

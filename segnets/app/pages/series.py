"""Points of a curve from the rows of epochs.parquet: which column against what, and smoothed."""

from collections.abc import Sequence
from typing import Any

from segnets.app.records import class_values, number

Point = tuple[float, float]


def valued(value: float | None) -> str:
    """A value as a tooltip says it."""
    return "–" if value is None else f"{value:.4f}" if abs(value) >= 0.01 else f"{value:.2e}"


def series(
    rows: Sequence[dict[str, Any]], metric: str, axis: str, class_index: int
) -> tuple[list[Point], list[Point] | None]:
    """The strong line and, where it is another quantity, the pale one: (x, y), x rising."""
    started = min((number(row.get("time")) or 0.0 for row in rows), default=0.0)

    def points(split: str, name: str) -> list[Point]:
        found: dict[float, float] = {}
        for row in rows:
            if row.get("split") != split:
                continue
            y = (
                class_values(row.get("iou"))[class_index]
                if name == "iou"
                else number(row.get(name))
            )
            x = number(row.get("time" if axis == "time" else axis))
            if x is not None and y is not None:
                found[(x - started) / 60 if axis == "time" else x] = y
        return sorted(found.items())

    if metric == "loss":
        return points("val", "loss"), points("train", "loss")
    if metric == "lr":
        return points("train", "lr"), None
    return points("val", "iou" if metric == "class" else "miou"), None


def smoothed(points: Sequence[Point], weight: float) -> list[Point]:
    """Exponential mean with the start corrected, so that the first point is itself."""
    mean, total, out = 0.0, 0.0, []
    for x, y in points:
        mean = weight * mean + (1 - weight) * y
        total = weight * total + (1 - weight)
        out.append((x, mean / total))
    return out

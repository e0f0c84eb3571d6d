"""Axes of a grid: lr=0.001,0.005 or lr=log:1e-4..1e-2:4 -> values; all points of a grid."""

import itertools
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from segnets.config.ranges import is_range, spread
from segnets.config.skips import Skip, is_skipped
from segnets.errors import ConfigError

NAMED_GRIDS: Mapping[str, tuple[str, ...]] = {
    "student": ("batch_size=8,16,32", "lr=0.001,0.005,0.0001,0.0005"),
}
"""Grids that have a name; student is the grid of the student project that segnets grew from."""

MOST_POINTS = 100_000
"""A larger grid is a slip of the pen."""

Axes = dict[str, tuple[Any, ...]]


def parse_axes(texts: Iterable[str], whole: Container[str] = ()) -> Axes:
    """Field -> its values as text, from "lr=0.001,0.005", "lr=log:1e-4..1e-2:4" or a grid's name.

    Values stay text: pydantic alone makes numbers of them. A list may hold ranges; those of the fields
    in `whole` give whole numbers. Raises ConfigError for a text that is no axis, a field named twice,
    or a value named twice.
    """
    axes: Axes = {}
    for text in [part for given in texts for part in NAMED_GRIDS.get(given, (given,))]:
        name, equals, values = str(text).partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        found = tuple(value.strip() for value in values.split(","))
        if not equals or not name or not all(found):
            raise ConfigError(
                "an axis of a grid is FIELD=VALUE,VALUE or the name of a grid",
                f"--grid {text}",
                f"Say for example --grid lr=0.001,0.005 (named grids: {', '.join(NAMED_GRIDS)}).",
            )
        if name in axes:
            raise ConfigError(
                "a field has two axes", f"--grid {text}", "Give it one list of values."
            )
        axes[name] = tuple(
            value
            for part in found
            for value in (spread(part, whole=name in whole) if is_range(part) else (part,))
        )
        check_once(name, axes[name])
    return axes


def check_once(name: str, values: Sequence[Any]) -> None:
    """ConfigError if an axis names a value twice."""
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise ConfigError(
                "an axis names a value twice", f"--grid {name}={value}", "Once is enough."
            )
        seen.add(value)


def points(axes: Axes, skips: Sequence[Skip] = ()) -> list[dict[str, Any]]:
    """Every point of the grid that no constraint leaves out, as nested settings.

    The first axis is the slowest. Raises ConfigError if no point is left, or if there are too many.
    """
    number = math.prod(len(values) for values in axes.values())
    if number > MOST_POINTS:
        raise ConfigError(
            f"a grid has at most {MOST_POINTS} points, this one has {number}",
            "--grid " + " ".join(axes),
            "Take fewer values, or several grids.",
        )
    flat = (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    kept = [nest(point) for point in flat if not is_skipped(point, skips)]
    if not kept:
        raise ConfigError(
            "the constraints leave no point of the grid", "--skip", "Take some of them away."
        )
    return kept


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"augment.gamma": 1} -> {"augment": {"gamma": 1}}."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, last = name.split(".")
        target = nested
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = value
    return nested


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the settings of `over` laid on top, group by group."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[name] = merge(below, value) if both else value  # type: ignore[arg-type]  # both are
    return merged

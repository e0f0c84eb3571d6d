"""Axes of a grid: lr=0.001,0.005 -> values; all points of a grid."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from segnets.errors import ConfigError

NAMED_GRIDS: Mapping[str, tuple[str, ...]] = {
    "student": ("batch_size=8,16,32", "lr=0.001,0.005,0.0001,0.0005"),
}
"""Grids that have a name; student is the grid of the student project that segnets grew from."""

Axes = dict[str, tuple[str, ...]]


def parse_axes(texts: Iterable[str]) -> Axes:
    """Field -> its values as written, from "lr=0.001,0.005" or the name of a grid.

    Values stay text: pydantic alone makes numbers of them. Raises ConfigError for a text that is no
    axis, a field named twice, or a value named twice.
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
        if len(set(found)) != len(found):
            raise ConfigError("an axis names a value twice", f"--grid {text}", "Name it once.")
        axes[name] = found
    return axes


def points(axes: Axes) -> list[dict[str, Any]]:
    """Every point of the grid as nested settings, the first axis slowest."""
    names = list(axes)
    return [
        nest(dict(zip(names, values, strict=True)))
        for values in itertools.product(*(axes[name] for name in names))
    ]


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

"""Points that a grid leaves out: --skip batch_size=32,lr=0.01.

    --skip FIELD=VALUE,FIELD=VALUE     the points at which all of this holds
    --skip FIELD=LO..HI                the points between two values, both included
    --skip ... --skip ...              the points that any of them names

No sign that a shell reads. A constraint becomes the sets of axis values that it covers, so that a value
written in another way (0.010 for 0.01) is the same one, and a constraint that fits nothing is refused: it
was meant to leave something out.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from segnets.errors import ConfigError

Skip = dict[str, frozenset[Any]]
"""Field -> values of its axis; a point at which every field has one of them is left out."""


def parse_skips(
    texts: Iterable[str],
    axes: Mapping[str, tuple[Any, ...]],
    read: Callable[[str, str], Any],
) -> list[Skip]:
    """The constraints of a grid; `read` makes the value of a field from text.

    Raises ConfigError for a text that is no constraint, for a field without an axis, and for values
    that its axis has not.
    """
    skips: list[Skip] = []
    for text in texts:
        skip: Skip = {}
        for part in str(text).split(","):
            name, equals, value = (one.strip() for one in part.partition("="))
            name = name.removeprefix("--").replace("-", "_")
            if not equals or not name or not value:
                raise ConfigError(
                    "a constraint of a grid is FIELD=VALUE,FIELD=VALUE",
                    f"--skip {text}",
                    "Say for example --skip batch_size=32,lr=0.01.",
                )
            if name not in axes:
                raise ConfigError(
                    f"a constraint names {name}, which is no axis of the grid",
                    f"--skip {text}",
                    f"The axes are {', '.join(axes)}.",
                )
            if name in skip:
                raise ConfigError(
                    f"a constraint names {name} twice", f"--skip {text}", "Write two constraints."
                )
            skip[name] = _covered(name, value, axes[name], read, text)
        skips.append(skip)
    return skips


def is_skipped(point: Mapping[str, Any], skips: Iterable[Skip]) -> bool:
    """Whether a constraint leaves out this point (field -> value)."""
    return any(all(point[name] in values for name, values in skip.items()) for skip in skips)


def _covered(
    name: str,
    value: str,
    axis: tuple[Any, ...],
    read: Callable[[str, str], Any],
    text: str,
) -> frozenset[Any]:
    low, dots, high = value.partition("..")
    if dots and all(isinstance(one, (int, float)) for one in axis):
        first, last = _end(low, text), _end(high, text)
        found = frozenset(one for one in axis if first <= one <= last)
    else:
        wanted = read(name, value)
        found = frozenset(one for one in axis if one == wanted)
    if not found:
        raise ConfigError(
            f"a constraint fits no value of {name}",
            f"--skip {text}",
            f"Its axis has {', '.join(str(one) for one in axis[:12])}.",
        )
    return found


def _end(part: str, text: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise ConfigError(
            f"an end of a range is no number ({part})",
            f"--skip {text}",
            "Say for example --skip lr=0.005..0.01.",
        ) from None

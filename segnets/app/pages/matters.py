"""What matters: settings beside scores on parallel axes, so that a glance finds what goes with what."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from segnets.app.pages.table import changed_settings, short_setting, written
from segnets.app.records import Trial

MOST_SETTINGS = 4
MOST_LINES = 1000
MOST_VALUES = 3
_NAMED_TICKS = 5


def parallel_axes(
    trials: Sequence[Trial], colors: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Axes {key, title, ticks [[label, share]]} and lines {name, color, shares}; share 0 is the bottom.

    Nothing where fewer than two trials have a score, or no setting differs between them.
    """
    scored = [trial for trial in trials if trial.miou is not None][:MOST_LINES]
    settings = changed_settings(scored)[:MOST_SETTINGS]
    if len(scored) < 2 or not settings:
        return [], []
    columns: list[tuple[str, str, list[Any]]] = [
        (name, short_setting(name), [trial.settings.get(name) for trial in scored])
        for name in settings
    ]
    if len({trial.model for trial in scored}) > 1:
        columns.insert(0, ("model", "model", [trial.model for trial in scored]))
    columns += [
        ("_clips", "clips/s", [trial.clips_s for trial in scored]),
        ("_loss", "val loss ↓", [trial.best.loss for trial in scored]),
        ("_miou", "val mIoU", [trial.miou for trial in scored]),
    ]
    axes, places = [], []
    for key, title, values in columns:
        shares, ticks = place(values, even=key.startswith("_"))
        if key == "_loss":  # up is better, as on the axis beside it
            shares = [None if share is None else 1 - share for share in shares]
            ticks = [(label, 1 - share) for label, share in ticks]
        places.append([None if share is None else round(share, 3) for share in shares])
        axes.append(
            {"key": key, "title": title, "ticks": [[word, round(at, 3)] for word, at in ticks]}
        )
    lines = [
        {"name": trial.id, "color": colors.get(trial.id, ""), "shares": [row[i] for row in places]}
        for i, trial in enumerate(scored)
    ]
    return axes, lines


def in_words(trials: Sequence[Trial]) -> str:
    """The setting whose values lie farthest apart in mean val mIoU, best first; "" if none can be told.

    Of the settings with two to MOST_VALUES values, each of which at least two trials have tried.
    """
    scored = [trial for trial in trials if trial.miou is not None]
    found: tuple[float, str] = (0.0, "")
    for name in changed_settings(scored):
        tried: dict[str, list[float]] = {}
        for trial in scored:
            tried.setdefault(written(trial.settings.get(name)), []).append(trial.miou or 0.0)
        if not 2 <= len(tried) <= MOST_VALUES or min(map(len, tried.values())) < 2:
            continue
        means = sorted(((fmean(mious), value) for value, mious in tried.items()), reverse=True)
        told = ", ".join(f"{mean:.3f} at {value}" for mean, value in means)
        found = max(found, (means[0][0] - means[-1][0], f"{short_setting(name)}: mean {told}"))
    return found[1]


def within(
    brush: Sequence[tuple[str, int, int]],
    axes: Sequence[Mapping[str, Any]],
    lines: Sequence[Mapping[str, Any]],
) -> set[str] | None:
    """The trials whose lines pass every chosen (key, low, high), percent; None where none is chosen."""
    place_of = {axis["key"]: i for i, axis in enumerate(axes)}
    chosen = [(place_of[key], low, high) for key, low, high in brush if key in place_of]
    if not chosen:
        return None
    return {
        line["name"]
        for line in lines
        if all(
            line["shares"][i] is not None and low - 0.5 <= 100 * line["shares"][i] <= high + 0.5
            for i, low, high in chosen
        )
    }


def place(
    values: Sequence[Any], *, even: bool = False
) -> tuple[list[float | None], list[tuple[str, float]]]:
    """Where each value stands on its axis (0 to 1, None: no value), and the labels beside it.

    Numbers over a factor of 10 stand on a log scale, texts evenly spaced in their order. `even`: the
    axis ends at round numbers, so that it stays as it is while a value moves.
    """
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if all(value is None for value in values):
        return [None] * len(values), []
    if len(numbers) + sum(v is None for v in values) < len(values) or not numbers:
        words = sorted({written(value) for value in values})
        spread = {word: i / max(len(words) - 1, 1) for i, word in enumerate(words)}
        return [spread[written(value)] for value in values], list(spread.items())[:12]
    low, high = min(numbers), max(numbers)
    is_log = low > 0 and high / low >= 10
    if even and high > low:
        step = 1.0 if is_log else 10.0 ** math.floor(math.log10(high - low)) / 2
        if is_log:
            low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
        else:
            low, high = step * math.floor(low / step), step * math.ceil(high / step)

    def share(value: float) -> float:
        if high == low:
            return 0.5
        if is_log:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    distinct = sorted(set(numbers))
    middle = math.sqrt(low * high) if is_log else (low + high) / 2
    few = len(distinct) <= _NAMED_TICKS and not even
    shown = distinct if few else [low, middle, high] if high > low else [low]
    ticks: list[tuple[str, float]] = []
    for value in shown:
        if not ticks or share(value) - ticks[-1][1] > 0.08:  # labels need a line of text each
            ticks.append((f"{value:.3g}", share(value)))
    return [None if value is None else share(value) for value in values], ticks

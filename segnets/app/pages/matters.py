"""What matters: settings beside scores on parallel axes, so that a glance finds what goes with what."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from segnets.app.pages.table import changed_settings, short_setting, written
from segnets.app.records import Trial

MOST_SETTINGS = 4
MOST_LINES = 400
_NAMED_TICKS = 5


def parallel_axes(
    trials: Sequence[Trial], colors: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Axes {title, ticks [[label, share]]} and lines {name, color, shares}; share 0 is the bottom.

    Nothing where fewer than two trials have a score, or no setting differs between them.
    """
    scored = [trial for trial in trials if trial.miou is not None][:MOST_LINES]
    settings = changed_settings(scored)[:MOST_SETTINGS]
    if len(scored) < 2 or not settings:
        return [], []
    columns: list[tuple[str, list[Any]]] = [
        (short_setting(name), [trial.settings.get(name) for trial in scored]) for name in settings
    ]
    if len({trial.model for trial in scored}) > 1:
        columns.insert(0, ("model", [trial.model for trial in scored]))
    columns += [
        ("clips/s", [trial.clips_s for trial in scored]),
        ("val loss", [trial.best.loss for trial in scored]),
        ("val mIoU", [trial.miou for trial in scored]),
    ]
    axes, places = [], []
    for title, values in columns:
        shares, ticks = place(values)
        if title == "val loss":  # up is better, as on the axis beside it
            shares = [None if share is None else 1 - share for share in shares]
            ticks = [(label, 1 - share) for label, share in ticks]
        places.append(shares)
        axes.append({"title": title, "ticks": [list(tick) for tick in ticks]})
    lines = [
        {"name": trial.id, "color": colors.get(trial.id, ""), "shares": [row[i] for row in places]}
        for i, trial in enumerate(scored)
    ]
    return axes, lines


def place(values: Sequence[Any]) -> tuple[list[float | None], list[tuple[str, float]]]:
    """Where each value stands on its axis (0 to 1, None: no value), and the labels beside it.

    Numbers over a factor of 10 stand on a log scale, texts evenly spaced in their order.
    """
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) + sum(v is None for v in values) < len(values) or not numbers:
        words = sorted({written(value) for value in values})
        spread = {word: i / max(len(words) - 1, 1) for i, word in enumerate(words)}
        return [spread[written(value)] for value in values], list(spread.items())[:12]
    low, high = min(numbers), max(numbers)
    is_log = low > 0 and high / low >= 10

    def share(value: float) -> float:
        if high == low:
            return 0.5
        if is_log:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    distinct = sorted(set(numbers))
    middle = math.sqrt(low * high) if is_log else (low + high) / 2
    shown = distinct if len(distinct) <= _NAMED_TICKS else [low, middle, high]
    ticks: list[tuple[str, float]] = []
    for value in shown:
        if not ticks or share(value) - ticks[-1][1] > 0.08:  # labels need a line of text each
            ticks.append((f"{value:.3g}", share(value)))
    return [None if value is None else share(value) for value in values], ticks

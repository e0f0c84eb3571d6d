"""The leaderboard of a grid: every trial with its status, points over their seeds, the best by each score.

A trial is never silently missing. Its status is what its log says; where the log speaks of training and
nobody is alive, it crashed. Heads are read, not views: what stands here is a result.
"""

import functools
import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from segnets.config.ids import flat_settings, trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.store.base import Store
from segnets.store.beat import living
from segnets.store.history import Survey, check_config, survey
from segnets.store.retry import side_by_side

STATUSES = (
    "done",
    "running",
    "stopped",
    "failed",
    "diverged",
    "crashed",
    "pruned",
    "queued",
)
"""pruned: left behind by a search. stopped: by a signal or a cancel, saved. crashed: it was trained, and its process went without a word."""
SCORES: Mapping[str, int] = {"val_miou": 1, "val_loss": -1, "pixel_accuracy": 1}
"""Score -> 1 if more is better, -1 if less is."""
AT_ONCE = 8
"""Logs read side by side: one by one, a thousand of them on S3 take a minute."""

Row = dict[str, Any]


def leaderboard(
    store: Store,
    configs: Sequence[TrainConfig],
    axes: Collection[str] = (),
    ended: Mapping[str, str] | None = None,
    pruned: Mapping[str, int] | None = None,
) -> list[Row]:
    """One row a trial, best first, those without a score last in their order.

    {trial, status, settings, val_miou, val_loss, pixel_accuracy, best_epoch, pruned_at};
    `settings` are the fields named by `axes`, or all. `pruned` says after which epoch a search left a
    trial behind: such a row is `pruned` unless the trial is done, failed, or trained all the same. `ended` says of trials how this command saw them end, for those
    whose log does not: a process that was killed a second ago still looks alive there.
    """
    alive = living(store)

    def row(config: TrainConfig) -> Row:
        trial = trial_id(config)
        found = survey(store, trial)
        check_config(trial, found.newest, trial_sha256(config))
        metrics = {} if found.head is None else found.head.metrics
        status = status_of(found, is_alive=trial in alive)
        if status in {"running", "crashed", "queued", "stopped"}:
            status = (ended or {}).get(trial, status)
        pruned_at = (pruned or {}).get(trial)
        if pruned_at is not None and status in {"stopped", "crashed"}:
            status = "pruned"
        flat = flat_settings(config)
        return {
            "trial": trial,
            "status": status,
            "settings": {name: flat[name] for name in axes or flat if name in flat},
            **{name: metrics.get(name) for name in (*SCORES, "best_epoch")},
            "pruned_at": pruned_at,
        }

    rows = side_by_side([functools.partial(row, config) for config in configs], AT_ONCE)
    return sorted(rows, key=lambda one: -known(one["val_miou"]))


def status_of(found: Survey, *, is_alive: bool) -> str:
    """What a trial's log says, one of STATUSES."""
    head, newest = found.head, found.newest
    if newest is None:
        return "running" if is_alive else "queued"
    if head is None or head.event == "checkpoint" or newest.rank > head.rank:  # claimed since
        return "running" if is_alive else "crashed"
    if head.event == "failed" and head.metrics.get("reason") == "diverged":
        return "diverged"
    return head.event


def best_by(rows: Sequence[Row]) -> dict[str, Any]:
    """Score -> {trial, value, settings} of the done trial that is best by it, ties to the first; or None.

    Side by side: the lowest loss and the highest mIoU are often two trials.
    """
    best: dict[str, Any] = {}
    for score, sign in SCORES.items():
        rivals = [row for row in rows if row["status"] == "done" and _is_number(row[score])]
        first = max(rivals, key=lambda row: sign * row[score], default=None)
        best[score] = first and {
            "trial": first["trial"],
            "value": first[score],
            "settings": first["settings"],
        }
    return best


def over_seeds(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each point of the grid over its seeds, the best mean mIoU first.

    {settings, seeds, done, trials [ids], and per score {mean, spread}}: over the done trials, spread
    the sample standard deviation, null below two of them.
    """
    grouped: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        others = tuple((name, one) for name, one in row["settings"].items() if name != "seed")
        grouped.setdefault(others, []).append(row)
    points = []
    for settings, found in grouped.items():
        done = [row for row in found if row["status"] == "done"]
        scores = {name: [row[name] for row in done if _is_number(row[name])] for name in SCORES}
        points.append(
            {
                "settings": dict(settings),
                "seeds": len(found),
                "done": len(done),
                "trials": [row["trial"] for row in found],
                **{
                    name: {
                        "mean": statistics.fmean(values) if values else None,
                        "spread": statistics.stdev(values) if len(values) > 1 else None,
                    }
                    for name, values in scores.items()
                },
            }
        )
    return sorted(points, key=lambda point: -known(point["val_miou"]["mean"]))


def known(value: Any) -> float:
    """The number, or -1, which is below every score."""
    return float(value) if _is_number(value) else -1.0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)

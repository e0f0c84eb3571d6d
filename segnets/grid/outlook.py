"""What a grid would cost: how many trials, how many are done, about how long the rest takes.

Asked before anything runs, and of grids of ten thousand points, so it believes the summaries (views and
beats): one listing of each, and a read of those that belong to the grid.
"""

import functools
import logging
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segnets.config.grid import GridConfig
from segnets.config.ids import trial_ids
from segnets.config.train import TrainConfig
from segnets.errors import Corrupt, NotFound
from segnets.grid.board import AT_ONCE, STATUSES
from segnets.grid.halving import read_decisions, rungs, survivors_of
from segnets.store.base import Listed, Store
from segnets.store.beat import living
from segnets.store.retry import side_by_side
from segnets.store.views import list_views, read_view

NEWEST = 100
"""Summaries of other grids that are looked at for durations."""

logger = logging.getLogger("segnets.grid")

View = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A grid before it runs.

    `counts` has every status; `missing` are the trials that the command would launch. `estimate` is
    in seconds, from `estimate_from` done trials; null where a missing one has no like among them.
    """

    trials: int
    counts: Mapping[str, int]
    missing: int
    estimate: float | None
    estimate_from: int


def look_ahead(store: Store, grid: GridConfig, *, at_a_time: int = 1) -> Outlook:
    """What running this grid would come to, so many trials at a time; nothing is written."""
    configs = dict(zip(trial_ids(grid), grid.trials(), strict=True))
    listed, alive = list_views(store, "trial"), living(store)
    views = _read(store, {trial: listed[trial] for trial in configs if trial in listed})
    statuses = {trial: _status(views.get(trial), trial in alive) for trial in configs}
    left_alone = {"done", "diverged"} if grid.retry else {"done", "diverged", "failed"}
    stages, alive_ids = _stages(store, grid, statuses)
    missing = [trial for trial in alive_ids if statuses[trial] not in left_alone]
    likes = _durations(views.values())
    if any(_kind(configs[trial]) not in likes for trial in missing):
        others = sorted(
            (one for one in listed.items() if one[0] not in configs),
            key=lambda one: -one[1].modified,
        )
        likes = _durations([*views.values(), *_read(store, dict(others[:NEWEST])).values()])
    whole = {kind: statistics.median(found) for kind, found in likes.items()}
    kinds = {_kind(configs[trial]) for trial in missing}
    epochs = {trial: int(views[trial].get("epoch") or 0) for trial in missing if trial in views}
    estimate = None
    if kinds <= whole.keys():
        per_epoch = {one: whole[_kind(configs[one])] / configs[one].epochs for one in missing}
        estimate = _time(configs, per_epoch, epochs, stages, at_a_time)
    counts = Counter(statuses.values())
    return Outlook(
        trials=len(configs),
        counts={status: counts[status] for status in STATUSES},
        missing=len(missing),
        estimate=estimate,
        estimate_from=sum(len(likes.get(kind, ())) for kind in kinds),
    )


def _read(store: Store, listed: Mapping[str, Listed]) -> dict[str, View]:
    """The summaries that can be read; one that was replaced meanwhile counts as none."""

    def read(key: str) -> View | None:
        try:
            return read_view(store, key)
        except (NotFound, Corrupt) as error:
            logger.debug("a summary is skipped: %s", error)
            return None

    if not listed:
        return {}
    keys = [one.key for one in listed.values()]
    at_once = AT_ONCE if store.local_path(keys[0]) is None else 1  # threads only cost, on a folder
    found = side_by_side([functools.partial(read, key) for key in keys], at_once)
    return {trial: view for trial, view in zip(listed, found, strict=True) if view is not None}


def _status(view: View | None, is_alive: bool) -> str:
    if view is None:
        return "running" if is_alive else "queued"
    status = str(view.get("status"))
    if status == "running" or status not in STATUSES:
        return "running" if is_alive else "crashed"
    return status


Kind = tuple[str, str, int]
"""Trials of one dataset, model and number of epochs take about as long as each other."""


def _kind(config: TrainConfig) -> Kind:
    return config.dataset, config.model, config.epochs


def _durations(views: Iterable[View]) -> dict[Kind, list[float]]:
    found: dict[Kind, list[float]] = {}
    for view in views:
        seconds = view.get("seconds")
        if view.get("status") == "done" and isinstance(seconds, (int, float)):
            kind = (str(view.get("dataset")), str(view.get("model")), int(view.get("epochs") or 0))
            found.setdefault(kind, []).append(float(seconds))
    return found


def _stages(
    store: Store, grid: GridConfig, statuses: dict[str, str]
) -> tuple[tuple[int, ...], Collection[str]]:
    """The rungs that are to be decided yet, and the trials that are still in the grid.

    Marks those that a search has left behind as pruned.
    """
    if grid.search == "full":
        return (), statuses
    decisions = read_decisions(store, grid)
    for trial in (one for decision in decisions for one in decision.pruned):
        if statuses[trial] in {"stopped", "crashed"}:
            statuses[trial] = "pruned"
    decided = {decision.epoch for decision in decisions}
    ahead = tuple(epoch for epoch in rungs(grid.trial.epochs) if epoch not in decided)
    return ahead, decisions[-1].survivors if decisions else statuses


def _time(
    configs: Mapping[str, TrainConfig],
    per_epoch: Mapping[str, float],
    epochs: Mapping[str, int],
    stages: Sequence[int],
    at_a_time: int,
) -> float:
    """Seconds until these trials are at their end, so many at a time; no trial is shared by two.

    Of a search, a third of the trials goes on beyond each rung, and all wait there for the last.
    """
    total, trials = 0.0, len(per_epoch)
    for index, end in enumerate((*stages, None)):
        begin = stages[index - 1] if index else 0
        lasts = [
            seconds * max(0, (end or configs[one].epochs) - max(begin, epochs.get(one, 0)))
            for one, seconds in per_epoch.items()
        ]
        share = trials / max(1, len(per_epoch))
        total += max(share * sum(lasts) / at_a_time, max(lasts, default=0.0))
        trials = survivors_of(trials)
    return total

"""What a grid needs, what it has, and which trial is best: decided from the store alone.

No scheduler is asked what has been done. Views say which trials are worth a look, since a thousand of
them are one listing; before a trial counts in a result, its head is read.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any

from segnets.config.grid import GridConfig
from segnets.config.ids import (
    canonical_json,
    flat_settings,
    grid_id,
    grid_sha256,
    trial_id,
)
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError, Corrupt, NotFound, NotInStore
from segnets.grid.board import known
from segnets.store.bag import Bag
from segnets.store.base import Store
from segnets.store.entry import Entry
from segnets.store.log import read_head
from segnets.store.views import list_views, read_view

VERSION = 1
PLAN_ITEM = "plan"
PLAN_FILE = "plan.json"
NEWEST = 100
_LENGTH = frozenset({"epochs", "schedule", "warm_up"})

logger = logging.getLogger("segnets.grid")


@dataclass(frozen=True, slots=True)
class TrialChoice:
    """A trial that was chosen, with the sentence that says why."""

    trial: str
    val_miou: float
    dataset: str
    why: str


def find_best(store: Store, dataset: str | None = None) -> TrialChoice:
    """The done trial with the highest val_miou on `dataset`, ties to the older.

    Without `dataset`, on that of the newest done trial. Raises NotInStore if there is none.
    """
    done = [
        (view, head)
        for view in _views(store)
        if (dataset is None or view["dataset"] == dataset)
        and (head := _done(store, view["id"])) is not None
    ]
    if not done:
        where = store.url if dataset is None else f"dataset {dataset} in {store.url}"
        raise NotInStore("no trial is done", where, "Train one: python flows/train.py.")
    if dataset is None:
        dataset = str(max(done, key=lambda pair: pair[1].time)[0]["dataset"])
    rivals = [(view, head) for view, head in done if view["dataset"] == dataset]
    _, head = min(rivals, key=lambda pair: (-_score(pair[1]), pair[1].time, pair[1].id))
    score = _score(head)
    why = f"highest val_miou ({score:.4f}) of {len(rivals)} done on {dataset}"
    return TrialChoice(head.id, score, dataset, why)


def longer_or_shorter(store: Store, config: TrainConfig) -> list[str]:
    """Trials that differ from `config` in epochs, schedule or warm-up alone, for people to read.

    Another length is another trial: the learning rate of every step depends on it. By the views, and
    only the newest NEWEST of them: a hint must not cost the start of a trial seconds.
    """
    ours, found = flat_settings(config), []
    for view in _views(store, newest=NEWEST):
        theirs = view.get("settings")
        if view["dataset"] != config.dataset or not isinstance(theirs, dict):
            continue
        differs = sorted(name for name in ours if theirs.get(name, ours[name]) != ours[name])
        if differs and _LENGTH.issuperset(differs):
            found.append(f"{view['id']} ({', '.join(f'{one} {theirs[one]}' for one in differs)})")
    return found


def make_plan(config: GridConfig) -> dict[str, Any]:
    """The content of plan.json: {v, axes {field: [values]}, skip [text], trials [...]}.

    A trial is {trial, settings, seed}; `settings` holds the axes' fields only, under their dotted names.
    """
    axes = config.axes()
    trials = []
    for trial in config.trials():
        flat = flat_settings(trial)
        settings = {name: flat[name] for name in axes}
        trials.append({"trial": trial_id(trial), "settings": settings, "seed": trial.seed})
    return {
        "v": VERSION,
        "axes": {name: list(values) for name, values in axes.items()},
        "skip": list(config.skip),
        "trials": trials,
    }


def put_plan(store: Store, config: GridConfig) -> str:
    """Write the plan of a grid, so that its queued trials are seen; returns the grid's id.

    `config.trial.dataset` is a real id. Done once: a grid with the same trials has the same plan.
    """
    grid = grid_id(config)
    bag = Bag(store, "grid", grid, grid_sha256(config))
    if bag.done() is not None:
        return grid
    plan = make_plan(config)
    file = bag.put_file(PLAN_FILE, canonical_json(plan) + b"\n")
    item = bag.put_item(PLAN_ITEM, [file])
    bag.put_done({PLAN_ITEM: item}, {"trials": len(plan["trials"])})
    view = {
        "v": VERSION,
        "kind": "grid",
        "id": grid,
        "axes": plan["axes"],
        "trials": [trial["trial"] for trial in plan["trials"]],
        "dataset": config.trial.dataset,
        "time": time.time(),
    }
    bag.put_view(view)
    return grid


def _views(store: Store, newest: int | None = None) -> list[dict[str, Any]]:
    """Summaries of all trials that can be read, or of those written last."""
    found = []
    views = sorted(list_views(store, "trial").items(), key=lambda one: -one[1].modified)
    for trial, listed in sorted(views[:newest]):
        try:
            view = read_view(store, listed.key)
        except NotFound:  # replaced since the listing: its trial is worth a look all the same
            try:
                view = read_view(store, list_views(store, "trial")[trial].key)
            except (KeyError, NotFound, Corrupt):
                continue
        except Corrupt as error:
            logger.warning("the summary of trial %s is skipped: %s", trial, error)
            continue
        if view.get("dataset"):
            found.append({**view, "id": trial})
    return found


def _done(store: Store, trial: str) -> Entry | None:
    try:
        head = read_head(store, trial)
    except ConfigError:
        return None
    return head if head is not None and head.event == "done" else None


def _score(head: Entry) -> float:
    return known(head.metrics.get("val_miou"))

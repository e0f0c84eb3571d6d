"""Successive halving: start all trials, keep the better third at a third and at two thirds of the epochs.

    all trials -> rung 1: ceil(epochs / 3) -> the better third -> rung 2: ceil(2 epochs / 3) -> ...

Every trial keeps its full length and schedule and is paused at the rung: another number of epochs would
be another trial. So a survivor ends with the bits of one that nobody paused, and a trial that a full
grid trained before counts here with what it had at the rung.

A decision is taken from the store alone: from the sealed scores of all trials that entered the rung, once
each has reached it or failed. It is sealed in the grid's bag before anybody acts upon it, since a trial
that failed may be launched again and come back with a score: what was decided stays decided. Interrupted
before the seal it is decided again from the same scores, after it it is read.
"""

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from segnets.config.grid import GridConfig
from segnets.config.ids import grid_id, grid_sha256, trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.errors import NotFound
from segnets.grid.board import AT_ONCE
from segnets.store.bag import Bag
from segnets.store.base import Store
from segnets.store.entry import finite, read_file
from segnets.store.log import read_head
from segnets.store.retry import side_by_side
from segnets.store.tables import from_parquet

KEEP = 3
"""One trial in so many goes on, rounded up."""
READS = 5
"""How often a table is looked for that a training trial replaces meanwhile."""

logger = logging.getLogger("segnets.grid")

Bring = Callable[[Sequence[TrainConfig], int | None], None]
"""Train these trials until they have this epoch, or to their end."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a trial is with regard to a rung; `miou` is what it had there, None if not a number."""

    state: Literal["reached", "failed", "open"]
    miou: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Who goes on beyond an epoch: ids, the best first; `scores` of those that reached it."""

    epoch: int
    survivors: tuple[str, ...]
    pruned: tuple[str, ...]
    failed: tuple[str, ...]
    scores: Mapping[str, float | None]


def rungs(epochs: int) -> tuple[int, ...]:
    """The epochs after which a decision is taken: a third and two thirds, rounded up."""
    return tuple(-(-part * epochs // KEEP) for part in range(1, KEEP))


def survivors_of(trials: int) -> int:
    """How many of so many trials go on: a third, rounded up."""
    return -(-trials // KEEP)


def search(store: Store, grid: GridConfig, bring: Bring) -> list[Decision]:
    """Bring all trials to the first rung, the better third to the next, and so on to the end.

    Returns the decisions. Ends early, without one for the next rung, if `bring` left a trial that has
    neither reached it nor failed.
    """
    bag = _bag(store, grid)
    alive = grid.trials()
    decisions: list[Decision] = []
    for epoch in rungs(grid.trial.epochs):
        decision = _read(bag, epoch)
        if decision is None:
            bring(alive, epoch)
            decision = decide(store, alive, epoch)
            if decision is None:
                return decisions
            _seal(bag, decision)
        decisions.append(decision)
        logger.info(
            "epoch %d: %d trials go on, %d are pruned, %d have failed",
            epoch,
            *(len(part) for part in (decision.survivors, decision.pruned, decision.failed)),
        )
        alive = [config for config in alive if trial_id(config) in decision.survivors]
    bring(alive, None)
    return decisions


def decide(store: Store, configs: Iterable[TrainConfig], epoch: int) -> Decision | None:
    """Who of these trials goes on beyond `epoch`; None while one has neither reached it nor failed.

    By the val mIoU of that epoch, never of a later one; ties by id. A third of those that entered
    goes on, so a failed trial makes room for nobody.
    """
    entered = list(configs)
    actions = [functools.partial(standing, store, config, epoch) for config in entered]
    found = side_by_side(actions, AT_ONCE) if actions else []
    standings = dict(zip(map(trial_id, entered), found, strict=True))
    still_open = sorted(trial for trial, one in standings.items() if one.state == "open")
    if still_open:
        logger.warning(
            "no decision at epoch %d: it waits for %s; the same command tries them again, a grid "
            "with --skip leaves them out",
            epoch,
            ", ".join(still_open),
        )
        return None
    scores = {trial: one.miou for trial, one in standings.items() if one.state == "reached"}
    order = sorted(scores, key=lambda trial: (-_rank(scores[trial]), trial))
    keep = survivors_of(len(standings))
    failed = sorted(trial for trial, one in standings.items() if one.state == "failed")
    return Decision(epoch, tuple(order[:keep]), tuple(order[keep:]), tuple(failed), scores)


def standing(store: Store, config: TrainConfig, epoch: int) -> Standing:
    """Whether a trial has this epoch, has failed before it, or is still on its way."""
    trial, sha256 = trial_id(config), trial_sha256(config)
    for left in reversed(range(READS)):
        head = read_head(store, trial, sha256)
        if head is None:
            return Standing("open")
        if head.epoch < epoch:
            return Standing("failed" if head.event == "failed" else "open")
        if head.epoch == epoch:
            return Standing("reached", head.metrics.get("val_miou_last"))
        try:
            rows = from_parquet(read_file(store, head.file("epochs.parquet"))).to_pylist()
        except NotFound:  # a newer one has replaced it
            if not left:
                raise
            continue
        at_epoch = (one["miou"] for one in rows if (one["epoch"], one["split"]) == (epoch, "val"))
        return Standing("reached", finite(next(at_epoch)))  # as the entry of that epoch said it
    raise AssertionError("unreachable")


def read_decisions(store: Store, grid: GridConfig) -> list[Decision]:
    """The decisions that a search has sealed so far, in the order of their rungs."""
    bag = _bag(store, grid)
    found = (_read(bag, epoch) for epoch in rungs(grid.trial.epochs))
    return [decision for decision in found if decision is not None]


def _bag(store: Store, grid: GridConfig) -> Bag:
    return Bag(store, "grid", grid_id(grid), grid_sha256(grid))


def _read(bag: Bag, epoch: int) -> Decision | None:
    """The first line of this rung: two searches at once read the same scores and decide the same."""
    lines = bag.items().get(f"rung-{epoch}")
    if not lines:
        return None
    content: Mapping[str, Any] = lines[0].metrics
    return Decision(
        epoch=int(content["epoch"]),
        survivors=tuple(content["survivors"]),
        pruned=tuple(content["pruned"]),
        failed=tuple(content["failed"]),
        scores=dict(content["scores"]),
    )


def _seal(bag: Bag, decision: Decision) -> None:
    bag.put_item(f"rung-{decision.epoch}", (), asdict(decision))


def _rank(miou: float | None) -> float:
    return -1.0 if miou is None else miou

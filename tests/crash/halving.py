"""A search by halving, killed before every operation on the store: the same survivors, the same bits.

    python -m tests.crash halving --part 1/4 --store rclone

Four tiny trials of three epochs: all come to epoch 1, two to epoch 2, one to its end. The operations are
those of the plan, of every trial, and of the two decisions; after each kill the same search goes on.
"""

from typing import Any

from crash import tiny
from crash.points import kills, try_at
from crash.subjects import BagSubject, Place, acknowledging
from crash.tries import Count, open_lab, total, undisturbed
from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import grid_id, trial_id
from segnets.grid.halving import read_decisions, search
from segnets.grid.plan import put_plan
from segnets.store.base import Store

TRIAL = {"epochs": 3, "batch_size": 3, "take_over": True}


class Search(BagSubject):
    """A plan, its trials up to each rung, its decisions."""

    name = "search"
    kind = "grid"

    def __init__(self, made: tiny.Made) -> None:
        super().__init__(made)
        trial = {**tiny.SETTINGS, **TRIAL, "dataset": made.dataset}
        settings = {"trial": trial, "grid": ["lr=0.001,0.02", "seed=0,1"], "search": "halving"}
        self.config = build(GridConfig, settings)

    def subject_id(self) -> str:
        return grid_id(self.config)

    def run(self, place: Place, wait_s: float) -> None:
        store = place.open(write=True, wait_s=wait_s)

        def bring(trials: Any, pause_at: int | None) -> None:
            for one in trials:
                settings = {**TRIAL, "lr": one.lr, "seed": one.seed, "pause_at": pause_at}
                tiny.run_trial(place.url, self.made, wait_s=wait_s, **settings)

        with acknowledging(place):
            put_plan(store, self.config)
            search(store, self.config, bring)

    def product(self, _: Place, store: Store) -> Any:
        decisions = read_decisions(store, self.config)
        if len(decisions) < 2:
            return None
        ends = {}
        for one in self.config.trials():
            settings = {**TRIAL, "lr": one.lr, "seed": one.seed}
            found = tiny.digests(store, self.made, **settings)
            ends[trial_id(one)] = found and [found.weights_sha256, found.state_sha256, found.table]
        told = [[one.survivors, one.pruned, one.failed, dict(one.scores)] for one in decisions]
        return [told, ends]


def run(part: int, parts: int, seed: int, store: str, sample: int | None = None) -> dict[str, Any]:
    """This part's share of all operations; `sample` takes that many instead."""
    count = Count()
    with tiny.prepare() as made, open_lab(store, made) as lab:
        subject = Search(made)
        expected, calm = undisturbed(subject, lab)
        for k in kills(calm, part, parts, seed, sample):
            with lab.place(subject) as place:
                wrong = try_at(subject, place, "kill", k, expected)
            count.add(wrong, f"killed at {k} ({calm['places'][k]})")
    return total({"kill": count})

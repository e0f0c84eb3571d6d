import subprocess
import sys
import time

import pytest
from support.memory_store import MemoryStore

from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.grid.halving import search
from segnets.grid.outlook import look_ahead
from segnets.grid.plan import put_plan


def grid_of(*axes, **settings):
    trial = {"dataset": "d", "epochs": 4, **settings.pop("trial", {})}
    return build(GridConfig, {"trial": trial, "grid": axes, **settings})


SEEDS = grid_of("seed=0,1,2,3,4,5,6,7")


def test_a_grid_that_nobody_began_is_all_missing_and_its_time_unknown(store):
    found = look_ahead(store, SEEDS)
    assert (found.trials, found.missing, found.counts["queued"]) == (8, 8, 8)
    assert found.estimate is None
    assert found.estimate_from == 0


def test_counts_are_those_of_the_summaries_and_the_missing_are_what_would_run(store, commit, hold):
    trials = SEEDS.trials()
    commit(trials[0], "done")
    commit(trials[1], "stopped", epoch=1)
    commit(trials[2], "failed", reason="error", epoch=1)
    commit(trials[3], "failed", reason="diverged", epoch=1)
    commit(trials[4], "checkpoint", epoch=1)
    hold(trials[5])
    found = look_ahead(store, SEEDS)
    told = {"done": 1, "stopped": 1, "failed": 1, "diverged": 1, "crashed": 1, "running": 1}
    assert dict(found.counts) == {**told, "queued": 2, "pruned": 0}
    assert found.missing == 6  # a diverged one would diverge again
    assert look_ahead(store, grid_of("seed=0,1,2,3,4,5,6,7", retry=False)).missing == 5


def test_the_rest_takes_the_median_of_done_trials_less_what_was_trained_already(store, commit):
    trials = SEEDS.trials()
    for trial, seconds in zip(trials[:3], (90.0, 100.0, 500.0), strict=True):
        commit(trial, seconds=seconds)
    commit(trials[3], "stopped", epoch=3)
    found = look_ahead(store, SEEDS)
    assert found.estimate == pytest.approx(4 * 100 + 100 / 4)
    assert found.estimate_from == 3
    assert look_ahead(store, SEEDS, at_a_time=2).estimate == pytest.approx((4 * 100 + 25) / 2)
    assert look_ahead(store, SEEDS, at_a_time=64).estimate == pytest.approx(
        100
    )  # no trial is split


def test_durations_come_from_other_grids_of_the_same_model_and_epochs_only(store, commit):
    for other, seconds in (({}, 50.0), ({"epochs": 9}, 7.0), ({"model": "resnet_lstm"}, 8.0)):
        commit(grid_of("lr=0.5", trial=other).trials()[0], seconds=seconds)
    assert look_ahead(store, SEEDS).estimate == pytest.approx(8 * 50)
    assert look_ahead(store, grid_of("epochs=4,5")).estimate is None  # of 5 epochs none is done


def test_a_complete_grid_takes_no_time(store, commit):
    grid = grid_of("seed=0,1")
    for trial in grid.trials():
        commit(trial)
    found = look_ahead(store, grid)
    assert (found.missing, found.estimate) == (0, 0.0)


def test_a_search_costs_what_its_rungs_leave(store, commit):
    commit(grid_of("lr=0.5", trial={"epochs": 9}).trials()[0], seconds=90.0)
    axes = ("seed=0,1,2,3,4,5,6,7,8",)
    halving = grid_of(*axes, trial={"epochs": 9}, search="halving")
    found = look_ahead(store, halving)
    assert found.estimate == pytest.approx(9 * 30 + 3 * 30 + 1 * 30)
    assert look_ahead(store, grid_of(*axes, trial={"epochs": 9})).estimate == pytest.approx(810)
    assert look_ahead(store, halving, at_a_time=9).estimate == pytest.approx(90)


def test_what_a_search_has_left_behind_is_no_longer_missing(store, commit):
    grid = grid_of("seed=0,1,2", trial={"epochs": 3}, search="halving")
    put_plan(store, grid)
    with pytest.raises(KeyboardInterrupt):
        search(store, grid, Bring(commit))
    found = look_ahead(store, grid)
    told = {name: number for name, number in found.counts.items() if number}
    assert told == {"pruned": 2, "stopped": 1}
    assert found.missing == 1


class Bring:
    """Training up to the first rung, and a Ctrl-C then."""

    def __init__(self, commit):
        self.commit = commit

    def __call__(self, configs, epoch):
        if epoch != 1:
            raise KeyboardInterrupt
        for config in configs:
            self.commit(config, "stopped", epoch=1, val_miou_last=config.seed / 10)


def test_a_look_writes_nothing(commit, store):
    commit(SEEDS.trials()[0])
    reader = MemoryStore(objects={one.key: store.get(one.key) for one in store.list("")})
    reader.times = dict.fromkeys(reader.objects, time.time())

    def only_reads(operation, key):
        assert operation in {"get", "list"}, (operation, key)

    reader.before = only_reads
    assert look_ahead(reader, SEEDS).counts["done"] == 1


TEN_THOUSAND = """
import sys, time
from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import grid_id
from segnets.grid.outlook import look_ahead
from segnets.store.open import open_store
grid = build(GridConfig, {"grid": ("seed=lin:0..99:100", "lr=lin:0.001..0.1:100")})
found = look_ahead(open_store(sys.argv[1], write=False), grid.on_dataset("d"))
assert found.trials == 10_000 and grid_id(grid)
print(time.process_time())
"""


def test_ten_thousand_points_are_looked_at_in_three_seconds_of_one_core(store):
    done = subprocess.run(
        [sys.executable, "-c", TEN_THOUSAND, store.url], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 3

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import flat_settings, grid_id, trial_id, trial_sha256
from segnets.errors import NotInStore
from segnets.grid.plan import (
    find_best,
    longer_or_shorter,
    make_plan,
    put_plan,
)
from segnets.store.bag import read_done
from segnets.store.log import claim
from segnets.store.views import list_views, read_view

DATASET = "tiny-32x64-2f-00000000"


@pytest.fixture
def grid():
    settings = {
        "trial": {"dataset": DATASET},
        "grid": ("lr=0.001,0.003", "augment.gamma=0,0.5"),
    }
    return build(GridConfig, settings)


def commit(store, config, event="done", *, view=True, **metrics):
    """One entry of a trial, as training would leave it."""
    trial = trial_id(config)
    with claim(store, trial, trial_sha256(config), env={}) as log:
        summary = {"id": trial, "dataset": config.dataset, "status": event if view else "running"}
        log.commit(event, epoch=1, step=3, files=(), live=(), metrics=metrics, view=summary)


def test_a_plan_names_every_trial_with_the_axes_of_the_grid_only(grid):
    plan = make_plan(grid)
    assert plan["axes"] == {"lr": [0.001, 0.003], "augment.gamma": [0.0, 0.5]}
    assert [one["trial"] for one in plan["trials"]] == [trial_id(one) for one in grid.trials()]
    assert plan["trials"][1]["settings"] == {"lr": 0.001, "augment.gamma": 0.5}
    assert plan["trials"][1]["seed"] == 0
    assert plan["skip"] == []


def test_a_plan_names_the_points_that_its_constraints_leave(grid):
    less = replace(grid, skip=("lr=0.003,augment.gamma=0.5",))
    plan = make_plan(less)
    assert plan["skip"] == ["lr=0.003,augment.gamma=0.5"]
    assert plan["trials"] == make_plan(grid)["trials"][:3]


def test_a_plan_is_put_once_whatever_the_order_of_its_axes(grid, store):
    turned = build(
        GridConfig,
        {"trial": {"dataset": DATASET}, "grid": ("augment.gamma=0.5,0", "lr=0.003,0.001")},
    )
    assert put_plan(store, grid) == put_plan(store, turned) == grid_id(grid)
    assert len(store.list("log/grid/")) == 2  # the plan and its done
    done = read_done(store, "grid", grid_id(grid))
    content = json.loads(store.get(done.file("plan.json").key))
    assert content == make_plan(grid)
    view = read_view(store, list_views(store, "grid")[grid_id(grid)].key)
    assert view["trials"] == [trial_id(one) for one in grid.trials()]
    assert view["dataset"] == DATASET


def test_the_best_is_the_highest_done_one_and_of_equals_the_older(grid, store):
    lower, best, equal, running = grid.trials()
    commit(store, lower, val_miou=0.3)
    commit(store, best, val_miou=0.6)
    commit(store, equal, val_miou=0.6)
    commit(store, running, "checkpoint", val_miou=0.9)
    choice = find_best(store)
    assert (choice.trial, choice.val_miou, choice.dataset) == (trial_id(best), 0.6, DATASET)
    assert choice.why == f"highest val_miou (0.6000) of 3 done on {DATASET}"


def test_a_late_summary_hides_no_done_trial_and_an_unknown_score_never_wins(grid, store):
    late, unknown, *_ = grid.trials()
    commit(store, unknown, val_miou=None)
    commit(store, late, view=False, val_miou=0.2)
    assert find_best(store).trial == trial_id(late)


def test_the_best_is_looked_for_on_the_dataset_of_the_newest_done_trial(grid, store):
    older, other = grid.trials()[0], build(GridConfig, {"grid": ("lr=0.001",)}).trials()[0]
    commit(store, other, val_miou=0.9)
    commit(store, older, val_miou=0.1)
    assert find_best(store).trial == trial_id(older)
    assert find_best(store, other.dataset).trial == trial_id(other)


def test_a_store_without_a_done_trial_has_no_best(grid, store):
    commit(store, grid.trials()[0], "stopped")
    with pytest.raises(NotInStore, match="no trial is done") as fault:
        find_best(store, DATASET)
    assert fault.value.exit_code == 3
    assert DATASET in str(fault.value)


def test_a_trial_of_another_length_is_named_and_no_other(grid, store):
    config = grid.trials()[0]
    longer, other = replace(config, epochs=config.epochs + 1), replace(config, seed=77)
    for one in (longer, other, replace(longer, lr=0.5)):
        with claim(store, trial_id(one), trial_sha256(one), env={}) as log:
            view = {"dataset": one.dataset, "settings": flat_settings(one)}
            log.commit("stopped", epoch=1, step=1, files=(), live=(), metrics={}, view=view)
    assert longer_or_shorter(store, config) == [f"{trial_id(longer)} (epochs {longer.epochs})"]


def test_the_parent_of_a_grid_plans_without_torch():
    code = "import sys, segnets.grid.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

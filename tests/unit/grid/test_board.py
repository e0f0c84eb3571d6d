import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import trial_id, trial_sha256
from segnets.errors import ConfigError
from segnets.grid.board import STATUSES, best_by, leaderboard, over_seeds
from segnets.store.keys import beat_key
from segnets.store.log import claim

SEEDS = ("seed=0,1,2,3,4,5,6,7",)


@pytest.fixture
def trials():
    return build(GridConfig, {"trial": {"dataset": "d"}, "grid": SEEDS}).trials()


def statuses(rows, trials):
    by_trial = {row["trial"]: row["status"] for row in rows}
    return [by_trial[trial_id(one)] for one in trials]


def row(trial, status="done", settings=None, **scores):
    known = {"val_miou": None, "val_loss": None, "pixel_accuracy": None, **scores}
    return {"trial": trial, "status": status, "settings": settings or {}, **known}


def test_every_trial_is_on_the_board_under_the_status_of_its_log(trials, store, commit, hold):
    commit(trials[0], "done", val_miou=0.5)
    commit(trials[1], "stopped", val_miou=0.6)
    commit(trials[2], "failed", reason="error", val_miou=0.7)
    commit(trials[3], "failed", reason="diverged")
    commit(trials[4], "checkpoint")  # its process is gone, and no entry says how
    hold(trials[5])
    hold(trials[6]).close()  # claimed, and gone before its first commit
    rows = leaderboard(store, trials, ["seed"])
    told = ["done", "stopped", "failed", "diverged", "crashed", "running", "crashed", "queued"]
    assert statuses(rows, trials) == told
    assert {*told, "pruned"} == set(STATUSES)


def test_a_trial_that_a_search_left_behind_is_pruned_unless_it_came_to_an_end_of_its_own(
    trials, store, commit, hold
):
    commit(trials[0], "stopped")
    commit(trials[1], "done", val_miou=0.5)
    commit(trials[2], "failed", reason="diverged")
    hold(trials[3])
    pruned = {trial_id(one): 3 for one in trials[:4]}
    rows = leaderboard(store, trials[:5], ["seed"], pruned=pruned)
    told = ["pruned", "done", "diverged", "running", "queued"]
    assert statuses(rows, trials[:5]) == told
    assert sorted(str(one["pruned_at"]) for one in rows) == ["3", "3", "3", "3", "None"]


def test_a_trial_that_was_stopped_and_claimed_again_is_running_or_crashed(
    trials, store, commit, hold
):
    for trial in trials[:2]:
        commit(trial, "stopped")
    hold(trials[0])
    hold(trials[1]).close()
    rows = leaderboard(store, trials[:2])
    assert statuses(rows, trials[:2]) == ["running", "crashed"]


def test_a_beat_of_long_ago_is_no_sign_of_life(trials, store, commit, monkeypatch):
    commit(trials[0], "checkpoint")
    store.put(beat_key(trial_id(trials[0]), "0123456789abcdef"), b"{}")
    assert statuses(leaderboard(store, trials[:1]), trials[:1]) == ["running"]
    now = store.now()
    monkeypatch.setattr(type(store), "now", lambda _: now + 61)
    assert statuses(leaderboard(store, trials[:1]), trials[:1]) == ["crashed"]


def test_how_a_command_saw_a_trial_end_counts_where_its_log_does_not_say(
    trials, store, commit, hold
):
    commit(trials[0], "done", val_miou=0.5)
    hold(trials[1])
    ended = {trial_id(trials[0]): "failed", trial_id(trials[1]): "crashed"}
    ended[trial_id(trials[2])] = "failed"
    rows = leaderboard(store, trials[:3], ["seed"], ended)
    assert statuses(rows, trials[:3]) == ["done", "crashed", "failed"]


def test_the_best_come_first_and_rows_show_the_axes_only(trials, store, commit):
    commit(trials[0], val_miou=0.3, val_loss=1.0, pixel_accuracy=0.7, best_epoch=1)
    commit(trials[1], val_miou=0.4)
    rows = leaderboard(store, trials[:3], ["seed"])
    assert [one["val_miou"] for one in rows] == [0.4, 0.3, None]
    assert rows[1] == {
        "trial": trial_id(trials[0]),
        "status": "done",
        "settings": {"seed": 0},
        "val_miou": 0.3,
        "val_loss": 1.0,
        "pixel_accuracy": 0.7,
        "best_epoch": 1,
        "pruned_at": None,
    }


def test_an_id_that_is_of_another_config_is_refused(trials, store):
    with claim(store, trial_id(trials[0]), trial_sha256(trials[1]), env={}) as log:
        log.commit("stopped", epoch=0, step=0, files=(), live=(), metrics={}, view={})
    with pytest.raises(ConfigError, match="other settings"):
        leaderboard(store, trials)


def test_the_best_by_each_score_may_be_three_trials():
    rows = [
        row("a", val_miou=0.6, val_loss=0.9, pixel_accuracy=0.7),
        row("b", val_miou=0.5, val_loss=0.4, pixel_accuracy=0.7),
        row("c", val_miou=0.4, val_loss=0.8, pixel_accuracy=0.9),
        row("stopped", status="stopped", val_miou=0.9, val_loss=0.1, pixel_accuracy=1.0),
        row("unknown", val_miou=float("nan")),
    ]
    found = best_by(rows)
    assert {name: one["trial"] for name, one in found.items()} == {
        "val_miou": "a",
        "val_loss": "b",
        "pixel_accuracy": "c",
    }
    assert found["val_loss"]["value"] == 0.4
    assert best_by([]) == dict.fromkeys(found)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_a_point_has_the_mean_and_the_spread_of_its_seeds(scores):
    rows = [
        row(f"t{seed}", settings={"lr": 0.1, "seed": seed}, val_miou=one)
        for seed, one in enumerate(scores)
    ]
    rows.append(row("x", status="failed", settings={"lr": 0.1, "seed": 99}, val_miou=0.123))
    (point,) = over_seeds(rows)
    assert (point["settings"], point["seeds"], point["done"]) == (
        {"lr": 0.1},
        len(rows),
        len(scores),
    )
    assert point["val_miou"]["mean"] == pytest.approx(sum(scores) / len(scores))
    expected = statistics.stdev(scores) if len(scores) > 1 else None
    assert point["val_miou"]["spread"] == expected
    assert point["val_loss"] == {"mean": None, "spread": None}


def test_points_are_sorted_by_their_mean_and_one_without_a_score_is_last():
    rows = [
        row("a", status="crashed", settings={"lr": 1, "seed": 0}),
        row("b", settings={"lr": 2, "seed": 0}, val_miou=0.2),
        row("c", settings={"lr": 3, "seed": 0}, val_miou=0.3),
    ]
    assert [point["settings"]["lr"] for point in over_seeds(rows)] == [3, 2, 1]

"""What train_grid says of a search by halving; its trials are entries in a store, nothing is trained."""

from collections import Counter

import pytest

from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import trial_id, trial_sha256
from segnets.errors import TrialsFailed
from segnets.store.bag import Bag
from segnets.store.log import claim
from segnets.store.open import open_store
from tasks import train_grid
from tasks.evaluate import val_job
from tasks.launch import End


class Trained:
    """A starter whose trials end at once, with the mIoU seed / 10; those of `fails` fail."""

    slots, poll_s = 2, 0.0

    def __init__(self, url, fails=()):
        self.store, self.fails, self.started = open_store(url, write=True), set(fails), []

    def start(self, config, _launch):
        self.started.append((config.seed, config.pause_at))
        return config

    def poll(self, config):
        failed, done = config.seed in self.fails, config.pause_at is None
        event = "failed" if failed else "done" if done else "stopped"
        epoch = 0 if failed else config.pause_at or config.epochs
        score, weights = config.seed / 10, f"{config.seed:064x}"
        metrics = {
            "val_miou": score,
            "val_miou_last": score,
            "best_epoch": epoch,
            "weights_sha256": weights,
            "state_sha256": weights,
            "exit_code": 3,
            "sentence": "a label is missing",
        }
        trial = trial_id(config)
        with claim(self.store, trial, trial_sha256(config), env={}) as log:
            log.commit(event, epoch=epoch, step=epoch, files=(), live=(), metrics=metrics, view={})
        if done:
            job = val_job(trial, weights, config.dataset)
            Bag(self.store, "eval", job.id, job.sha256).put_done({})
        return End(3, "a label is missing") if failed else End(0)

    def stop(self, handles):
        assert not handles


@pytest.fixture
def grid(tmp_path):
    trial = {"dataset": "d", "epochs": 6, "store": str(tmp_path / "store")}
    settings = {"trial": trial, "grid": ("seed=0,1,2,3,4,5",), "search": "halving"}
    return build(GridConfig, settings)


@pytest.fixture
def command(grid, monkeypatch):
    """A function that does what the command does, and returns what was started."""

    def run(fails=()):
        starter = Trained(grid.trial.store, fails)
        monkeypatch.setattr(train_grid, "Processes", lambda *_, **__: starter)
        train_grid.write_plan(grid)
        return starter.started, lambda: train_grid.summarise(grid, train_grid.launch_missing(grid))

    return run


def statuses(leaderboard):
    return Counter(row["status"] for row in leaderboard)


def test_a_search_ends_with_one_done_trial_and_tells_where_the_others_were_left(command, grid):
    started, summary = command()
    result = summary()
    assert Counter(pause for _, pause in started) == {2: 6, 4: 2, None: 1}
    assert statuses(result.leaderboard) == {"done": 1, "pruned": 5}
    assert Counter(row["pruned_at"] for row in result.leaderboard) == {2: 4, 4: 1, None: 1}
    assert (result.best["settings"], result.ran, result.reused) == ({"seed": 5}, 6, 0)
    (point,) = result.points
    assert (point["seeds"], point["done"]) == (6, 1)


def test_the_same_command_again_launches_nothing(command):
    command()[1]()
    started, summary = command()
    result = summary()
    assert started == []
    assert (result.ran, result.reused) == (0, 1)
    assert statuses(result.leaderboard) == {"done": 1, "pruned": 5}


def test_a_trial_that_failed_is_told_by_every_command_and_never_launched_again(command, grid):
    _, summary = command(fails=[5])
    with pytest.raises(TrialsFailed, match="1 of 6 trials did not complete") as fault:
        summary()
    told = fault.value.summary
    assert statuses(told["leaderboard"]) == {"done": 1, "pruned": 4, "failed": 1}
    assert told["best"]["settings"] == {"seed": 4}
    started, summary = command()
    with pytest.raises(TrialsFailed) as again:
        summary()
    assert started == []
    assert again.value.summary["failed"] == told["failed"]
    assert told["failed"][0]["sentence"] == "a label is missing"


def test_a_full_grid_goes_on_with_what_a_search_left_behind(command, grid, monkeypatch):
    command()[1]()
    starter = Trained(grid.trial.store)
    monkeypatch.setattr(train_grid, "Processes", lambda *_, **__: starter)
    full = build(GridConfig, {"trial": grid.trial, "grid": grid.grid})
    result = train_grid.summarise(full, train_grid.launch_missing(full))
    assert sorted(starter.started) == [(seed, None) for seed in range(5)]
    assert statuses(result.leaderboard) == {"done": 6}

"""Which trials a search keeps, from what their logs say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import grid_id, trial_id
from segnets.errors import ConfigError
from segnets.grid.halving import (
    Standing,
    decide,
    read_decisions,
    rungs,
    search,
    standing,
    survivors_of,
)
from segnets.grid.plan import put_plan
from segnets.store.bag import read_done


def grid_of(seeds=6, **settings):
    axis = ",".join(str(seed) for seed in range(seeds))
    return build(
        GridConfig,
        {
            "trial": {"dataset": "d", "epochs": 6},
            "grid": (f"seed={axis}",),
            "search": "halving",
            **settings,
        },
    )


@pytest.fixture
def trials():
    return grid_of().trials()


@given(st.integers(3, 10_000))
def test_the_rungs_are_a_third_and_two_thirds_and_short_of_the_end(epochs):
    first, second = rungs(epochs)
    assert 0 < first < second < epochs
    assert epochs / 3 <= first < epochs / 3 + 1
    assert 2 * epochs / 3 <= second < 2 * epochs / 3 + 1


@given(st.integers(1, 1000))
def test_a_third_of_the_trials_goes_on_and_at_least_one(trials):
    assert trials / 3 <= survivors_of(trials) < trials / 3 + 1


def test_the_better_third_goes_on_and_of_equals_the_lower_id(trials, store, commit):
    for trial, miou in zip(trials, (0.1, 0.5, 0.3, 0.5, 0.5, 0.2), strict=True):
        commit(trial, "stopped", epoch=2, val_miou_last=miou)
    found = decide(store, trials, 2)
    equal = sorted(trial_id(trials[i]) for i in (1, 3, 4))
    assert found.survivors == tuple(equal[:2])
    assert found.pruned == (equal[2], *(trial_id(trials[i]) for i in (2, 5, 0)))
    assert found.scores[trial_id(trials[5])] == 0.2


def test_nothing_is_decided_while_a_trial_is_on_its_way(trials, store, commit, caplog):
    for trial in trials[:-1]:
        commit(trial, "stopped", epoch=2, val_miou_last=0.5)
    assert decide(store, trials, 2) is None
    assert trial_id(trials[-1]) in caplog.text
    commit(trials[-1], "stopped", epoch=1, val_miou_last=0.5)
    assert decide(store, trials, 2) is None
    commit(trials[-1], "checkpoint", epoch=2, val_miou_last=0.6)
    assert decide(store, trials, 2).survivors[0] == trial_id(trials[-1])


def test_a_failed_trial_is_not_waited_for_and_makes_room_for_nobody(trials, store, commit):
    for trial in trials[:2]:
        commit(trial, "failed", epoch=1, reason="diverged")
    for index, trial in enumerate(trials[2:]):
        commit(trial, "stopped", epoch=2, val_miou_last=index / 10)
    found = decide(store, trials, 2)
    assert found.failed == tuple(sorted(trial_id(one) for one in trials[:2]))
    assert found.survivors == (trial_id(trials[5]), trial_id(trials[4]))


def test_a_trial_that_failed_beyond_the_rung_counts_with_what_it_had_there(trials, store, commit):
    commit(trials[0], "failed", epoch=2, val_miou_last=0.9, reason="diverged")
    assert standing(store, trials[0], 2) == Standing("reached", 0.9)
    assert standing(store, trials[0], 4) == Standing("failed")


def test_an_unknown_score_ranks_last(trials, store, commit):
    commit(trials[0], "stopped", epoch=2, val_miou_last=None)
    commit(trials[1], "stopped", epoch=2, val_miou_last=0.0)
    assert decide(store, trials[:2], 2).survivors == (trial_id(trials[1]),)


class Bringer:
    """What training would leave: `miou[seed]` at every epoch; some seeds fail."""

    def __init__(self, commit, miou, fails=()):
        self.commit, self.miou, self.fails = commit, miou, set(fails)
        self.calls, self.done = [], set()

    def __call__(self, configs, epoch):
        self.calls.append(([one.seed for one in configs], epoch))
        for config in configs:
            if config.seed in self.done:
                continue
            if epoch is None:
                self.done.add(config.seed)
            if config.seed in self.fails:
                self.commit(config, "failed", epoch=1, reason="error")
                continue
            score = self.miou[config.seed]
            event = "done" if epoch is None else "stopped"
            self.commit(
                config, event, epoch=epoch or config.epochs, val_miou=score, val_miou_last=score
            )


def test_a_search_brings_all_then_a_third_then_a_ninth_to_the_end(store, commit):
    grid = grid_of(9)
    put_plan(store, grid)
    bring = Bringer(commit, [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5])
    decisions = search(store, grid, bring)
    assert bring.calls == [(list(range(9)), 2), ([1, 3, 5], 4), ([1], None)]
    assert [len(one.pruned) for one in decisions] == [6, 2]
    assert read_decisions(store, grid) == decisions
    assert read_done(store, "grid", grid_id(grid)) is not None  # the plan stands as before


def test_a_search_ends_where_a_trial_stays_behind_and_goes_on_from_there(store, commit):
    grid = grid_of(3)
    bring = Bringer(commit, [0.1, 0.9, 0.2])
    assert search(store, grid, lambda configs, epoch: bring(configs[:2], epoch)) == []
    bring.calls.clear()
    assert len(search(store, grid, bring)) == 2
    assert bring.calls == [([0, 1, 2], 2), ([1], 4), ([1], None)]


def test_what_was_decided_stays_decided_when_a_failed_trial_comes_back(store, commit):
    grid = grid_of(3)
    first = search(store, grid, Bringer(commit, [0.1, 0.2, 0.9], fails=[2]))
    assert first[0].survivors == (trial_id(grid.trials()[1]),)
    commit(grid.trials()[2], "stopped", epoch=2, val_miou_last=0.9)  # launched again by somebody
    again = Bringer(commit, [0.1, 0.2, 0.9])
    again.done = {1}
    assert search(store, grid, again) == first
    assert again.calls == [([1], None)]


def test_a_search_in_which_all_have_failed_ends(store, commit):
    grid = grid_of(3)
    bring = Bringer(commit, [], fails=[0, 1, 2])
    decisions = search(store, grid, bring)
    assert [one.survivors for one in decisions] == [(), ()]
    assert len(decisions[0].failed) == 3


def test_another_set_of_points_is_another_search(store, commit):
    search(store, grid_of(3), Bringer(commit, [0.1, 0.2, 0.9]))
    assert read_decisions(store, grid_of(4)) == []


def test_how_a_grid_is_searched_does_not_enter_its_id():
    assert grid_id(grid_of()) == grid_id(replace(grid_of(), search="full"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"grid": ("epochs=6,9",)}, "epochs is an axis"),
        ({"grid": ("dataset=a,b",)}, "dataset is an axis"),
        ({"trial": {"epochs": 2}}, "three epochs or more"),
        ({"trial": {"pause_at": 2}}, "decides by itself where its trials pause"),
    ],
)
def test_a_search_that_would_not_be_fair_is_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        grid_of(**settings)

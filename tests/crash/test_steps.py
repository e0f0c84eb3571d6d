"""Going on after some steps of a long epoch; after all of them where there is time."""

import pytest

from crash import steps
from segnets.training import state


def test_a_trial_that_is_stopped_goes_on_with_other_readers_to_the_same_bits():
    some = [one for one in steps.points() if one.step in {17, 30} and one.before != one.after]
    assert some
    found = steps.run(1, 1, seed=0, store="folder", only=some)
    assert (found["points"], found["ok"], found["told"]) == (len(some), len(some), [])


def test_a_random_state_that_is_not_put_back_is_noticed(monkeypatch):
    monkeypatch.setattr(state, "_restore_rng", lambda _: None)
    found = steps.run(1, 1, seed=0, store="folder", only=steps.points()[10:11])
    assert (found["points"], found["ok"], found["not_bit_equal"]) == (1, 0, 1)


@pytest.mark.slow
def test_a_trial_goes_on_after_every_step():
    found = steps.run(1, 1, seed=1, store="folder")
    assert (found["ok"], found["told"]) == (found["points"], [])
    assert found["points"] >= 2 * steps.EPOCHS * steps.STEPS

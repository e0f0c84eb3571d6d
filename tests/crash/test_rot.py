"""Damage to some objects each time, and garbage collected while trials are killed and go on."""

import pytest

from crash import rot, sweeps, tiny
from crash.subjects import Trial
from crash.tries import Lab, undisturbed
from segnets.store import gc
from segnets.training.checkpoint import STATE_FILE


def test_a_byte_changed_in_the_newest_state_is_noticed_told_and_made_up_for():
    with tiny.prepare() as made:
        rotten = rot.Rotten(Trial(made), made)
        with rotten._place(rotten.half) as place:
            state = next(key for key, name in rotten._newest(place).items() if name == STATE_FILE)
        assert ("half", state, "flip") in rotten.points()
        assert not any(rotten.try_damage("half", state, "flip").values())


def test_garbage_is_collected_while_a_trial_goes_on_and_nothing_that_counts_goes():
    with tiny.prepare() as made:
        trial, lab = Trial(made), Lab(made, "folder")
        expected, calm = undisturbed(trial, lab)
        k = calm["count"] // 2
        assert not any(sweeps.try_point(trial, lab, k, expected).values())
        wrong = sweeps.try_point(trial, lab, k, expected, name_nothing)
    assert "missing" in str(wrong) or wrong.get("wrong_end")


def name_nothing():
    gc._Rule.lets_go = lambda *_: True


@pytest.mark.slow
def test_any_damage_is_made_up_for():
    found = rot.run(1, 1, seed=1, store="folder")
    assert (found["ok"], found["faults"]) == (found["points"], [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "store",
    [
        "folder",
        pytest.param("rclone", marks=pytest.mark.s3),
        pytest.param("ministack", marks=pytest.mark.s3),
    ],
)
def test_garbage_is_collected_at_any_time(store):
    found = sweeps.run(1, 1, seed=1, store=store, sample=10)
    assert (found["ok"], found["faults"]) == (found["points"], [])

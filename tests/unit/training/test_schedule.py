import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.training.schedule import SCHEDULES, learning_rate, warm_up_steps

trials = st.tuples(
    st.integers(1, 500), st.sampled_from(sorted(SCHEDULES)), st.floats(0, 1, exclude_max=True)
)


@given(trials)
def test_a_rate_is_above_zero_and_never_above_its_peak(trial):
    total, schedule, warm_up = trial
    rates = [
        learning_rate(step, total, peak=0.1, schedule=schedule, warm_up=warm_up)
        for step in range(total)
    ]
    assert all(0 < rate <= 0.1 + 1e-12 for rate in rates)
    assert max(rates) == pytest.approx(0.1)


@given(trials)
def test_a_rate_rises_through_the_warm_up_and_never_again(trial):
    total, schedule, warm_up = trial
    warm = warm_up_steps(warm_up, total)
    rates = [
        learning_rate(step, total, peak=1.0, schedule=schedule, warm_up=warm_up)
        for step in range(total)
    ]
    pairs = list(itertools.pairwise(rates))
    assert all(one < two for one, two in pairs[: max(warm - 1, 0)])
    assert all(one >= two for one, two in pairs[warm:])


def test_poly_is_one_minus_progress_to_the_power_of_nine_tenths():
    rate = learning_rate(75, 100, peak=2.0, schedule="poly", warm_up=0.5)
    assert rate == pytest.approx(2.0 * 0.5**0.9)

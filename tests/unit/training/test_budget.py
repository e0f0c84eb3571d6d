from hypothesis import given
from hypothesis import strategies as st

from segnets.training import budget
from segnets.training.budget import SaveBudget

seconds = st.floats(0.001, 60)


@given(blocking=seconds, background=seconds, alone=seconds, slower=st.floats(1, 4))
def test_saving_in_mid_epoch_takes_at_most_two_percent_of_the_time(
    blocking, background, alone, slower
):
    one = SaveBudget(since=0.0)
    one.stepped(alone, saving=False)
    one.saved(0.0, blocking=blocking)
    one.stepped(alone * slower, saving=True)
    one.put(background)
    lost = blocking + background * (1 - 1 / slower)
    assert lost <= 0.0201 * one.interval
    assert one.interval >= background
    assert one.interval >= budget.AT_LEAST_S
    assert not one.due(0.99 * one.interval)
    assert one.due(1.01 * one.interval)


def test_before_the_first_save_its_cost_is_not_known_and_it_waits():
    one = SaveBudget(since=100.0)
    assert not one.due(100.0 + budget.FIRST_S - 1)
    assert one.due(100.0 + budget.FIRST_S)
    one.saved(200.0, blocking=0.1)
    one.put(4.0)
    assert one.interval == (0.1 + 4.0) / budget.SHARE  # nothing known of the slow-down: all of it

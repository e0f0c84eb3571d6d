import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from segnets.config.grid import GridConfig
from segnets.config.ids import trial_id
from segnets.config.ranges import DIGITS, spread
from segnets.errors import ConfigError

ends = st.integers(1, 9_999).map(lambda n: n / 1000)
numbers = st.integers(2, 12)


def spread_or_assume(text, **how):
    try:
        return [float(one) for one in spread(text, **how)]
    except ConfigError as error:
        assume("once they are rounded" not in str(error))
        raise


def test_a_log_range_is_rounded_to_three_digits_between_its_ends():
    assert spread("log:1e-4..1e-2:4") == ("0.0001", "0.000464", "0.00215", "0.01")


def test_a_lin_range_has_equal_steps():
    assert spread("lin:0.1..0.5:5") == ("0.1", "0.2", "0.3", "0.4", "0.5")
    assert spread("lin:-1..1:3") == ("-1.0", "0.0", "1.0")


def test_a_field_of_whole_numbers_gets_whole_numbers():
    assert spread("log:2..32:5", whole=True) == ("2", "4", "8", "16", "32")
    assert spread("lin:1000..1003:4", whole=True) == ("1000", "1001", "1002", "1003")


@given(ends, ends, numbers, st.sampled_from(["log", "lin"]))
def test_a_range_keeps_its_ends_rises_and_is_near_the_formula(low, high, number, kind):
    assume(low < high)
    values = spread_or_assume(f"{kind}:{low}..{high}:{number}")
    assert (values[0], values[-1], len(values)) == (low, high, number)
    assert all(before < after for before, after in pairwise(values))
    for index, value in enumerate(values[1:-1], 1):
        share = index / (number - 1)
        exact = low * (high / low) ** share if kind == "log" else low + (high - low) * share
        assert math.isclose(value, exact, rel_tol=0.51 * 10 ** (1 - DIGITS))
        assert value == float(f"{value:.{DIGITS}g}")  # no digit that nobody would type


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("log:1..2", "log:LO..HI:N"),
        ("log:1-2:3", "log:LO..HI:N"),
        ("lin:x..2:3", "no number"),
        ("lin:0..inf:3", "no finite number"),
        ("log:2..1:3", "lower end to its higher"),
        ("log:0..1:3", "begins above 0"),
        ("lin:0..1:1", "2 to 10000 values"),
        ("lin:1..1.001:9", "one once they are rounded to 3 digits"),
    ],
)
def test_what_is_no_range_is_refused_with_an_example(text, says):
    with pytest.raises(ConfigError, match=says) as fault:
        spread(text)
    assert "--grid lr=log:1e-4..1e-2:4" in str(fault.value)


@pytest.mark.parametrize("text", ["lin:0.5..4:3", "lin:1..4:9"])
def test_a_range_of_whole_numbers_is_refused_where_it_has_none(text):
    with pytest.raises(ConfigError, match="whole number"):
        spread(text, whole=True)


def test_an_axis_may_mix_ranges_with_values_and_knows_the_type_of_its_field():
    grid = GridConfig(grid=("lr=log:1e-4..1e-2:3,0.05", "batch_size=lin:2..8:4", "threads=1,2"))
    assert grid.axes() == {
        "lr": (0.0001, 0.001, 0.01, 0.05),
        "batch_size": (2, 4, 6, 8),
        "threads": (1, 2),
    }
    assert all(type(one) is int for one in grid.axes()["batch_size"])


def test_a_range_and_its_values_written_out_are_the_same_trials():
    written = GridConfig(grid=("lr=0.0001,0.000464,0.00215,0.01", "augment.gamma=0,0.25,0.5"))
    ranged = GridConfig(grid=("lr=log:1e-4..1e-2:4", "augment.gamma=lin:0..0.5:3"))
    assert [trial_id(one) for one in written.trials()] == [trial_id(one) for one in ranged.trials()]

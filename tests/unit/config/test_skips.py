import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.cli import parse
from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import flat_settings, grid_id
from segnets.errors import ConfigError

AXES = ("batch_size=8,16,32", "lr=0.001,0.005,0.01")


def points(*skip, grid=AXES):
    trials = GridConfig(grid=grid, skip=skip).trials()
    return [(one.batch_size, one.lr) for one in trials]


def test_a_constraint_leaves_out_the_points_at_which_all_of_it_holds():
    assert set(points()) - set(points("batch_size=32,lr=0.01")) == {(32, 0.01)}


def test_several_constraints_each_leave_out_their_points():
    left_out = set(points()) - set(points("batch_size=32,lr=0.01", "batch_size=8,lr=0.001"))
    assert left_out == {(32, 0.01), (8, 0.001)}


def test_a_range_in_a_constraint_includes_its_ends():
    left_out = set(points()) - set(points("batch_size=16..32,lr=0.005..0.01"))
    assert left_out == {(16, 0.005), (16, 0.01), (32, 0.005), (32, 0.01)}


@given(st.data())
def test_what_is_left_are_the_points_that_no_constraint_describes(data):
    sizes, rates = [8, 16, 32], [0.001, 0.005, 0.01]
    pairs = data.draw(
        st.lists(st.tuples(st.sampled_from(sizes), st.sampled_from(rates)), max_size=8)
    )
    found = points(*(f"batch_size={size},lr={rate}" for size, rate in pairs))
    assert found == [one for one in points() if one not in pairs]


def test_a_constraint_compares_values_not_words():
    assert len(points("lr=1e-2,--batch-size=32")) == 8
    temporal = GridConfig(grid=("temporal=mean,none", "psp=true,false"), skip=("psp=off",))
    assert [one.psp for one in temporal.trials()] == [True, True]


def test_a_constraint_is_typed_like_any_other_flag():
    typed, _ = parse(GridConfig, ["--skip", "lr=0.003", "--skip=batch_size=2"], prog="x")
    assert [(one.lr, one.batch_size) for one in build(GridConfig, typed).trials()] == [(0.001, 4)]


@pytest.mark.parametrize(
    ("skip", "says"),
    [
        ("lr", "is FIELD=VALUE,FIELD=VALUE"),
        ("lr=", "is FIELD=VALUE,FIELD=VALUE"),
        ("lr=0.01,", "is FIELD=VALUE,FIELD=VALUE"),
        ("seed=1", "names seed, which is no axis"),
        ("lr=0.01,lr=0.005", "names lr twice"),
        ("lr=0.02", r"fits no value of lr.*Its axis has 0.001, 0.005, 0.01"),
        ("lr=0.2..0.3", "fits no value of lr"),
        ("lr=a..b", "an end of a range is no number"),
        ("batch_size=x", "--batch-size 'x'"),
        ("lr=0..1", "leave no point of the grid"),
    ],
)
def test_a_constraint_that_cannot_be_meant_is_refused_in_one_sentence(skip, says):
    with pytest.raises(ConfigError, match=says) as fault:
        GridConfig(grid=AXES, skip=(skip,))
    assert fault.value.exit_code == 2
    assert "\n" not in str(fault.value)


def test_a_constraint_enters_the_id_of_a_grid_by_the_points_it_leaves_out():
    whole = GridConfig(grid=AXES)
    less = GridConfig(grid=AXES, skip=("batch_size=32,lr=0.01",))
    other_words = GridConfig(grid=AXES, skip=("lr=0.0100,batch_size=20..40",))
    assert grid_id(less) != grid_id(whole)
    assert grid_id(less) == grid_id(other_words)
    assert {"skip"}.isdisjoint(flat_settings(whole.trials()[0]))

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.config.axes import NAMED_GRIDS, merge, nest, parse_axes, points
from segnets.config.grid import GridConfig
from segnets.config.ids import trial_id
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError

names = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5})?", fullmatch=True)
values = st.lists(
    st.from_regex(r"[a-z0-9.]{1,4}", fullmatch=True), min_size=1, max_size=4, unique=True
)
# a name that is a group of another one cannot be a setting as well
axes = st.dictionaries(names, values, min_size=1, max_size=3).filter(
    lambda found: len({name.split(".")[0] for name in found}) == len(found)
)


@given(axes)
def test_axes_come_back_from_their_text(given_axes):
    texts = [f"{name}={','.join(found)}" for name, found in given_axes.items()]
    assert parse_axes(texts) == {name: tuple(found) for name, found in given_axes.items()}


@given(axes)
def test_the_points_of_a_grid_are_all_combinations_once(given_axes):
    found = points({name: tuple(some) for name, some in given_axes.items()})
    count = 1
    for some in given_axes.values():
        count *= len(some)
    assert len(found) == count
    assert len({repr(point) for point in found}) == count


def test_the_first_axis_is_the_slowest():
    assert [
        (one.lr, one.batch_size)
        for one in GridConfig(grid=("lr=0.1,0.2", "batch_size=1,2")).trials()
    ] == [(0.1, 1), (0.1, 2), (0.2, 1), (0.2, 2)]


def test_a_flag_may_be_written_as_on_the_command_line():
    assert parse_axes(["--batch-size=1,2"]) == {"batch_size": ("1", "2")}


def test_an_axis_may_be_a_field_of_a_group():
    trials = GridConfig(grid=("augment.gamma=0,0.5",)).trials()
    assert [one.augment.gamma for one in trials] == [0, 0.5]


def test_the_students_grid_is_twelve_trials():
    trials = GridConfig(grid=("student",)).trials()
    assert len({trial_id(one) for one in trials}) == 12
    assert {one.batch_size for one in trials} == {8, 16, 32}
    assert {one.lr for one in trials} == {0.001, 0.005, 0.0001, 0.0005}
    assert "student" in NAMED_GRIDS


@pytest.mark.parametrize("text", ["", "lr", "=1", "lr=", "lr=1,,2", "nosuch"])
def test_what_is_no_axis_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match=r"--grid lr=0\.001,0\.005"):
        parse_axes([text])


@pytest.mark.parametrize("text", ["lr=0.1,0.1", "lr=0.1,0.10", "psp=true,on", "seed=lin:0..2:3,1"])
def test_a_value_that_is_named_twice_is_refused_however_it_is_written(text):
    with pytest.raises(ConfigError, match="names a value twice"):
        GridConfig(grid=(text,))


def test_a_field_that_cannot_change_the_result_is_no_axis():
    with pytest.raises(ConfigError, match="workers cannot change the result of a trial"):
        GridConfig(grid=("workers=1,2",))


@pytest.mark.parametrize("name", ["lrr", "augment.gama", "augment", "grid"])
def test_a_setting_that_there_is_not_is_no_axis(name):
    with pytest.raises(ConfigError, match=f"there is no such setting: --{name}"):
        GridConfig(grid=(f"{name}=1,2",))


def test_a_grid_of_a_million_points_is_a_slip_of_the_pen():
    with pytest.raises(ConfigError, match="at most 100000 points, this one has 1000000"):
        GridConfig(grid=("seed=lin:0..9999:10000", "lr=lin:0.001..0.1:100"))


def test_settings_laid_over_others_win_group_by_group():
    base = {"lr": 1, "augment": {"gamma": 1, "flip": 1}}
    over = nest({"augment.flip": 2, "seed": 3})
    assert merge(base, over) == {"lr": 1, "augment": {"gamma": 1, "flip": 2}, "seed": 3}


def test_a_bad_value_of_an_axis_is_refused_when_the_grid_is_made():
    with pytest.raises(ConfigError, match="--lr"):
        GridConfig(trial=TrainConfig(), grid=("lr=0.1,7",))

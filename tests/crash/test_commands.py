"""Real commands under signals and kills: minutes, so only where there is time."""

import pytest

from crash import shell, signals

pytestmark = pytest.mark.slow


def test_each_flow_stops_politely_and_goes_on():
    found = signals.run(1, 1, seed=1, store="folder", each=1)
    assert (found["points"], found["ok"], found["told"]) == (10, 10, [])


@pytest.mark.parametrize(
    "store",
    [
        "folder",
        pytest.param("rclone", marks=pytest.mark.s3),
        pytest.param("ministack", marks=pytest.mark.s3),
    ],
)
def test_a_killed_command_goes_on_from_what_it_said_was_saved(store):
    found = shell.run(1, 1, seed=1, store=store, kills=3)
    assert (found["points"], found["ok"], found["told"]) == (3, 3, [])

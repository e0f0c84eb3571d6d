"""Servers that are killed and stores that are away: a few each time, minutes where there is time."""

import pytest

from crash import outage, serverkills

SERVERS = ("rclone", "ministack")
pytestmark = pytest.mark.s3


@pytest.mark.parametrize("store", ["rclone", pytest.param("ministack", marks=pytest.mark.slow)])
def test_a_server_killed_in_the_middle_of_an_upload_costs_nothing(store):
    found = serverkills.run(1, 1, seed=1, store=store, kills=2)
    assert (found["points"], found["ok"], found["told"]) == (2, 2, [])
    assert found["reads"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("store", SERVERS)
def test_a_store_that_is_away_is_waited_for_and_no_step_is_made_twice(store):
    found = outage.run(1, 1, seed=1, store=store, away_s=30)
    assert (found["ok"], found["told"]) == (1, [])
    assert found["said_that_it_waits"] >= 2

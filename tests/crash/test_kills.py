"""The random kills, a few of them each time, and the proof that they would see a loss."""

import pytest

from crash import kills
from crash.places import share
from segnets.training.record import Record


def check(found, points):
    assert found["points"] == points
    assert (found["lost_epochs"], found["corrupt"], found["not_bit_equal"]) == (0, 0, 0), found
    assert found["ok"] == points, found
    assert found["told"] == []


def test_kill_9_at_any_moment_loses_no_epoch_that_was_said_to_be_saved():
    check(kills.run(1, 1, seed=0, store="folder", kills=6), 6)


def test_an_epoch_that_is_said_before_it_is_saved_is_noticed(monkeypatch):
    right = Record.save

    def say_first(self, event, check=None):
        epoch = self._state.epoch
        if event == "checkpoint" and epoch > self._told_epoch and epoch:
            self._on_epoch({"epoch": epoch})
        right(self, event, check)

    monkeypatch.setattr(Record, "save", say_first)
    found = kills.run(1, 1, seed=0, store="folder", kills=4)
    assert found["lost_epochs"] > 0
    assert found["ok"] < found["points"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "store",
    [
        "folder",
        pytest.param("rclone", marks=pytest.mark.s3),
        pytest.param("ministack", marks=pytest.mark.s3),
    ],
)
def test_two_hundred_kills_lose_nothing(store):
    check(kills.run(1, 1, seed=1, store=store), kills.KILLS)


def test_the_parts_of_a_proof_make_up_the_whole():
    assert [share(200, part, 3) for part in (1, 2, 3)] == [67, 67, 66]

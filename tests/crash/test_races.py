"""Two processes on one trial, a few times, and the proof that the races would see a rule that is gone."""

import dataclasses

import pytest

from crash import races
from segnets.errors import Conflict
from segnets.store.log import TrialLog


def test_of_two_processes_at_most_one_says_an_epoch_and_the_second_launch_is_polite(monkeypatch):
    monkeypatch.setattr(races, "POLITE", 1)
    found = races.run(1, 1, seed=0, store="folder", races=2)
    assert (found["points"], found["ok"], found["told"]) == (2, 2, [])
    assert found["polite"] == 1


def test_two_writers_that_do_not_look_are_noticed(monkeypatch):
    monkeypatch.setattr(TrialLog, "_look", lambda _: None)
    monkeypatch.setattr(TrialLog, "_append", append_anywhere)
    monkeypatch.setattr(races, "POLITE", 0)
    found = races.run(1, 1, seed=0, store="folder", races=2)
    assert found["said_twice"] > 0
    assert found["ok"] < found["points"]


def append_anywhere(self, entry):
    """Take the next slot that is free, as a holder never may."""
    while True:
        try:
            self._put_entry(entry)
        except Conflict:
            entry = dataclasses.replace(entry, seq=entry.seq + 1)
        else:
            self._seq = entry.seq
            return


@pytest.mark.slow
@pytest.mark.parametrize(
    "store",
    [
        "folder",
        pytest.param("rclone", marks=pytest.mark.s3),
        pytest.param("ministack", marks=pytest.mark.s3),
    ],
)
def test_a_hundred_races_have_one_winner_each(store):
    found = races.run(1, 1, seed=1, store=store)
    assert (found["points"], found["ok"], found["told"]) == (races.RACES, races.RACES, [])
    assert found["polite"] == races.POLITE

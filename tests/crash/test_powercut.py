"""The power goes at some moments each time; the model of the disk, by itself."""

import random

import pytest

from crash import powercut, tiny
from crash.disk import Disk, Event
from crash.subjects import Grid
from crash.tries import Count
from segnets.store import folder

WRITTEN = [
    Event("mkdir", "d"),
    Event("create", "d/.tmp"),
    Event("write", "d/.tmp", data=b"whole"),
    Event("fsync", "d/.tmp"),
    Event("rename", "d/.tmp", "d/file"),
    Event("fsync", "d"),
    Event("fsync", ""),
]


def after(events, mode="lost", seed=0):
    disk = Disk({})
    for event in events:
        disk.apply(event)
    return disk.cut(mode, random.Random(seed))


def test_a_file_outlives_the_power_only_if_its_bytes_its_name_and_its_folder_were_fsynced():
    assert after(WRITTEN) == {"d": None, "d/file": b"whole"}
    for number, event in enumerate(WRITTEN):
        if event.call == "fsync":
            left = after(WRITTEN[:number] + WRITTEN[number + 1 :])
            assert left.get("d/file", b"") == b"", event


def test_what_was_not_fsynced_is_lost_kept_or_torn_each_by_itself():
    found = {repr(sorted(after(WRITTEN[:3], "random", seed).items())) for seed in range(200)}
    assert "[]" in found
    assert "[('d', None), ('d/.tmp', b'whole')]" in found
    assert "[('d', None), ('d/.tmp', b'wh')]" in found
    assert after(WRITTEN[:3], "names") == {"d": None, "d/.tmp": b""}
    assert after(WRITTEN[:5], "kept") == {"d": None, "d/file": b"whole"}


def test_a_loss_of_power_loses_nothing_that_was_said_to_be_saved():
    found = powercut.run(1, 1, seed=0, store="folder", sample=1, only=("trial", "grid"))
    assert (found["ok"], found["faults"]) == (found["points"], [])
    assert found["points"] >= 4


def test_a_folder_whose_new_names_are_not_fsynced_is_noticed():
    def mutate():
        folder.sync_directory = lambda _: None

    with tiny.prepare() as made:
        count, cuts = Count(), powercut.Cuts(Grid(made), made, mutate)
        cuts.try_moment(len(cuts.events), random.Random(0), count)
    assert count.lost_epochs > 0


@pytest.mark.slow
def test_a_loss_of_power_at_many_moments():
    found = powercut.run(1, 1, seed=1, store="folder", sample=20)
    assert (found["ok"], found["faults"]) == (found["points"], [])

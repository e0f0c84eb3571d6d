"""The nights of a camera fleet, a few each time, and the proof that a broken rule would be seen."""

import pytest

from crash import nights
from segnets.inference.frames import Frames
from segnets.store.hold import Hold


def check(found, num):
    assert found["told"] == []
    assert (found["points"], found["ok"]) == (num, num)
    assert found["masks"] == len(nights.COLUMNS) * found["frames"] > 0


def test_a_few_disturbed_nights_end_with_the_masks_of_one_calm_night():
    check(nights.run(1, 1, seed=0, store="folder", nights=3), 3)


def test_a_frame_that_is_done_by_its_name_alone_is_noticed(monkeypatch):
    monkeypatch.setattr(Frames, "_inputs", lambda *_: "the same")
    found = nights.run(1, 1, seed=0, store="folder", nights=3)
    assert found["ok"] == 0
    assert any("is another" in sentence for sentence in found["told"])


@pytest.mark.slow
def test_thirty_disturbed_nights_end_with_the_masks_of_one_calm_night():
    found = nights.run(1, 1, seed=1, store="folder")
    check(found, nights.NIGHTS)
    happened = ("killed", "side_by_side", "late", "again", "changed", "cut", "no_picture", "truth")
    assert all(found[what] > 0 for what in (*happened, "other_size", "mended", "bad")), found


@pytest.mark.slow
@pytest.mark.s3
def test_disturbed_nights_on_object_storage_end_with_the_masks_of_one_calm_night():
    check(nights.run(1, 1, seed=2, store="rclone", nights=8), 8)


@pytest.mark.slow
def test_nights_that_do_not_tell_each_other_what_they_have_in_hand_are_noticed(monkeypatch):
    monkeypatch.setattr(Hold, "take", lambda _, todo, most: list(todo[:most]))
    found = nights.run(1, 1, seed=1, store="folder", nights=16)
    assert any("were worked on twice" in sentence for sentence in found["told"])

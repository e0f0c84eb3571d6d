"""The folder: its layout, its bytes, what a second call does."""

import errno
import hashlib
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segnets.errors import ConfigError, DatasetError, OutOfSpace
from segnets.labels import KNOWN_LABEL_IDS, LABELS, TRAIN_ID_OF
from segnets.synthetic.write import MARKER, split_scenes, streets_folder, write_streets

SIZE = (64, 128)
CLIPS = {"train": 2, "val": 1, "test": 1}


def digests(root):
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(root.rglob("*"))
        if file.is_file()
    }


def pixels(file):
    with Image.open(file) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_streets(tmp_path_factory.mktemp("streets"), clips=CLIPS, size=SIZE, clip_frames=3)


def test_every_file_has_the_name_that_cityscapes_gives_it(folder):
    found = set(digests(folder))
    expected = {MARKER}
    for split, city, sequence in (
        ("train", "aldermark", 0),
        ("train", "brunnfeld", 0),
        ("val", "castelmont", 0),
        ("test", "dornhaven", 0),
    ):
        stem = f"{split}/{city}/{city}_{sequence:06d}"
        expected.add(f"leftImg8bit/{stem}_000019_leftImg8bit.png")
        for frame in (17, 18, 19):
            expected.add(f"leftImg8bit_sequence/{stem}_{frame:06d}_leftImg8bit.png")
        if split != "test":
            for kind in ("labelIds", "color", "instanceIds"):
                expected.add(f"gtFine/{stem}_000019_gtFine_{kind}.png")
    assert found == expected


def test_the_labelled_frame_is_the_last_of_its_sequence(folder):
    for file in (folder / "leftImg8bit").rglob("*.png"):
        twin = folder / "leftImg8bit_sequence" / file.relative_to(folder / "leftImg8bit")
        assert file.read_bytes() == twin.read_bytes()


def test_pictures_are_8_bit_rgb_and_labels_grey_of_the_asked_size(folder):
    for file in folder.rglob("*.png"):
        with Image.open(file) as image:
            kind = file.stem.rsplit("_", 1)[1]
            modes = {"leftImg8bit": "RGB", "labelIds": "L", "color": "RGBA", "instanceIds": "I;16"}
            assert (image.mode, image.size) == (modes[kind], (SIZE[1], SIZE[0])), file


def test_colour_and_instances_agree_with_the_label_at_every_pixel(folder):
    colors = {row.label_id: (*row.color, 255) for row in LABELS}
    counted = [row.label_id for row in LABELS if row.has_instances]
    for file in folder.rglob("*_gtFine_labelIds.png"):
        labels = pixels(file)
        assert set(np.unique(labels).tolist()) <= KNOWN_LABEL_IDS
        instances = pixels(file.with_name(file.name.replace("labelIds", "instanceIds")))
        has_number = np.isin(labels, counted)
        assert (instances[has_number] // 1000 == labels[has_number]).all()
        assert (instances[has_number] % 1000 > 0).all()
        assert (instances[~has_number] == labels[~has_number]).all()
        shown = pixels(file.with_name(file.name.replace("labelIds", "color")))
        for label in np.unique(labels):
            assert (shown[labels == label] == colors[int(label)]).all()


def test_a_second_run_elsewhere_gives_the_same_bytes(folder, tmp_path):
    again = write_streets(tmp_path / "again", clips=CLIPS, size=SIZE, clip_frames=3, workers=1)
    assert digests(again) == digests(folder)


def test_another_seed_gives_other_pictures(folder, tmp_path):
    other = write_streets(tmp_path, clips={"val": 1}, size=SIZE, clip_frames=1, seed=1)
    name = "leftImg8bit/val/castelmont/castelmont_000000_000019_leftImg8bit.png"
    assert (pixels(other / name) != pixels(folder / name)).mean() > 0.5


def test_a_longer_clip_ends_with_the_same_picture_and_labels(folder, tmp_path):
    longer = write_streets(tmp_path, clips={"val": 1}, size=SIZE, clip_frames=22)
    for kind, end in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        stem = f"{kind}/val/castelmont/castelmont_000000_0000"
        one, other = longer / f"{stem}21_{end}.png", folder / f"{stem}19_{end}.png"
        assert one.read_bytes() == other.read_bytes()
    frames = sorted((longer / "leftImg8bit_sequence").rglob("*.png"))
    assert [int(file.name.split("_")[2]) for file in frames] == list(range(22))


def test_the_second_call_draws_nothing(folder, caplog):
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    with caplog.at_level(logging.INFO, "segnets"):
        write_streets(folder, clips=CLIPS, size=SIZE, clip_frames=3)
    assert "all there" in caplog.text
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


def test_a_killed_run_goes_on_with_the_missing_clips_only(folder, tmp_path):
    root = write_streets(tmp_path / "cut", clips=CLIPS, size=SIZE, clip_frames=3)
    (root / MARKER).unlink()
    gone = next((root / "gtFine").rglob("castelmont*labelIds.png"))
    gone.unlink()
    kept = next((root / "leftImg8bit").rglob("aldermark*.png"))
    stamp = kept.stat().st_mtime_ns
    write_streets(root, clips=CLIPS, size=SIZE, clip_frames=3)
    assert digests(root) == digests(folder)
    assert kept.stat().st_mtime_ns == stamp


def test_a_file_cut_short_after_the_end_is_drawn_again(folder, tmp_path):
    root = write_streets(tmp_path / "torn", clips=CLIPS, size=SIZE, clip_frames=3)
    torn = next((root / "leftImg8bit").rglob("aldermark*.png"))
    torn.write_bytes(torn.read_bytes()[:100])
    write_streets(root, clips=CLIPS, size=SIZE, clip_frames=3)
    assert digests(root) == digests(folder)


def test_other_settings_in_the_same_folder_are_refused(folder):
    with pytest.raises(DatasetError, match=r"holds other street scenes: .*streets\.json\. Delete"):
        write_streets(folder, clips=CLIPS, size=SIZE, clip_frames=4)


@pytest.mark.parametrize("size", [(64, 64), (16, 32), (128, 64)])
def test_a_size_that_is_not_two_to_one_is_a_fault_of_the_settings(size, tmp_path):
    with pytest.raises(ConfigError, match="twice as wide as high"):
        write_streets(tmp_path, clips=CLIPS, size=size)


def test_a_full_disk_is_named_and_leaves_no_half_file(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutOfSpace, match=r"full or read-only: .*/streets.* Make room"):
        write_streets(tmp_path / "streets", clips=CLIPS, size=SIZE)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.fixture
def without_rights(tmp_path):
    """A folder that this process may not write: nothing is denied to root, so root is nobody here."""
    user, mode = os.geteuid(), tmp_path.stat().st_mode
    tmp_path.chmod(0o500)
    if user == 0:
        os.seteuid(65534)
    yield tmp_path
    os.seteuid(user)
    tmp_path.chmod(mode)


def test_a_folder_without_rights_is_named_with_what_to_do(without_rights):
    with pytest.raises(DatasetError) as caught:
        write_streets(without_rights / "a/b", clips=CLIPS, size=SIZE)
    assert str(caught.value) == (
        f"street scenes cannot be kept here (Permission denied): {without_rights}/a/b. "
        "Look at its rights and its disk, or choose another folder by $SEGNETS_DATA."
    )


@pytest.mark.parametrize("place", ["data", "data/streets", "data/streets/gtFine/train"])
def test_a_file_in_the_place_of_a_folder_is_named_with_what_to_do(tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    with pytest.raises(DatasetError) as caught:
        write_streets(tmp_path / "data/streets", clips=CLIPS, size=SIZE)
    assert str(caught.value) == (
        f"a file stands where street scenes need a folder: {file}. "
        "Move it away or choose another folder by $SEGNETS_DATA."
    )
    assert file.read_text() == "mine"


def test_a_disk_without_room_for_a_folder_is_named(tmp_path, monkeypatch):
    def full(self, mode=0o777, parents=False, exist_ok=False):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OutOfSpace, match=r"full or read-only: .*/streets\. Make room or choose"):
        write_streets(tmp_path / "streets", clips=CLIPS, size=SIZE)


def test_the_marker_names_what_was_drawn(folder):
    marker = json.loads((folder / MARKER).read_bytes())
    assert marker["clips"] == CLIPS
    assert marker["size"] == list(SIZE)
    total = sum(file.stat().st_size for file in folder.rglob("*.png"))
    assert marker["bytes"] == total


@pytest.mark.parametrize("scenes", [9, 36, 72, 100, 1000])
def test_scenes_are_split_six_to_two_to_one_and_none_is_lost(scenes):
    split = split_scenes(scenes)
    assert sum(split.values()) == scenes
    assert abs(split["train"] / scenes - 6 / 9) < 0.06
    assert abs(split["val"] / scenes - 2 / 9) < 0.06
    assert split_scenes(72) == {"train": 48, "val": 16, "test": 8}


def test_two_settings_never_share_a_folder():
    base = {"size": (448, 896), "scenes": 72, "clip_frames": 4}
    changes = [{}, {"seed": 1}, {"past": "unrelated"}, {"scenes": 81}, {"clip_frames": 8}]
    names = {streets_folder(**(base | change)) for change in changes}
    assert len(names) == len(changes)
    assert streets_folder(**base).startswith("streets-448x896-72-")


def test_frames_of_another_scene_before_the_labelled_one_are_another_street(folder, tmp_path):
    other = write_streets(tmp_path, clips={"val": 1}, size=SIZE, clip_frames=3, past="unrelated")
    name = "leftImg8bit_sequence/val/castelmont/castelmont_000000_0000{}_leftImg8bit.png"
    now = pixels(folder / name.format(19)).astype(float)
    assert (pixels(other / name.format(19)) == now).all()  # the labelled frame is the same
    moving = np.abs(pixels(folder / name.format(18)) - now).mean()
    unrelated = np.abs(pixels(other / name.format(18)) - now).mean()
    assert 1.0 < moving < 0.6 * unrelated


def test_all_19_classes_occur_in_train_and_in_val_of_the_default_set(tmp_path):
    split = split_scenes(72)
    root = write_streets(
        tmp_path, clips={"train": split["train"], "val": split["val"]}, size=SIZE, clip_frames=1
    )
    table = np.frombuffer(TRAIN_ID_OF, np.uint8)
    for part in ("train", "val"):
        files = sorted((root / "gtFine" / part).rglob("*labelIds.png"))
        counts = sum(np.bincount(table[pixels(file)].ravel(), minlength=256) for file in files)
        share = counts[:19] / counts.sum()
        assert (share > 0.0005).all(), dict(enumerate(share.round(5).tolist()))

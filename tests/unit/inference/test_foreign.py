import shutil

import numpy as np
import pytest
from PIL import Image

from segnets.errors import ConfigError, DatasetError
from segnets.inference.foreign import score_label_ids
from segnets.inference.masks import to_train_ids
from segnets.labels import CLASSES
from segnets.metrics.confusion import confusion_np
from segnets.metrics.scores import summary
from segnets.store.open import open_source

KNOWN = np.array([0, 3, *(row.label_id for row in CLASSES)], np.uint8)


@pytest.fixture
def masks(folder, tmp_path):
    """Random masks for the three val frames, flat, under names as other tools give them."""
    rng = np.random.default_rng(3)
    for truth in sorted((folder / "gtFine" / "val").rglob("*.png")):
        ids = rng.choice(KNOWN, np.asarray(Image.open(truth)).shape)
        name = truth.name.replace("_gtFine_labelIds", "_pred")
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(ids).save(tmp_path / "masks" / name)
    return tmp_path / "masks"


def score(folder, masks, split=None):
    return score_label_ids(open_source(str(folder)), open_source(str(masks)), split)


def test_any_folder_of_label_ids_is_scored_by_name(folder, masks):
    expected = np.zeros((19, 20), np.int64)
    for truth in (folder / "gtFine" / "val").rglob("*.png"):
        mask = masks / truth.name.replace("_gtFine_labelIds", "_pred")
        pair = [to_train_ids(np.asarray(Image.open(path))) for path in (mask, truth)]
        expected += confusion_np(*pair)
    found = score(folder, masks)
    assert (found.counts == expected).all()
    assert found.scores == summary(expected)
    assert found.frames == 3


def test_the_digest_is_of_the_names_and_of_the_bytes_of_both_sides(folder, masks, tmp_path):
    before = score(folder, masks).digest
    assert score(folder, masks, "val").digest == before
    one = next(masks.iterdir())
    Image.fromarray(np.full((48, 96), 7, np.uint8)).save(one)
    changed = score(folder, masks).digest
    assert changed != before
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert score(copy, masks).digest == changed
    label = next((copy / "gtFine" / "val").rglob("*.png"))
    Image.fromarray(np.full((48, 96), 7, np.uint8)).save(label)  # corrected in its place
    assert score(copy, masks).digest != changed


def test_only_frames_that_have_a_mask_are_scored(folder, masks):
    next(masks.iterdir()).unlink()
    assert score(folder, masks).frames == 2


def test_label_ids_are_chosen_where_pictures_for_people_lie_beside_them(folder, masks):
    expected = score(folder, masks)
    for mask in list(masks.iterdir()):
        (masks / "labelIds").mkdir(exist_ok=True)
        name = mask.name.replace("_pred.png", "_{}.png")
        shutil.copy(mask, masks / "labelIds" / name.format("labelIds"))
        mask.rename(masks / name.format("color"))
    assert score(folder, masks).counts.tolist() == expected.counts.tolist()


def test_a_name_found_twice_needs_a_split(folder, masks):
    for split in ("val", "train"):
        shutil.copytree(masks, masks / split, ignore=shutil.ignore_patterns("val", "train"))
    for mask in masks.glob("*.png"):
        mask.unlink()
    with pytest.raises(ConfigError, match=r"found 2 times.*--split"):
        score(folder, masks)
    assert score(folder, masks, "val").frames == 3


def replace_one(masks, pixels):
    one = min(masks.iterdir())
    Image.fromarray(pixels).save(one)
    return one.name


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.full((48, 96), 200, np.uint8), "value 200 are no labelId"),
        (np.full((48, 96), 255, np.uint8), "value 255 are no labelId"),
        (np.full((24, 48), 7, np.uint8), "a mask has 48x24 pixels, its truth 96x48"),
        (np.full((48, 96, 3), 7, np.uint8), "colour type.*8-bit grey PNGs of labelIds"),
    ],
    ids=["unknown-id", "ignored-id", "other-size", "colours"],
)
def test_a_mask_that_cannot_be_compared_is_a_sentence_with_its_path(
    folder, masks, pixels, sentence
):
    name = replace_one(masks, pixels)
    with pytest.raises(DatasetError, match=sentence) as caught:
        score(folder, masks)
    assert name in str(caught.value)


def test_a_folder_without_a_mask_or_without_truth_is_a_sentence(folder, masks, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no mask has the name"):
        score(folder, tmp_path / "empty")
    with pytest.raises(DatasetError, match="no truth to compare with"):
        score(tmp_path / "empty", masks)
    with pytest.raises(DatasetError, match="no truth to compare with in split test"):
        score(folder, masks, "test")

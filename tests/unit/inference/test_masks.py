import io

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from segnets.inference.masks import (
    to_confidence_webp,
    to_frame_webp,
    to_grey_png,
    to_label_ids,
    to_label_png,
    to_overlay_png,
    to_palette_png,
    to_train_ids,
)
from segnets.labels import CLASS_COLORS, CLASSES

masks = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.sampled_from([*range(19), 255]),
)


def opened(data):
    return Image.open(io.BytesIO(data))


@given(masks)
def test_a_palette_mask_shows_the_colours_of_its_classes_and_black_elsewhere(train_ids):
    picture = opened(to_palette_png(train_ids))
    assert picture.mode == "P"
    colors = np.array([*CLASS_COLORS, (0, 0, 0)], np.uint8)
    assert (np.asarray(picture.convert("RGB")) == colors[np.minimum(train_ids, 19)]).all()
    assert (np.asarray(picture) == np.minimum(train_ids, 19)).all()


@given(masks)
def test_label_ids_come_back_as_the_train_ids_they_were(train_ids):
    picture = opened(to_label_png(train_ids))
    assert picture.mode == "L"
    assert (np.asarray(picture) == to_label_ids(train_ids)).all()
    assert (to_train_ids(np.asarray(picture)) == train_ids).all()


def test_label_ids_are_those_of_the_official_table():
    assert to_label_ids(np.arange(19, dtype=np.uint8)).tolist() == [r.label_id for r in CLASSES]
    assert to_label_ids(np.array([19, 255], np.uint8)).tolist() == [0, 0]


@given(masks)
def test_a_grey_layer_holds_the_ids_themselves(train_ids):
    picture = opened(to_grey_png(train_ids))
    assert picture.mode == "L"
    assert (np.asarray(picture) == train_ids).all()


@settings(deadline=None)
@given(masks, st.integers(0, 255))
def test_an_overlay_is_halfway_between_frame_and_colour_and_the_frame_where_there_is_none(
    train_ids, level
):
    rgb = np.full((*train_ids.shape, 3), level, np.uint8)
    picture = np.asarray(opened(to_overlay_png(rgb, train_ids))).astype(int)
    colors = np.array([*CLASS_COLORS, (level,) * 3])[np.minimum(train_ids, 19)]
    assert (picture == (level + colors) // 2).all()


@given(masks)
def test_the_same_ids_give_the_same_bytes(train_ids):
    for encode in (to_palette_png, to_label_png, to_grey_png):
        assert encode(train_ids) == encode(train_ids.copy())


def test_confidence_is_kept_at_half_size_as_grey():
    confidence = np.full((33, 64), 0.6, np.float32)
    picture = opened(to_confidence_webp(confidence))
    assert picture.size == (32, 16)
    assert abs(np.asarray(picture.convert("L")).astype(int) - 153).max() <= 2
    assert opened(to_frame_webp(np.zeros((8, 16, 3), np.uint8))).size == (16, 8)

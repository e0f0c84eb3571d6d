from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import interpolate

from segnets.data.resize import resize_frame, resize_labels

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(sizes, sizes)
def test_labels_take_the_source_pixel_under_each_centre(source, target):
    ids = np.random.default_rng(0).integers(0, 34, source, dtype=np.uint8)
    small = resize_labels(ids, *target)
    for (row, column), value in np.ndenumerate(small):
        source_row = (Fraction(row) + Fraction(1, 2)) * source[0] / target[0]
        source_column = (Fraction(column) + Fraction(1, 2)) * source[1] / target[1]
        assert value == ids[int(source_row), int(source_column)]


@pytest.mark.parametrize("source", [(1024, 2048), (240, 480), (448, 896), (112, 224)])
def test_labels_are_resized_as_by_torch(source):
    ids = np.random.default_rng(0).integers(0, 34, source, dtype=np.uint8)
    exact = interpolate(torch.from_numpy(ids)[None, None], size=(224, 448), mode="nearest-exact")
    assert np.array_equal(resize_labels(ids, 224, 448), exact[0, 0].numpy())


@pytest.mark.parametrize("source", [(240, 480), (448, 896), (720, 960)])
def test_labels_are_resized_as_by_pillow_where_no_centre_falls_on_an_edge(source):
    ids = np.random.default_rng(0).integers(0, 34, source, dtype=np.uint8)
    wanted = Image.fromarray(ids).resize((448, 224), Image.Resampling.NEAREST)
    assert np.array_equal(resize_labels(ids, 224, 448), np.asarray(wanted))


@settings(deadline=None)
@given(sizes, sizes)
def test_frames_are_resized_as_by_pillows_bilinear_to_one_level(source, target):
    rgb = np.random.default_rng(0).integers(0, 256, (*source, 3), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(rgb).resize(target[::-1], Image.Resampling.BILINEAR))
    got = resize_frame(rgb, *target)
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize("is_writeable", [True, False])
def test_a_read_only_picture_is_taken_without_a_warning(is_writeable):
    rgb = np.full((8, 8, 3), 7, dtype=np.uint8)
    rgb.flags.writeable = is_writeable
    assert (resize_frame(rgb, 4, 4) == 7).all()

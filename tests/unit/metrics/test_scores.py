import json
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from segnets.labels import CLASS_NAMES
from segnets.metrics.confusion import confusion_np
from segnets.metrics.scores import (
    SCORES,
    category_iou,
    classes_counted,
    iou,
    miou,
    miou_official,
    pixel_accuracy,
    summary,
    unions,
)

some_counts = arrays(np.int64, (19, 20), elements=st.integers(0, 50))
images = arrays(np.uint8, (6, 6), elements=st.integers(0, 18))


def counts_of(**pixels):
    """counts_of(r0c1=5): five pixels of truth 0 predicted as 1."""
    counts = np.zeros((19, 20), np.int64)
    for place, number in pixels.items():
        row, column = place[1:].split("c")
        counts[int(row), int(column)] = number
    return counts


@given(images)
def test_a_perfect_prediction_scores_one(truth):
    counts = confusion_np(truth, truth)
    assert miou(counts) == miou_official(counts) == pixel_accuracy(counts) == 1
    assert classes_counted(counts) == len(np.unique(truth))


@given(images)
def test_a_prediction_that_is_wrong_everywhere_scores_zero(truth):
    counts = confusion_np((truth + 1) % 19, truth)
    assert miou(counts) == miou_official(counts) == pixel_accuracy(counts) == 0


def test_a_class_that_never_occurs_scores_nan_not_one():
    values = iou(counts_of(r0c0=10))
    assert values[0] == 1
    assert np.isnan(values[1:]).all()


def test_a_class_that_is_only_predicted_counts_as_zero_in_the_official_mean_alone():
    counts = counts_of(r0c0=10, r0c5=10)
    assert iou(counts)[5] == 0
    assert miou(counts) == 0.5
    assert miou_official(counts) == 0.25
    assert classes_counted(counts) == 2


def test_pixels_of_none_of_the_classes_are_misses():
    counts = counts_of(r4c4=30, r4c19=10)
    assert miou(counts) == miou_official(counts) == pixel_accuracy(counts) == 0.75
    assert unions(counts)[4] == 40


def test_confusion_inside_a_category_is_no_error_of_the_category():
    counts = counts_of(r13c14=8, r14c14=2, r0c13=10)  # car taken for truck; road taken for car
    values = category_iou(counts)
    assert values["vehicle"] == 0.5
    assert values["flat"] == 0
    assert math.isnan(values["sky"])


@given(some_counts, some_counts)
def test_scores_of_a_union_come_from_added_counts_not_from_averaged_scores(one, other):
    both = one + other
    above, below = np.diagonal(both), unions(one) + unions(other)
    expected = above[below > 0] / below[below > 0]
    assert np.allclose(iou(both)[below > 0], expected)


def test_without_a_labelled_pixel_every_score_is_unknown_and_json_says_null():
    scores = summary(np.zeros((19, 20), np.int64))
    assert scores["classes_counted"] == 0
    assert scores["miou"] is scores["miou_official"] is scores["pixel_accuracy"] is None
    assert set(scores["iou"].values()) == {None}
    assert set(scores["category_iou"].values()) == {None}
    json.dumps(scores, allow_nan=False)


@given(some_counts)
def test_a_summary_has_every_score_and_every_class(counts):
    scores = summary(counts)
    assert set(scores) == {*SCORES, "iou", "category_iou"}
    assert tuple(scores["iou"]) == CLASS_NAMES
    json.dumps(scores, allow_nan=False)
    known = [value for value in scores["iou"].values() if value is not None]
    if known:
        assert scores["miou_official"] == pytest.approx(sum(known) / len(known))

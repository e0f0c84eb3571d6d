import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from segnets.metrics.confusion import confusion, confusion_np

SHAPE = (3, 4, 5)
truths = arrays(np.uint8, SHAPE, elements=st.sampled_from([*range(19), 255]))
predictions = arrays(np.uint8, SHAPE, elements=st.sampled_from([*range(20), 255]))


@given(predictions, truths)
def test_counts_are_those_of_a_plain_loop(predicted, truth):
    expected = np.zeros((19, 20), np.int64)
    for p, t in zip(predicted.flat, truth.flat, strict=True):
        if t < 19:
            expected[t, min(int(p), 19)] += 1
    assert (confusion_np(predicted, truth) == expected).all()


@given(predictions, truths)
def test_counting_a_batch_equals_adding_the_counts_of_its_samples(predicted, truth):
    one_by_one = sum(confusion_np(p, t) for p, t in zip(predicted, truth, strict=True))
    assert (confusion_np(predicted, truth) == one_by_one).all()


@given(predictions, predictions, truths)
def test_an_unlabelled_pixel_changes_nothing_whatever_is_predicted_there(one, other, truth):
    mixed = np.where(truth == 255, other, one)
    assert (confusion_np(one, truth) == confusion_np(mixed, truth)).all()


classes = arrays(np.uint8, SHAPE, elements=st.integers(0, 18))


@given(classes, classes)
def test_swapping_truth_and_prediction_transposes_the_classes(one, other):
    there, back = confusion_np(one, other), confusion_np(other, one)
    assert (there[:, :19] == back[:, :19].T).all()


@settings(max_examples=10, deadline=None)
@given(predictions, truths, st.sampled_from([torch.uint8, torch.int32, torch.int64]))
def test_the_type_of_the_ids_does_not_matter(predicted, truth, dtype):
    counts = confusion(torch.from_numpy(predicted).to(dtype), torch.from_numpy(truth).to(dtype))
    assert counts.dtype == torch.int64
    assert (counts.numpy() == confusion_np(predicted, truth)).all()


def test_a_pixel_of_none_of_the_classes_is_a_miss_in_column_19():
    counts = confusion_np(np.array([[19, 255, 3]], np.uint8), np.array([[3, 3, 3]], np.uint8))
    assert counts[3, 19] == 2
    assert counts[3, 3] == 1

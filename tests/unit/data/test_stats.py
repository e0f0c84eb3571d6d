import numpy as np
import pytest

from segnets.data.reader import open_dataset
from segnets.data.stats import Baseline, Totals, class_weights, frame_sums
from segnets.labels import CLASS_NAMES


def test_statistics_are_those_of_all_train_frames_counted_once(folder, preprocess):
    summary, store = preprocess(folder)
    with open_dataset(store, summary.dataset) as dataset:
        records = dataset.clips["train"]
        frames, labels = dataset.read("train", range(len(records)))
        rows = {
            row: frames[i, t] for i, r in enumerate(records) for t, row in enumerate(r.frame_rows)
        }
        pixels = np.stack([rows[row] for row in sorted(rows)]).reshape(-1, 3) / 255
        assert len(rows) == 6 + 4  # the two clips of one sequence share frames
        assert np.allclose(dataset.mean, pixels.mean(axis=0))
        assert np.allclose(dataset.std, pixels.std(axis=0))
        counts = np.bincount(labels.ravel(), minlength=256)
        assert dataset.class_pixels == counts[:19].tolist()
        assert dataset.stats["ignored_pixels"]["train"] == counts[255]
        assert dataset.stats["frames"] == {"test": 4, "train": 10, "val": 8}
        present = set(dataset.stats["classes_present"])
        assert present == {
            name
            for number, name in enumerate(CLASS_NAMES)
            if counts[number] or dataset.stats["class_pixels"]["val"][number]
        }


def plain_miou(predicted, truth):
    """Mean IoU over the classes that have truth, in a few lines."""
    seen = truth < 19
    scores = []
    for one in np.unique(truth[seen]):
        hit = (predicted == one) & (truth == one)
        either = ((predicted == one) & seen) | (truth == one)
        scores.append(hit.sum() / either.sum())
    return float(np.mean(scores))


def test_the_baselines_predict_what_train_shows_and_are_scored_on_val(folder, preprocess):
    folder.clip("train", "bonn", 2, 19)
    summary, store = preprocess(folder)
    with open_dataset(store, summary.dataset) as dataset:
        _, train = dataset.read("train", range(len(dataset.clips["train"])))
        _, val = dataset.read("val", range(2))
        votes = np.stack([(train == one).sum(axis=0) for one in range(19)])
        usual = int(np.argmax([(train == one).sum() for one in range(19)]))
        prior = np.where(votes.any(axis=0), votes.argmax(axis=0), usual)
        prior = np.broadcast_to(prior, val.shape)
        assert dataset.stats["prior_miou"] == pytest.approx(plain_miou(prior, val))
        constant = np.full_like(val, usual)
        assert dataset.stats["constant_miou"] == pytest.approx(plain_miou(constant, val))


def test_without_labels_in_val_a_baseline_has_no_score(empty_folder, preprocess):
    empty_folder.clip("train", "aachen", 0, 5)
    empty_folder.clip("val", "ulm", 0, 5, has_label=False)
    summary, store = preprocess(empty_folder)
    with open_dataset(store, summary.dataset) as dataset:
        assert dataset.stats["prior_miou"] is None
        assert dataset.stats["clips"] == {"train": 1, "val": 1, "test": 0}


def test_class_weights_are_zero_for_absent_classes_and_mean_one_over_the_others():
    pixels = [0] * 19
    pixels[0], pixels[11] = 900, 100
    weights = class_weights(pixels, "log")
    assert weights.dtype == np.float32
    assert np.flatnonzero(weights).tolist() == [0, 11]
    assert weights[[0, 11]].mean() == pytest.approx(1)
    assert weights[11] / weights[0] == pytest.approx(np.log(1.10 + 0.9) / np.log(1.10 + 0.1))
    assert (class_weights(pixels, "none") == 1).all()
    assert (class_weights([0] * 19, "log") == 1).all()


def test_frame_sums_are_exact():
    rgb = np.random.default_rng(0).integers(0, 256, (33, 17, 3), dtype=np.uint8)
    sums, squares = frame_sums(rgb)
    assert sums == rgb.reshape(-1, 3).astype(int).sum(axis=0).tolist()
    assert squares == (rgb.reshape(-1, 3).astype(int) ** 2).sum(axis=0).tolist()


def test_a_constant_picture_has_a_deviation_that_one_can_divide_by():
    totals = Totals(2, 2)
    totals.add_frame("train", *frame_sums(np.full((2, 2, 3), 10, dtype=np.uint8)))
    mean, std = totals.mean_std()
    assert mean == pytest.approx([10 / 255] * 3)
    assert std == pytest.approx([1 / 255] * 3)


def test_a_perfect_prediction_scores_one_and_no_truth_scores_nothing():
    truth = np.array([0, 5, 18, 255], dtype=np.uint8)
    perfect = Baseline(np.array([0, 5, 18, 3], dtype=np.uint8))
    assert perfect.miou() is None
    perfect.add(truth)
    assert perfect.miou() == 1.0

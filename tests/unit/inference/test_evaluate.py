import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from segnets.data.augment import normalise
from segnets.errors import DatasetError
from segnets.inference.evaluate import (
    decide,
    evaluate_split,
    frame_logits,
    score_split,
)
from segnets.inference.layers import top_confusions
from segnets.inference.masks import to_train_ids
from segnets.labels import CLASS_NAMES
from segnets.losses import cross_entropy
from segnets.metrics.confusion import confusion_np
from segnets.metrics.scores import iou, miou, summary
from segnets.store.tables import from_parquet


@pytest.fixture(scope="module")
def tables(module, dataset, runtime):
    meta = {"trial": "t", "dataset": dataset.id, "weights_sha256": "0" * 64}
    return scored(module, dataset, "val", runtime=runtime, min_confidence=0.3, meta=meta)


def scored(module, dataset, split, **options):
    """As where the trial was trained on this dataset."""
    return evaluate_split(
        module, dataset, split, **{"mean": dataset.mean, "std": dataset.std, **options}
    )


def logits_of(module, dataset, runtime, index):
    frames, labels = dataset.read("val", [index])
    return frame_logits(module, frames[0], dataset.mean, dataset.std, runtime), labels[0]


@pytest.mark.parametrize("weights", [None, torch.linspace(0, 2, 19)], ids=["plain", "weighted"])
def test_scores_of_a_split_do_not_depend_on_the_batch_size(module, dataset, runtime, weights):
    by_size = [
        score_split(module, dataset, "val", runtime=runtime, batch_size=size, weights=weights)
        for size in (1, 2, 3, 8)
    ]
    for other in by_size[1:]:
        assert (other.counts == by_size[0].counts).all()
        assert other.loss == pytest.approx(by_size[0].loss, rel=1e-5)


def test_scores_of_a_split_are_those_of_all_clips_at_once(module, dataset, runtime):
    frames, labels = dataset.read("val", [0, 1, 2])
    truth = torch.from_numpy(labels)
    with torch.no_grad():
        logits = module(normalise(torch.from_numpy(frames), dataset.mean, dataset.std))
    score = score_split(module, dataset, "val", runtime=runtime, batch_size=3)
    assert (score.counts == confusion_np(logits.argmax(1).numpy(), labels)).all()
    assert score.loss == pytest.approx(float(cross_entropy(logits, truth)), rel=1e-5)


def test_a_split_is_scored_in_eval_mode_and_nothing_is_learnt(module, dataset, runtime):
    before = {key: value.clone() for key, value in module.state_dict().items()}
    module.train()
    seen = []
    score_split(
        module, dataset, "val", runtime=runtime, batch_size=2, on_batch=lambda *at: seen.append(at)
    )
    assert not module.training
    assert seen == [(2, 3), (3, 3)]
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_logits_are_upsampled_before_the_decision(module, dataset, runtime):
    logits, _ = logits_of(module, dataset, runtime, 0)
    up = F.interpolate(logits.contiguous(), (48, 96), mode="bilinear", align_corners=False)
    probability, expected = up.softmax(1)[0].max(0)
    ids, confidence = decide(logits, (48, 96))
    assert (ids == expected.numpy()).all()
    assert np.allclose(confidence, probability.numpy(), atol=1e-6)
    for with_confidence in (True, False):
        below, _ = decide(logits, (48, 96), min_confidence=0.5, with_confidence=with_confidence)
        assert (below == np.where(confidence < 0.5, 255, ids)).all()
        assert (below == 255).any()
    same, unasked = decide(logits, (48, 96), with_confidence=False)
    assert (same == ids).all()
    assert (unasked == 1).all()


def test_original_scores_come_from_upsampled_logits_and_the_untouched_labels(
    module, dataset, runtime, tables
):
    counts = np.zeros((19, 20), np.int64)
    for index in range(3):
        frames, _ = dataset.read("val", [index])
        ids, confidence = decide(
            frame_logits(module, frames[0], dataset.mean, dataset.std, runtime), (48, 96)
        )
        truth = to_train_ids(dataset.original_label_ids("val", index))
        counts += confusion_np(np.where(confidence < 0.3, np.uint8(255), ids), truth)
    assert tables.original == summary(counts)
    assert tables.original != tables.network


def test_the_tables_of_samples_and_cities_add_up_to_the_scores(tables):
    samples = from_parquet(tables.samples_parquet).to_pylist()
    cities = from_parquet(tables.confusion_parquet).to_pylist()
    assert [row["city"] for row in cities] == ["aachen", "bonn"]
    counts = np.sum([row["counts"] for row in cities], 0).reshape(19, 20)
    assert tables.network == summary(counts)
    above = np.sum([row["inter"] for row in samples], 0)
    below = np.sum([row["union"] for row in samples], 0)
    assert (above[below > 0] / below[below > 0] == iou(counts)[below > 0]).all()
    assert samples[0]["name"] == "aachen_000003_000019"
    assert {(row["height"], row["width"], row["split"]) for row in samples} == {(48, 96, "val")}


def test_each_sample_has_its_layers_at_network_size(module, dataset, runtime, tables):
    for index, row in enumerate(from_parquet(tables.samples_parquet).to_pylist()):
        logits, labels = logits_of(module, dataset, runtime, index)
        ids, confidence = decide(logits, (32, 64))
        ids = np.where(confidence < 0.3, 255, ids)
        start = row["pred_offset"]
        layer = tables.layers_pack[start : start + row["pred_size"]]
        assert (np.asarray(Image.open(io.BytesIO(layer))) == ids).all()
        start = row["conf_offset"]
        layer = tables.layers_pack[start : start + row["conf_size"]]
        assert Image.open(io.BytesIO(layer)).size == (32, 16)
        counts = confusion_np(ids, labels)
        assert row["miou"] == miou(counts)
        assert row["confusions"] == top_confusions(counts)
        assert row["confidence_p5"] <= row["confidence_mean"] <= 1


def test_the_most_frequent_confusions_come_first_and_hits_are_none():
    counts = np.zeros((19, 20), np.int64)
    counts[3, 3], counts[3, 19], counts[4, 2] = 100, 7, 9
    assert top_confusions(counts) == [
        {"truth": 4, "predicted": 2, "pixels": 9},
        {"truth": 3, "predicted": 19, "pixels": 7},
    ]


def test_the_json_of_an_evaluation_says_what_was_scored(tables, dataset):
    content = json.loads(tables.eval_json)
    assert content["trial"] == "t"
    assert content["dataset"] == dataset.id
    assert content["split"] == "val"
    assert content["min_confidence"] == 0.3
    assert content["network"] == tables.network
    assert content["original"] == tables.original
    assert content["env"]["precision"] == "fp32"
    assert tuple(content["network"]["iou"]) != CLASS_NAMES  # keys are sorted in the file
    assert set(content["network"]["iou"]) == set(CLASS_NAMES)
    assert set(tables.files()) == {
        "eval.json",
        "samples.parquet",
        "confusion.parquet",
        "layers.pack",
    }


def test_frames_are_normalised_as_the_model_was_trained_whatever_the_dataset(
    module, dataset, runtime, tables
):
    mean, std = (0.9, 0.1, 0.5), (0.1, 0.2, 0.3)
    other = scored(
        module, dataset, "val", mean=mean, std=std, runtime=runtime, min_confidence=0.3, meta={}
    )
    counts = np.zeros((19, 20), np.int64)
    for index in range(3):
        frames, labels = dataset.read("val", [index])
        ids, confidence = decide(frame_logits(module, frames[0], mean, std, runtime), (32, 64))
        counts += confusion_np(np.where(confidence < 0.3, np.uint8(255), ids), labels[0])
    assert other.network == summary(counts)
    assert other.network != tables.network


def test_original_size_can_be_left_out(module, dataset, runtime, tables):
    quick = scored(
        module, dataset, "val", runtime=runtime, min_confidence=0.3, meta={}, original=False
    )
    assert quick.original is None
    assert json.loads(quick.eval_json)["original"] is None
    assert quick.network == tables.network


def test_a_split_without_labels_is_a_sentence(module, dataset, runtime):
    with pytest.raises(DatasetError, match=r"split test has no labels.*--split"):
        scored(module, dataset, "test", runtime=runtime, min_confidence=0, meta={})


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_frame_gives_the_same_bits_each_time(module, dataset, runtime, precision):
    its = replace(runtime, precision=precision)
    one, other = (logits_of(module, dataset, its, 1)[0] for _ in range(2))
    assert torch.equal(one, other)
    assert one.dtype == torch.float32

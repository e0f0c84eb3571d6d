"""Our scores beside those of the Cityscapes benchmark's own evaluator, which runs as a process."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.official import official_scores

from segnets.config.build import build as build_config
from segnets.config.preprocess import PreprocessConfig
from segnets.config.train import TrainConfig
from segnets.data.cityscapes import index_frames
from segnets.data.convert import make_dataset
from segnets.data.reader import open_dataset
from segnets.inference.device import Runtime
from segnets.inference.evaluate import evaluate_split
from segnets.inference.foreign import score_label_ids
from segnets.inference.predict import predict_frames
from segnets.inference.predictor import Predictor
from segnets.labels import CLASSES
from segnets.metrics.scores import category_iou, category_miou_official
from segnets.models.registry import build
from segnets.store.bag import Bag
from segnets.store.open import open_sink, open_source, open_store
from segnets.synthetic.write import write_streets

EXACT = 1e-9


def put_png(path: Path, ids) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(ids, np.uint8)).save(path)


def assert_equal_scores(ours, official):
    """Every class and the mean; a class in neither is null here and NaN there."""
    for name, value in ours["iou"].items():
        theirs = official["classScores"][name]
        if value is None:
            assert math.isnan(theirs), name
        else:
            assert value == pytest.approx(theirs, abs=EXACT), name
    assert ours["miou_official"] == pytest.approx(official["averageScoreClasses"], abs=EXACT)


def assert_equal_categories(counts, official):
    for name, value in category_iou(counts).items():
        theirs = official["categoryScores"][name]
        assert value == pytest.approx(theirs, abs=EXACT, nan_ok=True), name
    average = category_miou_official(counts)
    assert average == pytest.approx(official["averageScoreCategories"], abs=EXACT)


@pytest.fixture
def by_hand(tmp_path):
    """(truth folder, masks folder): two frames of random ids with every awkward case in them.

    train is absent from truth and masks; bus has no truth but is predicted; some labelled pixels are
    predicted as unlabelled, caravan or parking, none of the 19; some truth is not scored.
    """
    rng = np.random.default_rng(11)
    ids = [row.label_id for row in CLASSES if row.name != "train"]
    in_truth = [one for one in ids if one != 28] + [0, 3, 4, 9, 29]
    predicted = [*ids, 0, 9, 29]
    for seq in (1, 2):
        name = f"ulm_{seq:06d}_000019"
        truth = rng.choice(in_truth, (40, 60))
        mask = np.where(rng.random(truth.shape) < 0.6, truth, rng.choice(predicted, truth.shape))
        put_png(tmp_path / "data/gtFine/val/ulm" / f"{name}_gtFine_labelIds.png", truth)
        put_png(tmp_path / "masks" / f"{name}_pred.png", mask)
    return tmp_path / "data", tmp_path / "masks"


def test_labels_made_by_hand_score_as_the_official_tool_scores_them(by_hand, tmp_path):
    data, masks = by_hand
    ours = score_label_ids(open_source(str(data)), open_source(str(masks)), None)
    official = official_scores(data, masks, tmp_path / "work")
    assert ours.scores["iou"]["train"] is None
    assert ours.scores["iou"]["bus"] == 0
    assert ours.counts[:, 19].sum() > 0
    assert ours.scores["classes_counted"] == 18
    assert ours.scores["miou"] > ours.scores["miou_official"]
    assert_equal_scores(ours.scores, official)
    assert_equal_categories(ours.counts, official)


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """A few street scenes with instanceIds, and their dataset at half size."""
    root = tmp_path_factory.mktemp("streets")
    clips = {"train": 1, "val": 3, "test": 0}
    write_streets(root / "data", clips=clips, size=(96, 192), clip_frames=2, seed=1)
    store = open_store(str(root / "store"), write=True)
    settings = {"data": str(root / "data"), "height": 48, "width": 96, "clip_frames": 2}
    summary = make_dataset(
        open_source(str(root / "data")),
        build_config(PreprocessConfig, settings),
        store,
        name="streets",
        sources_salt=None,
    )
    with open_dataset(store, summary.dataset) as dataset:
        yield root / "data", store, dataset


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("min_confidence", [0.0, 0.5])
def test_masks_score_the_same_by_the_official_tool_by_predictions_and_by_the_trial(
    streets, tmp_path, precision, min_confidence
):
    data, store, dataset = streets
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = build(TrainConfig()).eval()
    with torch.no_grad():  # so that every class and any confidence comes up, untrained as it is
        module.head.weight.mul_(40.0)
        module.head.bias.zero_()
    runtime = Runtime(device="cpu", precision=precision, threads=1)
    by_trial = evaluate_split(
        module,
        dataset,
        "val",
        mean=dataset.mean,
        std=dataset.std,
        runtime=runtime,
        min_confidence=min_confidence,
        meta={},
    ).original

    source = open_source(str(data))
    predictor = Predictor(
        module=module,
        runtime=runtime,
        mean=dataset.mean,
        std=dataset.std,
        height=dataset.height,
        width=dataset.width,
        min_confidence=min_confidence,
    )
    jobs = index_frames(source, frames=None, split="val", clip_frames=2, stride=1)
    bag = Bag(store, "run", f"pred-{precision}-{min_confidence > 0:d}", "0" * 64)
    sink = open_sink(str(tmp_path / "masks"))
    night = predict_frames(predictor, jobs, source, sink, bag, meta={})
    assert night.written == 3

    masks = tmp_path / "masks" / "labelIds"
    by_masks = score_label_ids(source, open_source(str(tmp_path / "masks")), "val")
    official = official_scores(data, masks, tmp_path / "work", instances=True)
    assert by_trial is not None
    assert by_trial == by_masks.scores
    assert (by_masks.counts[:, 19].sum() > 0) == (min_confidence > 0)
    assert_equal_scores(by_trial, official)
    assert_equal_categories(by_masks.counts, official)

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import (
    canonical_json,
    dataset_id,
    digest,
    eval_id,
    eval_sha256,
    grid_id,
    inside,
    run_id,
    run_sha256,
    trial_id,
    trial_sha256,
)
from segnets.config.preprocess import PreprocessConfig
from segnets.config.train import AugmentConfig, TrainConfig
from segnets.recipes import RECIPES

OUTSIDE = {
    "store": "s3://elsewhere/x",
    "cache": "/else",
    "device_index": 3,
    "ranks": 2,
    "workers": 7,
    "quiet": True,
    "take_over": True,
    "allow_inexact": True,
    "keep_last": 9,
    "keep_every": 5,
    "pause_at": 3,
    "store_wait": 1.0,
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=9,
)


@given(st.dictionaries(st.text(), json_values))
def test_the_order_of_keys_does_not_enter_a_digest(content):
    turned = dict(reversed(content.items()))
    assert canonical_json(content) == canonical_json(turned)
    assert json.loads(canonical_json(content)) == content


def test_three_trial_ids_of_version_1_are_kept_for_ever():
    """A change here makes every store forget its trials: give a new field a neutral value instead."""
    golden = {
        "resnet_convlstm-9a43a536": TrainConfig(dataset="streets-224x448-4f-00000000"),
        "resnet_lstm-496fb321": build(
            TrainConfig, {**RECIPES["student"], "dataset": "camvid-224x448-4f-00000000"}
        ),
        "resnet_convlstm-805f1f52": TrainConfig(
            dataset="d", lr=0.003, batch_size=2, seed=7, augment=AugmentConfig(flip=0.0)
        ),
    }
    assert [trial_id(config) for config in golden.values()] == list(golden)


def test_where_and_how_a_trial_runs_does_not_enter_its_id():
    for name, value in OUTSIDE.items():
        changed = replace(TrainConfig(), **{name: value})
        assert trial_sha256(changed) == trial_sha256(TrainConfig()), name
    assert set(OUTSIDE).isdisjoint(inside(TrainConfig()))
    assert set(OUTSIDE) | set(inside(TrainConfig())) == {f.name for f in fields(TrainConfig)}


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "another"},
        {"lr": 0.002},
        {"epochs": 9},
        {"seed": 1},
        {"threads": 2},
        {"precision": "fp32"},
        {"augment": AugmentConfig(gamma=0.4)},
    ],
)
def test_what_can_change_the_result_changes_the_id(change):
    assert trial_id(replace(TrainConfig(), **change)) != trial_id(TrainConfig())


def test_one_and_one_point_zero_are_one_id_once_validated():
    assert trial_id(build(TrainConfig, {"lr": "1"})) == trial_id(build(TrainConfig, {"lr": 1.0}))


def test_the_order_of_axes_and_values_does_not_enter_a_grids_id():
    one = GridConfig(grid=("lr=0.1,0.2", "seed=1,2"))
    other = GridConfig(grid=("seed=2,1", "lr=0.2,0.1"))
    assert grid_id(one) == grid_id(other)
    assert grid_id(one) != grid_id(GridConfig(grid=("lr=0.1,0.2",)))


def test_two_grid_ids_of_version_1_are_kept_for_ever():
    """A grid is found again by its id: its plan, and what a search has decided, hang on it."""
    golden = {
        "grid-5172f106": GridConfig(trial=TrainConfig(dataset="d")),
        "grid-4857b44e": GridConfig(trial=TrainConfig(dataset="d"), grid=("student",)),
    }
    assert [grid_id(config) for config in golden.values()] == list(golden)


def test_a_dataset_id_shows_name_size_and_frames_and_holds_its_content():
    config = PreprocessConfig(data="/some/folder")
    found = dataset_id(config, "camvid", digest(["a"]))
    assert found.startswith("camvid-224x448-4f-")
    assert found == dataset_id(replace(config, data="/moved"), "camvid", digest(["a"]))
    assert found != dataset_id(config, "camvid", digest(["b"]))
    assert found != dataset_id(replace(config, stride=2), "camvid", digest(["a"]))


def test_settings_of_street_scenes_enter_only_the_ids_of_street_scenes():
    files = PreprocessConfig(data="/x")
    assert dataset_id(files, "n", "s") == dataset_id(replace(files, scenes=90), "n", "s")
    streets = PreprocessConfig()
    assert dataset_id(streets, "n", "s") != dataset_id(replace(streets, scenes=90), "n", "s")


def test_ids_of_evaluations_and_runs_tell_their_jobs_apart():
    one = eval_sha256("w", "d", "val", {"min_confidence": 0.0})
    assert one != eval_sha256("w", "d", "val", {"min_confidence": 0.5})
    assert eval_id("t-1", "val", one) == f"t-1-val-{one[:8]}"
    assert eval_id(None, "val", one) == f"ext-val-{one[:8]}"
    job = run_sha256("w", "/data", "/out", {})
    assert job != run_sha256("w", "/data", "/other", {})
    assert run_id(job) == f"pred-{job[:8]}"

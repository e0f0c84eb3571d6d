import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segnets.store.tables import from_parquet
from segnets.training.curves import CURVE_POINTS, epoch_row, epochs_table, thin, trial_view


def row(split, epoch, hits):
    counts = np.zeros((19, 20), dtype=np.int64)
    counts[0, 0], counts[0, 1] = hits, 10 - hits
    over = {"lr": 0.1, "grad_norm": 2.0, "seconds_saving": 0.0} if split == "train" else {}
    return epoch_row(
        split, counts, attempt=1, epoch=epoch, step=3 * epoch, loss=1.0, clips_s=4.0, **over
    )


def rows_of(*hits):
    return [
        row(split, epoch, one) for epoch, one in enumerate(hits, 1) for split in ("train", "val")
    ]


def test_the_table_has_a_row_an_epoch_and_split_and_nan_for_classes_that_never_occur():
    table = from_parquet(epochs_table(rows_of(5, 8)))
    assert table.column("split").to_pylist() == ["train", "val"] * 2
    assert table.column("miou").to_pylist() == [0.5, 0.5, 0.8, 0.8]
    ious = table.column("iou").to_pylist()[0]
    assert len(ious) == 19
    assert ious[0] == 0.5
    assert ious[1] == 0.0  # predicted, never there
    assert math.isnan(ious[2])
    assert table.column("lr").to_pylist()[1] is None
    assert table.column("memory").to_pylist()[0] > 2**20


def test_an_empty_table_has_the_same_columns():
    empty, full = epochs_table([]), epochs_table(rows_of(1))
    assert from_parquet(empty).schema == from_parquet(full).schema


def test_the_view_tells_best_and_last_and_every_setting_of_the_id(trial_config):
    config = trial_config(epochs=3)
    view = trial_view(
        config,
        "model-12345678",
        status="failed",
        rows=rows_of(5, 8, 6),
        best_epoch=2,
        attempts=2,
        seconds=12.5,
        error="what, where, next",
    )
    assert view["best"] == {"epoch": 2, "miou": 0.8, "loss": 1.0, "pixel_accuracy": 0.8}
    assert (view["last"]["epoch"], view["epoch"], view["epochs"]) == (3, 3, 3)
    assert view["curve"] == [[1, 0.5], [2, 0.8], [3, 0.6]]
    assert view["settings"]["augment.gamma"] == config.augment.gamma
    assert "store" not in view["settings"]
    assert view["resumed"]
    assert view["error"] == "what, where, next"


def test_a_view_before_the_first_epoch_has_no_scores(trial_config):
    view = trial_view(
        trial_config(), "m", status="stopped", rows=[], best_epoch=None, attempts=1, seconds=0.0
    )
    assert (view["best"], view["last"], view["curve"], view["epoch"]) == (None, None, [], 0)


@given(st.integers(0, 500))
def test_a_curve_is_thinned_to_32_points_that_keep_its_ends_and_order(num):
    points = thin(list(range(num)))
    assert len(points) == min(num, CURVE_POINTS)
    assert points == sorted(set(points))
    if num:
        assert (points[0], points[-1]) == (0, num - 1)

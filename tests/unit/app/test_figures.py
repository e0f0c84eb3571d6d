import math

import pytest

from segnets.app.pages.figures import duration, grid_figures
from segnets.app.pages.samplerows import sample_facts
from segnets.app.pages.series import series, smoothed
from segnets.app.pages.table import changed_settings, spark_path, trial_frame
from segnets.app.records import Score, Trial


def trial(name, status="done", miou=None, **more):
    return Trial(id=name, status=status, best=Score(miou=miou), **more)


def figures(*trials):
    return {figure["label"]: figure for figure in grid_figures(trials)}


def test_the_best_trial_is_the_one_with_the_highest_best_epoch():
    shown = figures(trial("a-1111", miou=0.5), trial("b-2222", miou=0.62), trial("c-3333"))
    assert shown["Best val mIoU"]["value"] == "0.620"
    assert shown["Best val mIoU"]["notes"] == [["2222", ""], ["+0.120 over the next", "good"]]


def test_a_grid_finishes_when_its_slowest_running_trial_and_the_queue_are_through():
    running = trial("a", "running", epoch=5, epochs=10, seconds=100.0)
    assert figures(running)["Finishes in"]["value"] == "2 min"
    assert figures(running, trial("q", "queued"))["Finishes in"]["value"] == "5 min"


def test_time_helps_by_the_difference_of_the_best_with_and_without_a_past():
    shown = figures(
        trial("a", miou=0.6, settings={"temporal": "convlstm"}),
        trial("b", miou=0.55, settings={"temporal": "mean"}),
        trial("c", miou=0.63, settings={"temporal": "none"}),
    )
    assert shown["Time helps?"]["value"] == "-0.030"
    assert figures(trial("a", miou=0.6))["Time helps?"]["value"] == "\N{EN DASH}"


def test_a_restart_without_a_checkpoint_is_not_called_resumed():
    assert figures(trial("a", attempts=3, resumed=2))["Restarts"]["notes"][0][1] == "good"
    assert figures(trial("a", attempts=3, resumed=1))["Restarts"]["tone"] == "warn"


@pytest.mark.parametrize(
    ("seconds", "text"), [(42, "42 s"), (600, "10 min"), (3 * 3600 + 300, "3 h 05")]
)
def test_durations_read_like_speech(seconds, text):
    assert duration(seconds) == text


def test_only_settings_that_differ_are_columns_and_only_plain_names():
    trials = [
        trial("a", settings={"lr": 0.1, "seed": 0, "<img>": 1}),
        trial("b", settings={"lr": 0.2, "seed": 0, "<img>": 2}),
    ]
    assert changed_settings(trials) == ["lr"]
    assert list(trial_frame(trials, {}, ["lr"])["s0"]) == [0.1, 0.2]


def test_a_small_curve_is_as_wide_as_the_share_of_its_epochs():
    path = spark_path(trial("a", curve=((1.0, 0.2), (5.0, 0.4)), epochs=10))
    assert path == "M7.2 9.0 L32.0 1.5"
    assert spark_path(trial("a")) == ""


def rows(epochs):
    return [
        {"split": split, "epoch": e, "step": 10 * e, "time": 60.0 * e, "loss": 1 / e, "lr": 0.1}
        | {"miou": 0.1 * e if split == "val" else math.nan, "iou": [0.05 * e] * 19}
        for e in epochs
        for split in ("train", "val")
    ]


def test_curves_take_val_rows_and_epochs_without_a_value_leave_no_point():
    assert series(rows([1, 2]), "miou", "epoch", 0) == ([(1, 0.1), (2, 0.2)], None)
    assert series(rows([1, 2]), "miou", "time", 0)[0] == [(0.0, 0.1), (1.0, 0.2)]
    assert series(rows([2]), "loss", "step", 0) == ([(20, 0.5)], [(20, 0.5)])
    assert series(rows([2]), "class", "epoch", 3)[0] == [(2, 0.1)]
    assert series([{"split": "val", "epoch": 1, "miou": math.nan}], "miou", "epoch", 0)[0] == []


def test_smoothing_never_moves_a_point_when_later_ones_come():
    points = [(float(x), float(x % 3)) for x in range(9)]
    assert smoothed(points, 0.7)[:5] == smoothed(points[:5], 0.7)
    assert smoothed(points, 0.0) == points


def test_the_iou_of_a_sample_is_its_counts_divided_and_absent_classes_have_none():
    inter, union = [0] * 19, [0] * 19
    inter[0], union[0], union[5] = 90, 120, 40
    row = {"inter": inter, "union": union, "miou": 0.375, "pixel_accuracy": 0.9}
    row["confusions"] = [{"truth": 5, "predicted": 0, "pixels": 10}]
    facts = sample_facts(row)
    assert facts["iou"][:6] == [0.75, None, None, None, None, 0.0]
    assert facts["confusions"] == [{"truth": 5, "predicted": 0, "share": 0.1}]

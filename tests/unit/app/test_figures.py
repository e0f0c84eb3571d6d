import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segnets.app import records
from segnets.app.pages.cost import cost_frame
from segnets.app.pages.figures import duration, grid_figures
from segnets.app.pages.first import first_view
from segnets.app.pages.lanes import in_window, span
from segnets.app.pages.matters import in_words, parallel_axes
from segnets.app.pages.runfigures import run_figures
from segnets.app.pages.samplerows import sample_facts
from segnets.app.pages.series import series, smoothed
from segnets.app.pages.table import (
    changed_settings,
    field_of,
    setting_cells,
    shown_settings,
    spark_path,
    trial_frame,
)
from segnets.app.records import STATUSES, Score, Trial


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
    assert list(trial_frame(trials, {}, ["lr"])["s_lr"]) == [0.1, 0.2]


def test_a_setting_has_the_same_column_whatever_else_differs():
    trials = [
        trial("a", settings={"lr": 0.1, "loss.name": "dice", "seed": 0}),
        trial("b", settings={"lr": 0.2, "loss.name": "ohem", "seed": 0}),
    ]
    assert [field_of(name) for name in changed_settings(trials)] == ["s_lr", "s_loss__name"]
    alike = [trials[0], replace(trials[0], id="c", settings={**trials[0].settings, "lr": 0.3})]
    assert [field_of(name) for name in changed_settings(alike)] == ["s_lr"]
    assert shown_settings(alike, "-s_loss__name") == ["lr", "loss.name"]  # it is sorted by this
    assert shown_settings(alike, "s_nobody") == ["lr"]
    many = [trial(name, settings=dict.fromkeys("abcdefg", name) | {"z": 1}) for name in "xy"]
    assert shown_settings(many, "s_z") == ["a", "b", "c", "d", "z"]


def test_two_settings_whose_columns_would_have_one_name_are_one_column():
    trials = [trial(name, settings={"a.b": name, "a__b": name}) for name in "xy"]
    assert len(changed_settings(trials)) == 1
    assert trial_frame(trials, {}, changed_settings(trials)).columns.is_unique


def test_a_column_of_numbers_stays_one_where_some_trials_have_no_value():
    cells = setting_cells([10, None, 9, 0.5])
    assert cells[:1] + cells[2:] == [10, 9, 0.5]
    assert math.isnan(cells[1])
    assert setting_cells([1, 2]) == [1, 2]
    assert setting_cells([1, "auto", None, True]) == ["1", "auto", "\N{EN DASH}", "yes"]
    assert setting_cells([None, None]) == ["\N{EN DASH}"] * 2


extremes = st.sampled_from([10**400, 1e308, -1e308, 5e-324, 1e100, 1e-100, math.nan, 0, None])
numbers = extremes | st.integers() | st.floats()
some_views = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(STATUSES),
        "settings": st.dictionaries(st.sampled_from(["lr", "a.b"]), numbers | st.text(max_size=3)),
        "best": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("epoch", "miou", "loss"), numbers)
        ),
        "curve": st.lists(st.tuples(numbers, numbers), max_size=3),
        **dict.fromkeys(
            ["epoch", "epochs", "attempts", "resumed", "clips_s", "seconds", "time"], numbers
        ),
    },
)


@given(st.lists(some_views, max_size=4))
@example([{"status": "done", "seconds": 1e308}] * 2)
@example([{"settings": {"lr": lr}, "best": {"miou": lr * 1e308}} for lr in (-1, 1)])
def test_whatever_views_hold_the_pages_can_be_drawn(views):
    trials = [records.trial(f"t-{i}", "k", view) for i, view in enumerate(views)]
    frame = trial_frame(trials, {}, changed_settings(trials))
    first_view(grid_figures(trials), frame.to_dict("records")).encode()
    parallel_axes(trials, {})
    in_words(trials)
    cost_frame(trials, {})
    run_figures(trials, {})
    assert len(in_window(trials, "all", 1e9)) == len(trials)
    assert len(span(trials, {}, "24h", 1e9)) == 2


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

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.app import records
from segnets.app.records import Grid

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "id status dataset model settings epoch epochs best last curve attempts resumed clips_s time"
)
views = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS.split(), json_values))


@given(views)
def test_a_view_of_any_content_becomes_a_trial_whose_fields_have_their_types(view):
    trial = records.trial("t-1", "view/trial/t-1", view)
    assert trial.status in records.STATUSES
    assert isinstance(trial.model, str)
    assert isinstance(trial.error, str)
    assert trial.epoch >= 0
    assert trial.restarts >= 0
    assert trial.miou is None or trial.miou == trial.miou
    assert all(len(point) == 2 for point in trial.curve)
    json.dumps(dict(trial.settings))  # what goes to a browser can be written


@given(json_values)
def test_any_content_of_a_grid_evaluation_or_dataset_view_is_borne(value):
    view = value if isinstance(value, dict) else {"trials": value, "axes": value, "clips": value}
    assert all(records.grid("g", "", view).trials)
    assert records.evaluation("e", "", view).samples >= 0
    assert records.dataset("d", "", view).height >= 0
    assert isinstance(records.queued({"trials": value}, Grid(id="g")), dict)


def test_a_text_of_any_length_is_cut_before_it_goes_to_a_browser():
    assert len(records.text("x" * 100_000)) == 300


def test_no_text_holds_half_a_pair_that_a_page_could_not_be_written_with():
    view = json.loads('{"model": "a\\ud800", "settings": {"\\udfff": "\\ud800", "b": ["\\ud800"]}}')
    trial = records.trial("t", "", view)
    for text in (trial.model, *trial.settings, *map(str, trial.settings.values())):
        text.encode()
    assert trial.model == "a?"
    [axis] = records.grid("g", "", {"axes": {"\ud800": ["\ud800"]}}).axes.items()
    assert axis == ("?", ("?",))
    assert records.text("a\N{GRINNING FACE}") == "a\N{GRINNING FACE}"


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e300, math.inf, math.nan, True, "1"])
def test_what_no_score_can_be_is_no_number(value):
    assert records.number(value) is None


def test_a_setting_beyond_what_a_browser_counts_is_shown_as_its_digits():
    assert records.plain(2**60) == str(2**60)
    assert records.plain(2**50) == 2**50
    assert records.plain(math.nan) == "nan"


def test_iou_lists_of_another_length_have_no_value():
    assert records.class_values([0.5] * 20) == [None] * 19
    assert records.class_values([0.5] * 18 + [float("nan")])[-1] is None


def test_a_plain_yes_for_resumed_counts_every_restart():
    assert records.trial("t", "", {"attempts": 3, "resumed": True}).resumed == 2
    assert records.trial("t", "", {"attempts": 3, "resumed": 1}).resumed == 1

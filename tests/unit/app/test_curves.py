from itertools import pairwise

import pytest
from support.results_store import epoch_rows
from support.still_reader import StillReader

from segnets.app.pages.curves import Curves
from segnets.app.state import Session, View, parse_address
from segnets.labels import CLASS_NAMES


@pytest.fixture
def made():
    """Curves of one trial of 30 epochs on a page that does nothing by itself."""
    session = Session(StillReader(), view=View(metric="class"))
    curves = Curves(session)
    curves.show([("m-1", "m 1", "#2f6feb", epoch_rows(30, 0.6, 7, 0.0))])
    return curves, session


def drawn(curves):
    slot = curves.slots[0]
    return [list(slot.smooth.data[axis]) for axis in ("x", "y")]


def chosen(curves):
    return {item["key"]: item["value"] for item in curves.foot.items if "value" in item}


def test_what_is_chosen_below_the_curves_is_drawn_and_in_the_address(made):
    curves, session = made
    seen = [drawn(curves)]
    for key, value in (("axis", "step"), ("class", "sky"), ("smoothing", 0.75)):
        curves._on_bar({"key": key, "value": value})
        seen.append(drawn(curves))
        assert chosen(curves)[key] == value
    assert all(before != after for before, after in pairwise(seen))
    assert session.view.address == f"?p=trials&y=class&c={CLASS_NAMES.index('sky')}&x=step&sm=75"


def test_a_copied_link_draws_the_same_curves(made):
    curves, session = made
    for key, value in (("axis", "time"), ("class", "rider"), ("smoothing", 0.0)):
        curves._on_bar({"key": key, "value": value})
    other = Curves(Session(StillReader(), view=parse_address(session.view.address)))
    other.show(curves._shown)
    assert drawn(other) == drawn(curves)
    assert chosen(other) == chosen(curves) == {"axis": "time", "class": "rider", "smoothing": 0.0}


@pytest.mark.parametrize("message", [("axis", "hours"), ("class", 3), ("smoothing", 1), ("x", 1)])
def test_what_is_no_such_choice_changes_nothing(made, message):
    curves, session = made
    before = session.view
    curves._on_bar(dict(zip(("key", "value"), message, strict=True)))
    assert session.view == before

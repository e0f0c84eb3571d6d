import pytest
from support.still_reader import StillReader

from segnets.app.pages import runs
from segnets.app.pages.lanes import LANES
from segnets.app.pages.runs import RunsPage
from segnets.app.records import FILTERS, STATUSES, Score, Trial
from segnets.app.state import Session, View
from segnets.app.timeline import Life
from segnets.errors import Unavailable

MANY = [
    Trial(id=f"m-{i:03}", key=f"k{i}", status="done", best=Score(miou=0.5), time=1e9 - i)
    for i in range(2 * LANES)
]


@pytest.fixture
def reader(monkeypatch):
    """A store of many trials whose logs are empty, or have the fault of `reader.faults`."""
    reader = StillReader()
    reader.tell(MANY)

    def read(_reader, trial):
        reader.asked.append(trial)
        if trial in reader.faults:
            raise reader.faults[trial]
        return Life(lines=())

    monkeypatch.setattr(runs, "read_life", read)
    return reader


def opened(reader, **view):
    page = RunsPage(Session(reader, view=View(page="runs", window="all", **view)))
    page.refresh()
    return page


def items(bar, kind):
    return [item for item in bar.items if item["type"] == kind]


def test_a_status_that_no_trial_has_leaves_the_choice_of_the_status_in_sight(reader):
    page = opened(reader, status="failed")
    assert page.body.visible
    assert page.lanes_bar.visible
    [choice] = items(page.lanes_bar, "segments")
    assert choice["value"] == "failed"
    assert [page.timeline.visible, page.figures.visible, page.cards.visible] == [False] * 3
    assert page.no_lane.text == "No trial is failed now. Choose another status above."
    page._on_bar({"key": "status", "value": "done"})
    assert [page.timeline.visible, page.figures.visible, page.cards.visible] == [True] * 3
    assert not page.no_lane.visible
    assert len(page.timeline.lanes) == LANES


def test_a_store_without_trials_shows_no_choice(reader):
    reader.tell([])
    page = opened(reader)
    assert not page.body.visible
    assert page.empty.title == "Nothing has run yet"


def test_every_status_is_in_any_and_in_one_other_filter():
    assert FILTERS["any"] == STATUSES
    others = [status for name, held in FILTERS.items() if name != "any" for status in held]
    assert sorted(others) == sorted(STATUSES)


def test_a_paused_trial_is_among_those_that_are_not_over(reader):
    reader.tell([*MANY, Trial(id="p-1", key="p", status="paused", time=1e9)])
    page = opened(reader, status="running")
    assert [one["id"] for one in page.timeline.lanes] == ["p-1"]


def test_logs_that_cannot_be_read_leave_the_card_at_the_trial_on_show(reader):
    faulty = MANY[LANES].id  # the first lane of the second page
    reader.faults = {one.id: Unavailable("no answer", "there", "Wait.") for one in MANY}
    reader.pool.on_hold = True  # the answer comes after the lanes are drawn
    page = opened(reader, lane=LANES)
    reader.pool.on_hold = False
    assert page.timeline.opened == page.cards.title == faulty
    reader.pool.let_go()
    assert page.cards.fault == "no answer: there. Wait."
    assert page.cards.title == faulty
    reader.faults.clear()
    page.refresh()
    assert page.cards.fault == ""
    assert faulty in page._lives


def test_a_copied_link_names_the_log_that_the_page_has_opened(reader):
    page = opened(reader, lane=LANES)
    [copy] = items(page.bar, "copy")
    assert copy["pins"] == {"t": MANY[LANES].id}

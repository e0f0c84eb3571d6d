from dataclasses import replace

import pytest
from support.still_reader import StillReader

from segnets.app.pages.leaderboard import FIRST_TICKED, Leaderboard
from segnets.app.records import Grid, Score, Trial
from segnets.app.state import Session, View
from segnets.errors import Unavailable

# Panel 1.9 and Bokeh 3 change their own tables in place
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def trials(name, best, num=4, status="done"):
    return [
        Trial(id=f"{name}-{i}", key=f"{name}{i}", status=status, best=Score(miou=best - i / 100))
        for i in range(num)
    ]


def grid(name, its_trials):
    return Grid(id=name, trials=tuple(trial.id for trial in its_trials))


@pytest.fixture
def reader():
    reader = StillReader()
    good, poor = trials("good", 0.9), trials("poor", 0.3)
    reader.tell([*good, *poor], [grid("grid-good", good), grid("grid-poor", poor)])
    return reader


def opened(reader, **view):
    page = Leaderboard(Session(reader, view=View(**view)))
    page.refresh()
    return page


def curves(page):
    return [slot.trial for slot in page.curves.slots if slot.trial]


def link(page):
    [copy] = [item for item in page.bar.items if item["type"] == "copy"]
    return copy["pins"]["sel"].split(",")


def test_a_chosen_grid_shows_the_curves_of_its_own_best_trials(reader):
    page = opened(reader)
    assert curves(page) == link(page) == ["good-0", "good-1", "good-2"]
    page.session.change(grid="grid-poor")
    assert curves(page) == link(page) == ["poor-0", "poor-1", "poor-2"]
    assert [row["miou"] for row in page.heat.rows] == pytest.approx([0.3, 0.29, 0.28])
    assert list(page.table.table.value["mark"] != "") == [True] * FIRST_TICKED + [False]
    page.session.change(grid="")
    assert curves(page) == link(page) == ["good-0", "good-1", "good-2"]


def test_what_is_ticked_stays_on_news_though_another_trial_becomes_better(reader):
    page = opened(reader, grid="grid-poor")
    before = curves(page)
    known = list(reader.snapshot.trials.values())
    better = Trial(id="poor-9", status="done", best=Score(miou=0.99))
    poor = [trial for trial in known if trial.id.startswith("poor")]
    reader.tell([*known, better], [grid("grid-poor", [*poor, better])])
    page.refresh()
    assert curves(page) == before


def test_what_somebody_has_ticked_stays_in_any_grid(reader):
    page = opened(reader, ticked=("good-3", "poor-3"))
    page.session.change(grid="grid-poor")
    assert curves(page) == ["good-3", "poor-3"]


def test_a_chosen_status_shows_the_curves_of_its_own_best_trials(reader):
    known = list(reader.snapshot.trials.values())
    reader.tell([*known, *trials("worse", 0.1, 2, "failed")])
    page = opened(reader)
    page.session.change(status="failed")
    assert curves(page) == ["worse-0", "worse-1"]


def test_a_curve_that_could_not_be_read_is_asked_for_again_by_a_later_refresh(reader):
    reader.faults["good-1"] = Unavailable("no answer", "there", "Wait.")
    page = opened(reader)
    assert curves(page) == ["good-0", "good-2"]
    assert any("no answer: there." in item.get("text", "") for item in page.curves.foot.items)
    reader.faults.clear()
    page.refresh()
    assert sorted(curves(page)) == ["good-0", "good-1", "good-2"]
    assert not any("no answer" in item.get("text", "") for item in page.curves.foot.items)
    assert reader.asked.count("good-0") == 1


def with_settings(*settings):
    return [
        Trial(id=f"t-{i}", status="done", best=Score(miou=0.5), settings=one)
        for i, one in enumerate(settings)
    ]


def order(page):
    return list(page.table.table.current_view.index)


def test_a_link_sorts_by_the_same_setting_whatever_else_differs(reader):
    reader.tell(with_settings({"lr": 3, "seed": 1}, {"lr": 2, "seed": 2}, {"lr": 1, "seed": 3}))
    page = opened(reader, sort="s_seed")
    assert order(page) == ["t-0", "t-1", "t-2"]
    reader.tell(with_settings({"lr": 3, "seed": 1}, {"lr": 2, "seed": 1}))
    page.refresh()
    assert "s_seed" in page.table.table.value.columns
    assert [one["field"] for one in page.table.table.sorters] == ["s_seed"]


def test_numbers_are_sorted_as_numbers_and_those_without_come_last(reader):
    reader.tell(with_settings({"size": 10}, {}, {"size": 9}, {"size": 100}))
    assert order(opened(reader, sort="s_size")) == ["t-2", "t-0", "t-3", "t-1"]
    assert order(opened(reader, sort="-s_size")) == ["t-3", "t-0", "t-2", "t-1"]


def test_a_column_that_is_not_there_is_said(reader):
    page = opened(reader, sort="s1")
    assert order(page)[0] == "good-0"
    notes = [item["text"] for item in page.table_bar.items if item["type"] == "note"]
    assert "sorted by mIoU: no column s1" in notes
    page.session.change(sort="clips_s")
    assert "s1" not in str(page.table_bar.items)


def test_news_of_a_trial_are_patched_into_the_table(reader, monkeypatch):
    page = opened(reader)
    patches = []
    monkeypatch.setattr(page.table.table, "patch", lambda patch, **_: patches.append(patch))
    held = page.table.table.value
    first, *others = reader.snapshot.trials.values()
    reader.tell([replace(first, best=Score(miou=0.95)), *others])
    page.refresh()
    assert patches[0]["miou"] == [(0, 0.95)]
    assert page.table.table.value is held


def test_a_setting_that_becomes_known_later_takes_its_place_in_the_table(reader):
    reader.tell(with_settings({"size": 10}, {"size": 20}))
    page = opened(reader)
    reader.tell(with_settings({"size": 10.5}, {"size": 20}))
    page.refresh()
    reader.tell(with_settings({"size": "large"}, {"size": 20}))
    page.refresh()
    assert list(page.table.table.value["s_size"]) == ["large", "20"]

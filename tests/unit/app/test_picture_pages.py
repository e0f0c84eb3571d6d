"""The pages that show one sample of many, without a browser: what they send, and what they ask again."""

from dataclasses import replace

import pytest
from support.night_store import write_run
from support.results_store import names, reader_of, write_store
from support.still_reader import AtOnce

from segnets.app.page import AGAIN_S, Tab
from segnets.app.pages.compare import ComparePage
from segnets.app.pages.dataset import DatasetPage
from segnets.app.pages.predictions import PredictionsPage
from segnets.app.pages.samples import SamplesPage
from segnets.app.state import Session, View
from segnets.errors import Unavailable
from segnets.store.open import open_store

A, B, C = (f"val/{name}" for name in names(3))
RUN = "pred-0a0b0c0d"
PAGES = {
    "samples": SamplesPage,
    "dataset": DatasetPage,
    "compare": ComparePage,
    "pred": PredictionsPage,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("pages") / "store"), write=True)
    made = write_store(store, samples=4)
    write_run(store, RUN, [{"new": 4}, {"new": 4}])
    yield store
    for trial in made["live"]:
        trial.close()


@pytest.fixture
def reader(written):
    """It has looked once; its pool answers in the same thread."""
    reader = reader_of(written)
    reader.look()
    reader.pool.shutdown()
    reader.pool = AtOnce()
    return reader


def opened(reader, page, **view):
    made = PAGES[page](Session(reader, view=View(page=page, **view)))
    made.refresh()
    return made, made.session, made.duel if page == "compare" else made.viewer


def shown(viewer):
    return viewer.sample[0]


@pytest.mark.parametrize(
    ("page", "field"), [("samples", "sample"), ("dataset", "clip"), ("compare", "sample")]
)
def test_a_sample_that_the_browser_went_to_is_not_sent_back_but_one_of_back_is(reader, page, field):
    _, session, viewer = opened(reader, page, **{field: A})
    assert shown(viewer) == A
    before = viewer.sample
    for sample in (B, C):
        viewer._handle_msg({"type": "show", "sample": sample})
        assert getattr(session.view, field) == sample
        assert viewer.sample == before
    session.change(**{field: A})  # Back: the browser has left it, though nothing else was asked for
    assert shown(viewer) == A
    assert viewer.sample != before


def test_hidden_classes_that_the_browser_told_are_not_sent_back(reader):
    page, session, viewer = opened(reader, "samples")
    before = viewer.hidden
    for classes in ([2], [2, 5], [2]):
        viewer._handle_msg({"batch": [{"type": "hidden", "hidden": classes}]})
        assert session.view.hidden == tuple(classes)
        assert viewer.hidden == before
    session.change(hidden=())
    assert viewer.hidden[0] == []
    assert viewer.hidden != before
    frames, *_ = opened(reader, "pred", hidden=(3,))
    assert frames.viewer.hidden[0] == [3]
    assert page.viewer.hidden[0] == []


def test_a_page_follows_what_was_chosen_on_another_one(reader):
    tab = Tab(Session(reader, view=View(page="samples", sample=A)))
    session, made = tab.session, tab._made
    session.change(page="compare")
    duel, viewer = made["compare"].duel, made["samples"].viewer
    duel._handle_msg({"type": "show", "sample": B})
    duel._handle_msg({"type": "opacity", "opacity": 20})
    made["compare"].matrix._handle_msg({"type": "mistake", "mistake": "2-8"})
    assert (shown(viewer), viewer.opacity) == (A, 55)
    session.change(page="samples")
    assert "s=" + B in session.view.address
    assert (shown(viewer), viewer.opacity) == (B, 20)
    session.show(View(page="samples", sample=A))  # Back, to an address that knows of no mistake
    session.change(page="compare")
    assert (made["compare"].matrix.mistake, made["compare"].duel.mistake) == ("", "")
    assert "e=" not in session.view.address


def test_a_sample_of_the_dataset_page_is_none_of_an_evaluation(reader):
    page, session, _ = opened(reader, "dataset")
    page.viewer._handle_msg({"type": "show", "sample": B})
    assert f"s={B}" in session.view.address
    samples = SamplesPage(session)
    session.change(page="samples")
    samples.refresh()
    assert "s=" not in session.view.address
    assert not any(item.get("tone") for item in samples.bar.items)


def asked(pool):
    """The question that waits, taken out of the pool's hands."""
    [(future, _)] = pool._waiting
    pool._waiting = []
    return future


@pytest.mark.parametrize(("page", "field"), [("samples", "evaluation"), ("pred", "night")])
def test_a_fault_of_what_was_asked_before_replaces_nothing(reader, page, field):
    made, session, _ = opened(reader, page)
    offered = reader.snapshot.evals if page == "samples" else [night.id for night in made._nights]
    slow, fast = list(offered)[:2]
    reader.pool.on_hold = True
    session.change(**{field: slow})
    late = asked(reader.pool)
    session.change(**{field: fast})
    reader.pool.let_go()
    late.set_exception(Unavailable("the store does not answer", "here", "Wait."))
    assert made._told._body.visible
    assert fast in made._shown


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_could_not_be_read_asks_again_by_itself_in_a_quiet_store(reader, page):
    reader.pool.on_hold = True
    tab = Tab(Session(reader, view=View(page=page)))
    asked(reader.pool).set_exception(Unavailable("the store does not answer", "here", "Wait."))
    made = tab._made[page]
    reader.pool.on_hold = False
    tab.tick()
    assert not made._told._body.visible
    assert "the store does not answer" in made._told._notice.text
    tab.session.missed -= AGAIN_S
    tab.tick()
    assert made._told._body.visible


def test_what_a_page_chose_by_itself_stays_when_something_better_comes(reader):
    samples, _, viewer = opened(reader, "samples")
    dataset = opened(reader, "dataset")[0]
    frames, session, masks = opened(reader, "pred")
    sources = [one.source for one in (viewer, dataset.viewer, masks)]
    seen = reader.snapshot
    best = seen.evals[viewer.source]
    newer = {"id": "newer", "key": "newer", "time": 4e9}
    old = seen.datasets[dataset.viewer.source]
    reader.snapshot = replace(
        seen,
        evals={**seen.evals, "newer": replace(best, **newer)},
        datasets={**seen.datasets, "newer": replace(old, **newer)},
        runs={"newer": replace(seen.runs[RUN], **newer), RUN: replace(seen.runs[RUN], key="news")},
    )
    night = frames._nights[-1]
    reader.pool.on_hold = True
    for page in (samples, dataset, frames):
        page.refresh()
    assert [one.source for one in (viewer, dataset.viewer, masks)] == sources
    assert frames._shown == (RUN, "news", night.id)  # its table is read again, the night stays
    assert samples._shown[0] == sources[0]
    assert dataset._shown[0] == sources[1]
    fresh = SamplesPage(session)
    fresh.refresh()
    assert fresh._shown[0] == "newer"

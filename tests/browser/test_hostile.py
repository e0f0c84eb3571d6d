"""A store whose names, cities, settings and sentences are markup that would run: every page shows it as text."""

import pytest
from support.life_store import Try, live_through
from support.night_store import write_run
from support.results_store import HOSTILE, Words, write_store

from segnets.store.open import open_store

WORDS = Words(**dict.fromkeys(("city", "model", "error", "dataset_name", "setting"), HOSTILE))
FAILURE = {"reason": HOSTILE, "sentence": HOSTILE}
NOTES = [("skipped", HOSTILE), ("resumed", HOSTILE)]


@pytest.fixture(scope="module")
def app(serve, tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("hostile") / "store"), write=True)
    made = write_store(store, samples=2, words=WORDS)
    live_through(
        store, "m-1", Try(saves=[(1, 12)], notes=NOTES), Try(end="failed", failure=FAILURE)
    )
    bad = {"new": 1, "failed": [(HOSTILE, HOSTILE)]}
    named = dict.fromkeys(("trial", "dataset", "city", "why"), HOSTILE)
    write_run(store, "pred-0a0b0c0d", [bad], **named)
    yield serve(store, "--args", "--store", store.url)
    for trial in made["live"]:
        trial.close()


def runs_nothing(opened) -> None:
    opened.page.wait_for_timeout(500)  # an image that is not there has had its error by now
    assert opened.complaints() == {}
    assert opened.page.locator("img[src=x]").count() == 0


def test_leaderboard_and_samples(app, tab):
    opened = tab(app)
    opened.open(f"?p=trials&grid={HOSTILE}&sel={HOSTILE}")
    opened.wait_for(HOSTILE, ".who")  # it is there, as text
    opened.page.locator(".tabulator-row").first.click()
    for chart in (opened.page.locator(".bk-Canvas").nth(i) for i in range(2)):
        chart.hover()  # the curves, and score and cost: both have tooltips
    opened.page.locator("nav .page").nth(1).click()
    opened.wait_for(HOSTILE, ".stage .head")
    opened.page.mouse.move(600, 400)
    runs_nothing(opened)


def test_leaderboard_on_a_telephone(app, tab):
    opened = tab(app, 390, 844)
    opened.open(f"?p=trials&s={HOSTILE}")
    opened.wait_for(HOSTILE, ".who")
    runs_nothing(opened)


def test_compare(app, tab):
    opened = tab(app)
    opened.open(f"?p=compare&a={HOSTILE}&s={HOSTILE}&e={HOSTILE}")
    opened.see(".gapline")
    opened.wait_for(HOSTILE, ".differs")
    opened.page.locator(".bk-Canvas").first.hover()
    runs_nothing(opened)


def test_dataset(app, tab):
    opened = tab(app)
    opened.open(f"?p=dataset&s={HOSTILE}")
    opened.wait_for(HOSTILE, ".sg-rows .text")
    opened.wait_for(HOSTILE, ".sg-viewer .head")
    opened.page.locator(".sg-frequency rect").first.hover()
    runs_nothing(opened)


def test_runs_and_predictions(app, tab):
    opened = tab(app)
    opened.open(f"?p=runs&t={HOSTILE}&grid={HOSTILE}&w={HOSTILE}")
    opened.wait_for(HOSTILE, ".who")
    opened.page.locator(".lane[title=m-1]").click()
    opened.wait_for(f"failed: {HOSTILE}", ".story")
    opened.wait_for(f"skipped {HOSTILE}", ".story")
    opened.page.locator("nav .page", has_text="Predictions").click()
    for place in (".stage .name", ".failed li", ".facts dd"):
        opened.wait_for(HOSTILE, place)
    opened.page.locator(".night").first.hover()
    runs_nothing(opened)

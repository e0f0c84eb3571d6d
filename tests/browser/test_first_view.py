"""The leaderboard that the page carries itself: what the live one shows, before its scripts are there."""

import time
import urllib.request

import pytest
from support.results_store import HOSTILE, Words, write_store

from segnets.store.open import open_store

WORDS = Words(model=HOSTILE, error=HOSTILE)


@pytest.fixture(scope="module")
def app(serve, tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("first") / "store"), write=True)
    made = write_store(store, samples=2, words=WORDS)
    address = serve(store)
    until = time.monotonic() + 60
    while b'id="first"' not in urllib.request.urlopen(f"{address}?p=trials").read():
        assert time.monotonic() < until, "the server does not look at the store"
        time.sleep(0.2)
    yield address
    for trial in made["live"]:
        trial.close()


@pytest.fixture
def without_scripts(app, tab):
    """without_scripts(query): a tab whose scripts are on their way for ever."""
    tabs = []

    def opened(query: str):
        waiting = tab(app)
        tabs.append(waiting)
        waiting.page.route("**/*.js*", lambda _: None)
        waiting.page.goto(app + query, wait_until="commit")
        waiting.see("#first tbody tr >> nth=0")
        return waiting

    yield opened
    for waiting in tabs:
        waiting.page.unroute_all(behavior="ignoreErrors")


def table(opened, row: str) -> list[list[str]]:
    """Names, scores and states of the rows."""
    cells = (".who", ".score b", ".pill:not(.again)")
    found = [opened.page.locator(f"{row} {cell}").all_inner_texts() for cell in cells]
    return [[" ".join(text.split()) for text in column] for column in found]


@pytest.mark.parametrize("query", ["?p=trials", "?p=trials&sort=seconds"])
def test_figures_and_first_rows_are_those_of_the_live_page(app, tab, without_scripts, query):
    first, live = without_scripts(query), tab(app)
    live.open(query)
    live.see(".tabulator-row >> nth=0")
    live.page.wait_for_selector("#first", state="detached")
    figures = [t.page.locator(".figure").all_inner_texts() for t in (first, live)]
    assert figures[0] == figures[1]
    assert len(figures[0]) == 5
    seen = table(first, "#first tbody tr")
    assert seen == table(live, ".tabulator-row")
    assert len(seen[0]) == 7
    assert first.dialogs == []
    assert first.page.locator("img").count() == 0


def test_it_stays_as_long_as_there_is_nothing_else_whatever_somebody_does(without_scripts):
    first = without_scripts("?p=trials")
    first.page.mouse.click(300, 300)
    first.page.keyboard.press("Shift")
    assert first.page.locator("#first tbody tr").count() == 7


def test_other_pages_carry_none(app, tab):
    opened = tab(app)
    opened.page.goto(f"{app}?p=samples", wait_until="commit")
    opened.see("nav .page >> nth=0")
    assert opened.page.locator("#first").count() == 0

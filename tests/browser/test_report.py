"""The report of a grid opens from a disk: curves drawn, nothing fetched, nothing of the store run."""

import itertools

import pytest
from support.results_store import HOSTILE, Words, reader_of, write_store

from segnets.app.report import collect, render
from segnets.store.open import open_store

WORDS = Words(**dict.fromkeys(("city", "model", "error", "dataset_name", "setting"), HOSTILE))


@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.slow)])
def test_it_is_whole_and_runs_nothing_of_the_store(browser, tmp_path, width):
    store = open_store(str(tmp_path / "store"), write=True)
    made = write_store(store, samples=2, words=WORDS)
    for trial in made["live"]:
        trial.close()
    file = tmp_path / "grid.html"
    file.write_text(render(collect(reader_of(store), made["grid"])))
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(file.as_uri())
    charts = page.locator(".bk-Canvas")
    charts.nth(1).wait_for()
    charts.nth(0).scroll_into_view_if_needed()
    box = charts.nth(0).bounding_box()
    tip = page.locator(".bk-tooltip-content")
    for down, right in itertools.product(range(5, 95, 2), range(10, 95, 3)):  # until a point is met
        page.mouse.move(
            box["x"] + right * box["width"] / 100, box["y"] + down * box["height"] / 100
        )
        if tip.count() and HOSTILE in tip.first.inner_text():
            break
    else:
        pytest.fail("no tooltip")
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert wrong == []
    page.close()

"""What a page shows is saved by one click: its table as CSV, its chart and its picture as PNG."""

import csv
import io

import numpy as np
import pytest
from PIL import Image
from support.night_store import write_run
from support.results_store import write_store

from segnets.store.open import open_store

SAMPLES = 3


@pytest.fixture(scope="module")
def app(serve, tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("takeaway") / "store"), write=True)
    made = write_store(store, samples=SAMPLES)
    write_run(store, "pred-0a0b0c0d", [{"new": 3}, {"new": 2}])
    yield serve(store)
    for trial in made["live"]:
        trial.close()


def saved(opened, button):
    with opened.page.expect_download() as waiting:
        button.click()
    return waiting.value.suggested_filename, waiting.value.path()


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_tables_are_saved_as_csv_by_every_page(app, tab):
    opened = tab(app)
    opened.open("?p=trials")
    opened.see(".tabulator-row")
    for page, part, rows in (
        ("Leaderboard", ".tabulator-row", 7),
        ("Samples", ".sg-viewer .stage .name", SAMPLES),
        ("Compare", ".gapline", SAMPLES),
        ("Dataset", ".sg-frequency rect", 2),
        ("Runs", ".lane", 7),
        ("Predictions", ".night", 2),
    ):
        opened.page.locator("nav .page", has_text=page).click()
        opened.page.locator(part).first.wait_for()
        button = opened.page.locator("button.save[aria-label='save as CSV']:visible").first
        name, path = saved(opened, button)
        found = list(csv.DictReader(io.StringIO(path.read_text())))
        assert name.endswith(".csv")
        assert len(found) == rows, (page, name, found)
    assert opened.complaints() == {}


def test_curves_and_pictures_are_saved_as_png(app, tab):
    opened = tab(app)
    opened.open("?p=trials")
    opened.see(".tabulator-row")
    chart = opened.page.locator("button[aria-label='save the chart as PNG']")
    chart.wait_for()
    name, path = saved(opened, chart)
    assert name == "curves_miou.png"
    drawn = pixels(path)
    assert drawn.shape[1] > 300
    colors = np.unique(drawn.reshape(-1, 3), axis=0)
    assert len(colors) > 20, "it has more than an empty ground"
    opened.page.locator("nav .page", has_text="Samples").click()
    picture = opened.page.locator("button[aria-label='save the picture as PNG']:enabled")
    picture.wait_for()
    name, path = saved(opened, picture)
    assert name.endswith("_prediction.png")
    height, width = pixels(path).shape[:2]
    assert abs(width - 2 * height) <= 2
    assert opened.complaints() == {}

"""axe-core finds nothing on any page; what is inside a library is allowed by rule and place."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from support.life_store import Try, live_through
from support.night_store import write_run
from support.results_store import write_store

from segnets.store.open import open_store

PAGES = {
    "Leaderboard": ".tabulator-row",
    "Samples": ".sg-viewer .iou",
    "Compare": ".gapline",
    "Dataset": ".sg-frequency rect",
    "Runs": ".lane",
    "Predictions": ".night",
}
ALLOWED = {
    # Tabulator's grid has a holder with a tabindex between grid and rows, and an empty last column:
    # github.com/tabulator-tables/tabulator/issues/4151 and 4555
    ("aria-required-children", "tabulator"),
    ("empty-table-header", "tabulator-col"),
}


@pytest.fixture(scope="module")
def app(serve, tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("axe") / "store"), write=True)
    made = write_store(store, samples=3)
    live_through(store, "m-1", Try(saves=[(1, 12)]), Try(end="stopped"))
    write_run(store, "pred-0a0b0c0d", [{"new": 3, "failed": [("city_0_1", "cut")]}, {"new": 2}])
    yield serve(store)
    for trial in made["live"]:
        trial.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_no_page_breaks_a_rule(app, tab, width, height, scheme):
    opened = tab(app, width, height, scheme)
    opened.open()
    found = {}
    for page, part in PAGES.items():
        opened.page.locator("nav .page").nth(list(PAGES).index(page)).click()
        opened.page.locator(part).first.wait_for()
        broken = Axe().run(opened.page, options={"resultTypes": ["violations"]})
        found[page] = [
            (rule["id"], node["html"])
            for rule in broken.response["violations"]
            for node in rule["nodes"]
            if not any(rule["id"] == one and word in node["html"] for one, word in ALLOWED)
        ]
    assert found == {page: [] for page in PAGES}

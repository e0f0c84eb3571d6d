import pytest
from support.results_store import dataset_stats, names, scene, write_store

from segnets.labels import CLASS_NAMES
from segnets.store.open import open_store

SAMPLES = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("app") / "store"), write=True)
    content = write_store(store, samples=SAMPLES)
    yield store, content
    for trial in content["live"]:
        trial.close()


@pytest.fixture(scope="module")
def app(serve, made):
    return serve(made[0])


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_dataset_asks_no_other_host_says_no_error_and_fits_the_screen(
    app, tab, width, height, scheme
):
    opened = tab(app, width, height, scheme)
    opened.open("?p=dataset")
    opened.see(".sg-frequency rect")
    opened.see(f".sg-{scheme} nav")
    opened.page.wait_for_selector(".sg-viewer .veil", state="hidden")
    assert not opened.has_sideways_scroll()
    assert opened.complaints() == {}


def test_the_page_says_what_the_tables_hold(app, tab):
    stats = dataset_stats(SAMPLES)
    opened = tab(app)
    opened.open("?p=dataset")
    opened.see(".sg-frequency rect")
    bars = sum(n > 0 for counts in stats["class_pixels"].values() for n in counts)
    bars += sum(n > 0 for n in stats["ignored_pixels"].values())
    assert opened.page.locator(".sg-frequency rect").count() == bars
    unlabelled = stats["ignored_pixels"]["train"]
    share = unlabelled / (unlabelled + sum(stats["class_pixels"]["train"]))
    opened.wait_for(f"{100 * share:.1f}%", ".sg-figures")
    opened.wait_for("Files have faults", ".sg-checks")
    opened.wait_for("aach_000009_000019_leftImg8bit.png", ".sg-rows .file")


@pytest.mark.slow
def test_a_sample_shows_its_truth_and_a_copied_link_shows_the_same(app, tab):
    name = names(SAMPLES)[2]
    opened = tab(app)
    opened.open("?p=dataset")
    opened.page.wait_for_selector(".sg-viewer .veil", state="hidden")
    opened.page.locator(".sg-viewer .row").nth(2).click()
    opened.wait_for(name, ".sg-viewer .name")
    opened.page.wait_for_function(f"location.search.includes('s=val/{name}')")
    second = tab(opened.page.url)
    second.open()
    second.wait_for(name, ".sg-viewer .name")
    second.page.wait_for_selector(".sg-viewer .veil", state="hidden")
    canvas = second.page.locator(".sg-viewer canvas.big")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = 20, 60
    second.page.mouse.move(
        box["x"] + (x + 0.5) * box["width"] / 224, box["y"] + (y + 0.5) * box["height"] / 112
    )
    second.wait_for(f"x {x}  y {y}", ".tip")
    said = second.page.locator(".tip").inner_text().replace("\n", "")
    assert f"truth {CLASS_NAMES[scene(2)[y, x]]}" in said
    assert second.complaints() == {}


@pytest.mark.slow
def test_a_dataset_that_is_not_there_is_one_sentence(app, tab):
    opened = tab(app)
    opened.open("?p=dataset&d=gone-1")
    opened.wait_for("Dataset gone-1 is not in this store", ".sg-notice")
    assert opened.complaints() == {}

import numpy as np
import pytest
from support.results_store import write_store

from segnets.labels import CLASS_NAMES
from segnets.store.open import open_store

SAMPLES = 16  # two sequences


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


def tables_of(made):
    """Rows by name of the two trials that are compared when nobody chose."""
    return [made[1]["evals"][made[1]["plan"][i][0]] for i in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "height", "scheme", "view"),
    [(1440, 900, "dark", "swipe"), (390, 844, "light", "side"), (1100, 900, "light", "difference")],
)
def test_compare_asks_no_other_host_says_no_error_and_fits_the_screen(
    app, tab, width, height, scheme, view
):
    opened = tab(app, width, height, scheme)
    opened.open(f"?p=compare&view={view}")
    opened.see(".gapline")
    opened.see(f".sg-{scheme} nav")
    opened.page.wait_for_selector(".sg-duel .veil", state="hidden")  # the picture stands
    assert not opened.has_sideways_scroll()
    assert opened.complaints() == {}


def test_the_verdict_and_the_classes_are_those_of_the_tables(app, made, tab):
    rows = [list(table.values()) for table in tables_of(made)]
    inter, union = (
        np.array([[row[name] for row in side] for side in rows]).sum(axis=1)
        for name in ("inter", "union")
    )
    with np.errstate(invalid="ignore"):
        iou = inter / union
    occurs = inter.sum(axis=0) > 0  # each class of these scenes is found somewhere
    gap = iou[0, occurs].mean() - iou[1, occurs].mean()
    opened = tab(app)
    opened.open("?p=compare")
    opened.wait_for(f"by {abs(gap):.3f} mIoU", ".lead")
    won = sum(a["miou"] > b["miou"] for a, b in zip(*rows, strict=True))
    opened.wait_for(f"{won} of {SAMPLES}", ".fact")
    shown = opened.see(".gapline").evaluate_all(
        "rows => rows.map(row => [row.children[1].textContent, row.children[3].textContent])"
    )
    found = {name: float(text.replace("\u2212", "-")) for name, text in shown}
    for name, value in found.items():
        index = CLASS_NAMES.index(name)
        assert value == pytest.approx(iou[0, index] - iou[1, index], abs=6e-4)
    assert set(found) >= {CLASS_NAMES[i] for i in np.flatnonzero(occurs)}


@pytest.mark.slow
def test_samples_come_with_the_biggest_gap_first_and_a_cell_opens_those_of_a_mistake(
    app, made, tab
):
    a, b = tables_of(made)
    ranked = sorted(a, key=lambda name: -abs(a[name]["miou"] - b[name]["miou"]))
    opened = tab(app)
    opened.open("?p=compare")
    opened.wait_for(ranked[0], ".sg-duel .name")
    wrong = max(
        (c["pixels"], c["truth"], c["predicted"], row["name"])
        for table in (a, b)
        for row in table.values()
        for c in row["confusions"]
    )
    opened.page.locator(f".cell[data-at='{wrong[1]}-{wrong[2]}']").click()
    opened.wait_for(f"{CLASS_NAMES[wrong[1]]} read as {CLASS_NAMES[wrong[2]]}", ".listed h2")
    opened.wait_for(wrong[3], ".sg-duel .name")
    assert f"e={wrong[1]}-{wrong[2]}" in opened.page.url
    opened.page.get_by_role("button", name="A in Samples").click()
    opened.page.wait_for_function("location.search.includes('p=samples')")
    opened.wait_for(wrong[3], ".sg-viewer .name")
    opened.page.go_back()
    opened.wait_for("Compare", "h1")
    assert opened.complaints() == {}


@pytest.mark.slow
def test_keys_walk_and_flip_and_a_copied_link_shows_the_same(app, tab):
    opened = tab(app)
    opened.open("?p=compare")
    opened.wait_for("1 / 16", ".sg-duel .walk")
    opened.page.keyboard.press("ArrowRight")
    opened.wait_for("2 / 16", ".sg-duel .walk")
    handle = opened.page.locator(".handle")
    opened.page.wait_for_selector(".sg-duel .veil", state="hidden")
    handle.focus()
    before = int(handle.get_attribute("aria-valuenow"))
    opened.page.keyboard.press("ArrowLeft")  # moves the handle, not the sample
    assert int(handle.get_attribute("aria-valuenow")) == before - 5
    opened.page.keyboard.press("f")
    opened.page.wait_for_function("location.search.includes('view=blink')")
    opened.page.get_by_role("button", name="swap A and B").click()
    opened.page.wait_for_function("location.search.includes('a=resnet_convlstm-b09ebb02-val')")
    opened.wait_for("B is", ".lead")
    name = opened.page.locator(".sg-duel .name").inner_text()
    second = tab(opened.page.url)
    second.open()
    second.wait_for(name, ".sg-duel .name")
    second.wait_for("2 / 16", ".sg-duel .walk")
    second.see(".seg button[aria-pressed=true] >> text=blink")
    verdicts = [one.page.locator(".lead b").inner_text() for one in (opened, second)]
    assert verdicts[0] == verdicts[1]
    assert opened.complaints() == {}


def test_the_first_two_ticked_rows_are_compared(app, made, tab):
    first, second = made[1]["plan"][2][0], made[1]["plan"][1][0]
    opened = tab(app)
    opened.open(f"?p=trials&sel={first},{second}")
    opened.see(".mark.on")
    opened.page.locator("nav .page").nth(2).click()
    opened.page.wait_for_function(f"location.search.includes('a={first}-val')", timeout=40_000)
    assert f"b={second}-val" in opened.page.url
    opened.wait_for(first[-8:-4], ".tag.a")
    opened.see(".gapline")
    assert opened.complaints() == {}


@pytest.mark.slow
def test_what_cannot_be_compared_is_one_sentence(app, tab):
    opened = tab(app)
    opened.open("?p=compare&a=gone-val-1")
    opened.wait_for("Evaluation gone-val-1 is not in this store", ".sg-notice")
    assert opened.complaints() == {}

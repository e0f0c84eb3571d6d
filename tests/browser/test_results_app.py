import contextlib

import pytest
from support.panel import panel_serve
from support.results_store import LiveTrial, scene, write_store
from support.servers import free_port, rclone_server

from segnets.labels import CLASS_NAMES
from segnets.store.history import read_head
from segnets.store.open import open_store

SAMPLES = 8
CHOOSE_LAYER = """(name) => {
    const within = (root) => [...root.querySelectorAll("*")].flatMap(
        (node) => [node, ...(node.shadowRoot ? within(node.shadowRoot) : [])]);
    within(document).find((node) => node.matches(".controls .seg button")
        && node.textContent === name).click();
}"""
"""Draws the controls anew, as a sample that arrives does."""
FOCUSED = """() => {
    let one = document.activeElement;
    while (one.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    return one.getAttribute("aria-label") ?? "";
}"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder store with a trial that is being trained."""
    folder = tmp_path_factory.mktemp("app")
    store = open_store(str(folder / "store"), write=True)
    content = write_store(store, samples=SAMPLES)
    yield store, content
    for trial in content["live"]:
        trial.close()


@pytest.fixture(scope="module")
def app(serve, made):
    return serve(made[0])


@pytest.mark.parametrize(
    ("page", "width", "height", "scheme"),
    [
        ("trials", 1440, 900, "light"),
        ("trials", 390, 844, "dark"),
        ("samples", 1440, 900, "dark"),
        ("samples", 390, 844, "light"),
    ],
)
def test_a_page_asks_no_other_host_says_no_error_and_fits_the_screen(
    app, tab, page, width, height, scheme
):
    opened = tab(app, width, height, scheme)
    opened.open(f"?p={page}")
    opened.see(".tabulator-row" if page == "trials" else ".iou")
    opened.see(f".sg-{scheme} nav")  # the theme of the system, until somebody chooses
    assert not opened.has_sideways_scroll()
    assert opened.complaints() == {}


def test_a_row_is_ticked_by_the_keyboard_and_the_copied_link_names_what_the_page_chose(app, tab):
    opened = tab(app)
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.open()
    opened.see(".tabulator-row")
    box = opened.page.get_by_role("checkbox", checked=False).first
    box.focus()
    opened.page.keyboard.press("Space")
    opened.page.wait_for_function("location.search.includes('sel=')")
    assert opened.page.locator(".tabulator-row .mark.on").count() > 1
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate(FOCUSED).startswith("tick ")  # and no cell between
    opened.page.locator("nav .page").nth(1).press("Enter")
    opened.see(".sg-viewer .iou")
    assert "m=" not in opened.page.url
    opened.page.get_by_role("button", name="Copy link").click()
    opened.page.get_by_text("Copied").wait_for()
    link = opened.page.evaluate("navigator.clipboard.readText()")
    assert "?p=samples&m=" in link
    opened.page.locator(".classes button").nth(2).click()
    opened.page.wait_for_function("location.search.includes('hide=2')")
    second = tab(opened.page.url)
    second.open()
    second.see(".sg-viewer .iou")
    assert second.page.locator(".classes [aria-pressed=false]").count() == 1
    assert opened.complaints() == {}


def test_a_new_epoch_is_on_the_page_within_ten_seconds_and_keeps_ticks_and_sort(app, made, tab):
    live = made[1]["live"][0]
    opened = tab(app)
    opened.open(f"?p=trials&sort=clips_s&sel={live.trial}")
    opened.wait_for(f"{live.done} / 12", ".state")
    before = opened.page.evaluate("performance.timeOrigin")
    live.epoch()
    opened.wait_for(f"{live.done} / 12", ".state", timeout_s=10)
    assert opened.page.evaluate("performance.timeOrigin") == before  # not loaded again
    assert opened.page.locator(".tabulator-row .mark.on").count() == 1
    sorted_by = opened.page.locator(".tabulator-col[aria-sort=ascending]").last.inner_text()
    assert sorted_by.startswith("clips/s")
    assert f"sel={live.trial}" in opened.page.url
    assert opened.complaints() == {}


def test_ticking_rows_is_in_the_address_and_a_copied_link_shows_the_same(app, made, tab):
    opened = tab(app)
    opened.open("?p=trials&sel=")
    opened.see(".tabulator-row")
    assert opened.page.locator(".mark.on").count() == 0
    opened.page.locator(".tabulator-row").nth(1).click()
    opened.page.wait_for_function("location.search.includes('sel=resnet')")
    opened.see(".sg-heat .cell")
    second = tab(opened.page.url)
    second.open()
    second.see(".mark.on")
    opened.see(".mark.on")
    marks = "e => e.map(row => row.querySelector('.mark').classList.contains('on'))"
    rows = [t.page.locator(".tabulator-row").evaluate_all(marks) for t in (opened, second)]
    assert rows[0] == rows[1]
    assert sum(rows[0]) == 1


def test_a_stretch_of_an_axis_chooses_rows_by_pointer_by_keys_and_by_link(app, tab):
    opened = tab(app)
    opened.open("?p=trials")
    rows = opened.page.locator(".tabulator-row")
    opened.see(".sg-axes svg")
    assert rows.count() == 7
    axis = opened.page.locator(".sg-axes .axis").last.bounding_box()  # val mIoU
    opened.page.mouse.move(axis["x"], axis["y"] + axis["height"] - 1)
    opened.page.mouse.down()
    opened.page.mouse.move(axis["x"], axis["y"] + axis["height"] * 0.8, steps=4)
    opened.page.mouse.up()
    opened.page.wait_for_function("location.search.includes('in=_miou.')")
    opened.wait_for("1 of 7", ".note")
    assert rows.count() == 1
    again = tab(opened.page.url)
    again.open()
    again.wait_for("1 of 7", ".note")
    again.see(".sg-axes .brush")
    opened.page.get_by_role("button", name="free the chosen ranges").click()
    opened.wait_for("7 · click", ".note")
    opened.page.get_by_role("slider", name="val mIoU").focus()
    for _ in range(16):
        opened.page.keyboard.press("Shift+ArrowDown")
    opened.wait_for("1 of 7", ".note")
    opened.page.keyboard.press("Escape")
    opened.wait_for("7 · click", ".note")
    assert opened.complaints() == {}


def test_a_link_that_sorts_by_a_setting_does_so_and_a_number_that_is_absent_is_a_dash(
    app, made, tab
):
    opened = tab(app)
    opened.open("?p=trials&sort=-s_lr&sel=")
    opened.see(".tabulator-row")
    cells = opened.page.locator(".tabulator-row [tabulator-field=s_lr]")
    rates = [row[5]["lr"] for row in made[1]["plan"]] + [0.01]
    assert [float(text) for text in cells.all_inner_texts()] == sorted(rates, reverse=True)
    opened.page.locator(".tabulator-col[tabulator-field=s_batch_size]").click()
    opened.page.wait_for_function("location.search.includes('sort=s_batch_size')")
    with contextlib.closing(
        LiveTrial(made[0], "resnet_convlstm-0000dddd", "d", epochs=3, best=0.1, settings={})
    ) as other:
        other.epoch()
        dash = opened.page.locator(".tabulator-row [tabulator-field=s_lr]", has_text="\N{EN DASH}")
        dash.wait_for()
        sizes = opened.page.locator(".tabulator-row [tabulator-field=s_batch_size]")
        assert sizes.all_inner_texts() == ["2"] * 4 + ["4"] * 3 + ["\N{EN DASH}"]
        made[0].delete([item.key for item in made[0].list("view/trial/resnet_convlstm-0000dddd")])
    opened.page.wait_for_function("location.search.includes('sort=s_batch_size')")
    assert opened.complaints() == {}


def test_back_and_forward_go_through_the_pages(app, tab):
    opened = tab(app)
    opened.open("?p=trials")
    opened.see(".tabulator-row")
    opened.page.locator("nav .page").nth(1).click()
    opened.see(".iou")
    assert "p=samples" in opened.page.url
    opened.page.go_back()
    opened.wait_for("Leaderboard", "h1")
    assert "p=trials" in opened.page.url
    opened.page.go_forward()
    opened.wait_for("Samples", "h1")


def test_samples_come_worst_first_with_the_scores_of_the_table(app, made, tab):
    best = made[1]["plan"][0][0]
    table = made[1]["evals"][best]
    worst = min(table.values(), key=lambda row: row["miou"])
    opened = tab(app)
    opened.open("?p=samples")
    opened.see(".iou")
    assert opened.page.locator(".stage .name").inner_text() == worst["name"]
    assert opened.page.locator(".stage .large").first.inner_text() == f"{worst['miou']:.3f}"
    pairs = zip(CLASS_NAMES, worst["inter"], worst["union"], strict=True)
    expected = sorted((inter / union, name) for name, inter, union in pairs if union)
    shown = opened.page.locator(".iou").evaluate_all(
        "rows => rows.map(row => [row.children[3].textContent, row.children[1].textContent])"
    )
    assert [float(row[0]) for row in shown] == pytest.approx([v for v, _ in expected], abs=0.0051)
    assert {row[1] for row in shown} == {name for _, name in expected}


def test_a_sample_comes_with_its_past_by_step_by_jump_and_from_the_list(app, tab):
    opened = tab(app)
    opened.open("?p=samples")
    shots, name = ".strip .shot canvas", ".stage .name"
    opened.page.locator(".list .row canvas").nth(
        4
    ).wait_for()  # the list holds these without a past
    seen = set()
    for key in ("ArrowRight", "ArrowRight", "End", "Home"):
        before = opened.page.locator(name).inner_text()
        opened.page.keyboard.press(key)
        opened.page.locator(name).filter(has_not_text=before).wait_for()
        opened.page.locator(shots).nth(3).wait_for()
        frames = opened.page.locator(shots).evaluate_all("all => all.map(one => one.toDataURL())")
        assert len(frames) == len(set(frames)) == 4
        seen.update(frames)
    assert len(seen) == 4 * 4
    assert opened.complaints() == {}


def test_the_opacity_slider_is_dragged_and_moved_by_keys_without_losing_hold(app, tab):
    opened = tab(app)
    opened.open("?p=samples")
    opened.page.locator(".list .row canvas").nth(4).wait_for()
    opened.page.wait_for_selector(".sg-viewer .veil", state="hidden")
    opened.page.locator(".strip .shot canvas").nth(3).wait_for()
    slider = opened.page.get_by_role("slider", name="opacity")
    box = slider.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.page.mouse.down()
    for share in (0.6, 0.7, 0.8):
        opened.page.evaluate(CHOOSE_LAYER, "truth" if share == 0.7 else "errors")
        opened.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
    opened.page.mouse.up()
    value = int(slider.input_value())
    assert 75 <= value <= 90  # the thumb takes a part of the way
    name = opened.page.locator(".stage .name").inner_text()
    opened.page.keyboard.press("ArrowRight")
    assert int(slider.input_value()) == value + 1
    assert opened.page.locator(".stage .name").inner_text() == name
    opened.page.wait_for_function(f"location.search.includes('o={value + 1}')")


def test_the_pixel_under_the_cursor_and_the_keys_say_what_the_store_holds(app, tab):
    name = "aach_000000_000021"
    opened = tab(app)
    opened.open(f"?p=samples&s=val/{name}")
    opened.wait_for(name, ".name")
    opened.see(".iou")
    box = opened.page.locator("canvas.big").bounding_box()
    truth = scene(2)
    for x, y in ((112, 100), (20, 60), (200, 8)):
        opened.page.mouse.move(
            box["x"] + (x + 0.5) * box["width"] / 224, box["y"] + (y + 0.5) * box["height"] / 112
        )
        opened.wait_for(f"x {x}  y {y}", ".tip")
        assert f"truth {CLASS_NAMES[truth[y, x]]}" in opened.page.locator(
            ".tip"
        ).inner_text().replace("\n", "")
    opened.page.keyboard.press("4")
    opened.page.wait_for_function("location.search.includes('layer=errors')")
    opened.page.keyboard.press("ArrowRight")
    opened.page.wait_for_function(f"!location.search.includes('{name}')")
    assert opened.complaints() == {}


@pytest.mark.s3
def test_a_store_that_is_away_or_empty_says_so_and_fills_by_itself(
    browser, tab, tmp_path, monkeypatch
):
    port = free_port()
    with rclone_server(tmp_path, port=port) as server:
        environment, url = server.env, f"s3://{server.bucket}/results"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with panel_serve(tmp_path / "log", SEGNETS_STORE=url) as address:
        opened = tab(address, 390, 844)
        opened.open("?p=samples")
        opened.wait_for("This page comes back by itself", ".sg-notice")
        assert str(port) in opened.page.locator(".sg-notice.warn").inner_text()
        with rclone_server(tmp_path, port=port):
            opened.wait_for("python flows/evaluate.py --trial best --store s3://", ".sg-notice")
            opened.page.locator("nav .page").first.click()
            opened.wait_for("This store holds no trial", ".sg-notice")
            store = open_store(url, write=True)
            trial = LiveTrial(
                store, "resnet_convlstm-0000abcd", "d", epochs=3, best=0.5, settings={"lr": 0.1}
            )
            trial.epoch()
            opened.wait_for("resnet_convlstm", ".who", timeout_s=20)
            trial.close()
        assert not opened.has_sideways_scroll()
        assert opened.complaints() == {}


@pytest.mark.s3
def test_a_picture_that_the_store_could_not_give_comes_when_it_is_back(tab, tmp_path, monkeypatch):
    port = free_port()
    with contextlib.ExitStack() as closing:
        first = contextlib.ExitStack()
        server = first.enter_context(rclone_server(tmp_path, port=port))
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        store = open_store(f"s3://{server.bucket}/results", write=True)
        for trial in write_store(store, samples=20)["live"]:
            trial.close()
        opened = tab(closing.enter_context(panel_serve(tmp_path / "log", SEGNETS_STORE=store.url)))
        opened.open("?p=samples")
        opened.see(".iou")
        first.close()  # the server is gone, and the last sample was never asked for
        opened.page.keyboard.press("End")
        opened.wait_for("the store does not answer", ".veil")
        closing.enter_context(rclone_server(tmp_path, port=port))
        opened.see(".iou")
        assert opened.complaints() == {}


def test_a_curve_that_cannot_be_read_is_said_where_it_would_stand(app, made, tab):
    store, content = made
    trial = content["plan"][-1][0]  # stopped, and not among the best: nobody has read it
    [table] = [ref for ref in read_head(store, trial).files if ref.name == "epochs.parquet"]
    file = store.local_path(table.key)
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    try:
        opened = tab(app)
        opened.open(f"?p=trials&sel={trial}")
        opened.wait_for(trial, ".note")
        assert table.key in opened.page.locator(".note", has_text=trial).last.inner_text()
        assert opened.complaints() == {}
    finally:
        file.write_bytes(whole)

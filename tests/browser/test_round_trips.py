"""What somebody does while answers of the server are on their way, and what stays over many acts."""

import pytest
from support.results_store import Words, write_eval, write_store

from segnets.store.bag import read_done
from segnets.store.open import open_store

SAMPLES = 8
DATASET = "streets-112x224-4f-1c2d3e4f"
REMEMBER = """(selector) => {
    const rootOf = (root) => root.querySelector(selector) ? root
        : [...root.querySelectorAll("*")].filter((one) => one.shadowRoot)
            .map((one) => rootOf(one.shadowRoot)).find(Boolean);
    const root = rootOf(document);
    window.seen = [];
    const look = () => {
        const text = root.querySelector(selector).textContent;
        if (text !== window.seen.at(-1)) window.seen.push(text);
    };
    look();
    new MutationObserver(look).observe(root, {subtree: true, childList: true, characterData: true});
}"""
"""Keeps in window.seen whatever the node has said since."""
PAINTED = """
    const painted = new Set(), put = CanvasRenderingContext2D.prototype.putImageData;
    CanvasRenderingContext2D.prototype.putImageData = function (...all) {
        painted.add(this.canvas);
        return put.apply(this, all);
    };
    window.masks = () => [...painted].filter((canvas) => canvas.width).length;
"""
"""Counts the masks that still have their pixels."""
FOCUSED = """() => {
    let one = document.activeElement;
    while (one.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    return one.textContent;
}"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("app") / "store"), write=True)
    content = write_store(store, samples=SAMPLES)
    yield store
    for trial in content["live"]:
        trial.close()


@pytest.fixture(scope="module")
def app(serve, made):
    return serve(made)


@pytest.mark.parametrize(
    ("page", "place"), [("samples", ".side .head .num"), ("compare", ".sg-duel .walk .num")]
)
def test_steps_are_not_taken_back_by_the_answers_to_those_before(app, tab, page, place):
    opened = tab(app)
    opened.slow_down()
    opened.open(f"?p={page}")
    opened.wait_for(f"1 / {SAMPLES}", place)
    opened.page.wait_for_selector(".veil", state="hidden")
    opened.page.evaluate(REMEMBER, place)
    opened.hold()
    for number in (2, 3, 4):
        opened.page.keyboard.press("ArrowRight")
        opened.wait_for(f"{number} / {SAMPLES}", place)
    name = opened.page.locator(".stage .name").inner_text()
    opened.page.wait_for_timeout(1000)  # the server has answered; nothing has arrived
    opened.let_go()
    opened.page.wait_for_function(f"location.search.includes('s=val/{name}')")
    opened.page.wait_for_timeout(500)
    seen = opened.page.evaluate("window.seen")
    assert seen == [f"{number} / {SAMPLES}" for number in (1, 2, 3, 4)]
    assert opened.complaints() == {}


@pytest.mark.parametrize(("page", "view"), [("samples", "m={}"), ("compare", "a={}")])
def test_a_picture_that_could_not_be_read_comes_by_itself_in_a_quiet_store(
    app, made, tab, tmp_path, page, view
):
    trial = f"resnet_convlstm-{page}"
    write_eval(made, trial, DATASET, SAMPLES, 1.0, Words())
    evaluation = f"{trial}-val-0a1b2c3d"
    done = read_done(made, "eval", evaluation)
    [pack] = [ref for one in done.items.values() for ref in one.files if ref.name == "layers.pack"]
    file = made.local_path(pack.key)
    opened = tab(app, 390, 844)  # without its list, a page loads no more than the neighbours
    opened.open(f"?p={page}&{view.format(evaluation)}")
    opened.see("canvas.big")
    hidden = file.rename(tmp_path / "away")
    for _ in range(5):
        opened.page.keyboard.press("ArrowRight")
    opened.wait_for(pack.key, ".veil")
    opened.page.wait_for_timeout(2000)  # whatever asks again at once has asked
    hidden.rename(file)
    opened.page.wait_for_selector(".veil", state="hidden", timeout=20_000)
    assert opened.complaints() == {}


def test_a_sample_chosen_on_another_page_is_shown_back_on_this_one(app, tab):
    opened = tab(app)
    opened.open("?p=samples")
    opened.wait_for(f"1 / {SAMPLES}", ".side .head .num")
    for _ in range(3):
        opened.page.keyboard.press("ArrowRight")
    opened.wait_for(f"4 / {SAMPLES}", ".side .head .num")
    name = opened.page.locator(".sg-viewer .name").inner_text()
    opened.page.locator("nav .page").nth(2).click()
    opened.wait_for(name, ".sg-duel .name")
    opened.page.keyboard.press("ArrowRight")
    opened.page.locator(".sg-duel .name").filter(has_not_text=name).wait_for()
    other = opened.page.locator(".sg-duel .name").inner_text()
    opened.page.wait_for_function(f"location.search.includes('s=val/{other}')")
    opened.page.locator("nav .page").nth(1).click()
    opened.wait_for(other, ".sg-viewer .name")
    opened.page.keyboard.press("ArrowLeft")
    opened.page.locator(".sg-viewer .name").filter(has_not_text=other).wait_for()
    opened.page.go_back()
    opened.wait_for(other, ".sg-duel .name")
    opened.page.go_back()  # this page was left with the first sample that was chosen on it
    opened.wait_for(name, ".sg-viewer .name")
    assert opened.complaints() == {}


def test_back_twice_within_a_round_trip_leaves_the_history_whole(app, tab):
    opened = tab(app)
    opened.slow_down()
    opened.open("?p=trials")
    opened.wait_for("Leaderboard", "h1")
    for number, title in ((1, "Samples"), (3, "Dataset"), (4, "Runs")):
        opened.page.locator("nav .page").nth(number).click()
        opened.wait_for(title, "h1")
    opened.page.wait_for_function("location.search.includes('p=runs')")
    entries = opened.page.evaluate("history.length")
    opened.hold()
    for page in ("dataset", "samples"):
        opened.page.evaluate("history.back()")
        opened.page.wait_for_function(f"location.search.includes('p={page}')")
    opened.page.wait_for_timeout(1000)  # both answers are on their way
    opened.let_go()
    opened.wait_for("Samples", "h1")
    opened.page.wait_for_function("location.search.includes('p=samples')")
    assert opened.page.evaluate("history.length") == entries
    for page in ("dataset", "runs"):
        opened.page.evaluate("history.forward()")
        opened.page.wait_for_function(f"location.search.includes('p={page}')")
    opened.wait_for("Runs", "h1")


def test_a_control_that_is_drawn_anew_keeps_the_focus(app, tab):
    opened = tab(app)
    opened.open("?p=samples")
    opened.page.locator(".strip .shot canvas").nth(3).wait_for()
    keyboard = opened.page.keyboard
    opened.page.locator(".controls .play").first.focus()
    for word in ("stop", "play"):
        keyboard.press("Enter")
        opened.wait_for(word, ".controls .play")
        assert opened.page.evaluate(FOCUSED) == word
    hidden = opened.page.locator(".classes [aria-pressed=false]")
    opened.page.locator(".classes button").nth(2).focus()
    for count in (1, 0):
        keyboard.press("Space")
        opened.page.wait_for_function(
            f"{str(not count).lower()} === !location.search.includes('hide=')"
        )
        assert hidden.count() == count
    opened.page.locator(".sg-bar .seg button").nth(0).focus()
    keyboard.press("Tab")
    keyboard.press("Enter")
    opened.page.wait_for_function("location.search.includes('order=best')")
    assert opened.page.evaluate(FOCUSED) == "best"
    assert opened.complaints() == {}


def test_space_hides_the_mask_after_a_click_of_the_mouse_on_a_layer(app, tab):
    opened = tab(app)
    opened.open("?p=samples")
    opened.page.wait_for_selector(".sg-viewer .veil", state="hidden")
    errors = opened.page.locator(".controls .seg button").filter(has_text="errors")
    errors.click()
    picture = opened.page.locator("canvas.big")
    masked = picture.evaluate("node => node.toDataURL()")
    opened.page.keyboard.down("Space")
    assert picture.evaluate("node => node.toDataURL()") != masked
    opened.page.keyboard.up("Space")
    assert picture.evaluate("node => node.toDataURL()") == masked


def test_samples_that_were_left_keep_no_mask_in_memory(app, tab):
    opened = tab(app)
    opened.page.add_init_script(PAINTED)
    opened.open("?p=samples")
    for number in range(1, SAMPLES + 1):
        opened.wait_for(f"{number} / {SAMPLES}", ".side .head .num")
        opened.page.locator(".layers canvas").nth(3).wait_for()
        opened.page.locator(".strip .shot canvas").nth(3).wait_for()
        opened.page.keyboard.press("ArrowRight")
    assert opened.page.evaluate("window.masks()") <= 4 + 4  # of this one; of its neighbours
    assert opened.complaints() == {}

import pytest
from support.life_store import Try, live_through
from support.night_store import write_run
from support.results_store import write_store

from segnets.store.history import read_history
from segnets.store.open import open_store

DIED = "resnet_convlstm-0dead001"
RUN = "pred-0a0b0c0d"
BAD = ("aach_000009_000019", "the file is truncated: /data/frames/aach_000009_000019.png")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Trials in every state, one that was killed, stopped and finished, and a run of three nights."""
    store = open_store(str(tmp_path_factory.mktemp("app") / "store"), write=True)
    made = write_store(store, samples=2)
    live_through(
        store,
        DIED,
        Try(saves=[(1, 12), (2, 24)]),
        Try(resumed=(2, 24), saves=[(3, 36)], end="stopped"),
        Try(resumed=(3, 36), saves=[(4, 48)], end="done"),
    )
    write_run(store, RUN, [{"new": 3}, {"new": 4, "failed": [BAD]}, {}])
    yield store
    for trial in made["live"]:
        trial.close()


@pytest.fixture(scope="module")
def app(serve, store):
    return serve(store)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "dark"), (390, 844, "light")])
def test_runs_say_that_nothing_was_lost_and_fit_the_screen(app, tab, width, height, scheme):
    opened = tab(app, width, height, scheme)
    opened.open("?p=runs")
    opened.wait_for("resumed from epoch 3", ".lane")
    opened.wait_for("finished and saved", ".figure")
    assert opened.page.locator(".figure b").first.inner_text() == "0"
    opened.see(f".sg-{scheme} nav")
    assert not opened.has_sideways_scroll()
    assert opened.complaints() == {}


@pytest.mark.slow
def test_a_lane_opens_its_log_by_the_keyboard_and_the_link_shows_the_same(app, store, tab):
    opened = tab(app)
    opened.open("?p=runs")
    lane = opened.page.locator(f".lane[title={DIED}]")
    lane.focus()
    opened.page.keyboard.press("ArrowUp")
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_function(f"location.search.includes('t={DIED}')")
    second = tab(opened.page.url)
    second.open()
    for one in (opened, second):
        one.wait_for("attempt 1 fell silent", ".story")
        one.wait_for("✓ sealed", ".entries")
        slots = one.page.locator(".entries td:first-child").all_inner_texts()
        assert slots == [str(entry.seq) for entry in reversed(read_history(store, DIED))]
        one.wait_for("python flows/train.py", ".next code")
    assert opened.complaints() == second.complaints() == {}


@pytest.mark.slow
def test_a_trial_that_is_not_there_is_said_and_the_others_stay(app, tab):
    opened = tab(app)
    opened.open("?p=runs&t=nobody-1&w=2h")
    opened.wait_for("Trial nobody-1 is not in this store.", ".entries")
    opened.see(".lane")


@pytest.mark.slow
def test_a_status_that_no_trial_has_is_left_by_the_same_control(serve, tab, tmp_path):
    store = open_store(str(tmp_path / "store"), write=True)
    live_through(store, DIED, Try(saves=[(1, 12)], end="done"))
    opened = tab(serve(store))
    opened.open("?p=runs&status=failed")
    opened.wait_for("No trial is failed now. Choose another status above.", ".sg-notice")
    assert opened.page.locator(".lane:visible, .figure:visible, .entries:visible").count() == 0
    opened.page.get_by_role("button", name="done", exact=True).click()
    opened.see(".lane")
    opened.wait_for("done", ".story")
    opened.page.wait_for_selector(".sg-notice", state="hidden")
    assert opened.complaints() == {}


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_a_night_shows_its_counts_bad_frames_and_masks(app, tab, width, height, scheme):
    opened = tab(app, width, height, scheme)
    opened.open("?p=pred&n=night-20251121t020000z")
    opened.see("canvas.big")
    opened.wait_for("road", ".iou")
    assert opened.page.locator(".figure b").all_inner_texts()[:2] == ["4", "1"]
    opened.wait_for(BAD[0], ".failed li")
    opened.wait_for(BAD[1], ".failed li")
    assert opened.page.locator(".night").count() == 3
    opened.see(f".sg-{scheme} nav")
    assert not opened.has_sideways_scroll()
    assert opened.complaints() == {}


@pytest.mark.slow
def test_a_night_is_chosen_by_the_keyboard_and_the_link_shows_the_same_frame(app, tab):
    opened = tab(app)
    opened.open("?p=pred")
    opened.wait_for("No mask is new this night", ".sg-notice")
    opened.page.wait_for_selector("canvas.big", state="hidden")
    opened.page.locator(".night").last.focus()
    opened.page.keyboard.press("ArrowLeft")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_function("location.search.includes('n=night-20251121t020000z')")
    opened.see("canvas.big")
    opened.page.locator("h1").first.click()  # the focus leaves the bars: arrows move the frames
    opened.page.keyboard.press("ArrowRight")
    opened.page.wait_for_function("location.search.includes('f=val/aach')")
    second = tab(opened.page.url)
    second.open()
    names = []
    for one in (opened, second):
        one.wait_for("road", ".iou")
        names.append(one.page.locator(".stage .name").inner_text())
    assert names[0] == names[1]
    assert f"f=val/{names[0]}" in second.page.url
    assert opened.complaints() == second.complaints() == {}


@pytest.mark.slow
def test_the_layer_of_another_page_is_none_of_a_mask(app, tab):
    opened = tab(app)
    opened.open("?p=pred&n=night-20251121t020000z&layer=errors")
    opened.see("canvas.big")
    assert opened.page.locator(".seg [aria-pressed=true]", has_text="prediction").count() == 1
    assert opened.complaints() == {}


@pytest.mark.slow
def test_a_run_that_is_not_there_is_said(app, tab):
    opened = tab(app)
    opened.open("?p=pred&r=pred-nobody")
    opened.wait_for("Run pred-nobody is not in this store; choose another above.", ".sg-notice")

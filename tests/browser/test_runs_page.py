import pytest
from support.life_store import Try, live_through
from support.panel import own_log, panel_serve
from support.results_store import HOSTILE, Words, write_store

from segnets.store.history import read_history
from segnets.store.open import open_store

DIED = "resnet_convlstm-0dead001"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Trials in every state, and one that was killed, stopped and finished."""
    store = open_store(str(tmp_path_factory.mktemp("app") / "store"), write=True)
    made = write_store(store, samples=2)
    live_through(
        store,
        DIED,
        Try(saves=[(1, 12), (2, 24)]),
        Try(resumed=(2, 24), saves=[(3, 36)], end="stopped"),
        Try(resumed=(3, 36), saves=[(4, 48)], end="done"),
    )
    yield store
    for trial in made["live"]:
        trial.close()


@pytest.fixture(scope="module")
def app(browser, store, tmp_path_factory):
    log = tmp_path_factory.mktemp("serve") / "panel.log"
    with panel_serve(log, SEGNETS_STORE=store.url) as address:
        yield address
    assert "Traceback (most recent call last)" not in own_log(log)


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "dark"), (390, 844, "light")])
def test_runs_say_that_nothing_was_lost_and_fit_the_screen(app, tab, width, height, scheme):
    opened = tab(app, width, height, scheme)
    opened.open("?p=runs")
    opened.wait_for("resumed from epoch 3", ".lane")
    opened.wait_for("finished and saved", ".figure")
    assert opened.page.locator(".figure b").first.inner_text() == "0"
    opened.see(f".mui-{scheme} nav")
    assert not opened.has_sideways_scroll()
    assert opened.complaints() == {}


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


def test_a_trial_that_is_not_there_is_said_and_the_others_stay(app, tab):
    opened = tab(app)
    opened.open("?p=runs&t=nobody-1&w=2h")
    opened.wait_for("Trial nobody-1 is not in this store.", ".entries")
    opened.see(".lane")


def test_hostile_names_and_sentences_run_nothing(browser, tab, tmp_path):
    words = Words(**dict.fromkeys(("city", "model", "error", "dataset_name", "setting"), HOSTILE))
    store = open_store(str(tmp_path / "store"), write=True)
    made = write_store(store, samples=1, words=words)
    failure = {"reason": HOSTILE, "sentence": HOSTILE}
    notes = [("skipped", HOSTILE), ("resumed", HOSTILE)]
    live_through(
        store, "m-1", Try(saves=[(1, 12)], notes=notes), Try(end="failed", failure=failure)
    )
    try:
        with panel_serve(tmp_path / "log", SEGNETS_STORE=store.url) as address:
            opened = tab(address)
            opened.open(f"?p=runs&t={HOSTILE}&grid={HOSTILE}&w={HOSTILE}")
            opened.wait_for(HOSTILE, ".who")  # it is there, as text
            opened.page.locator(".lane[title=m-1]").click()
            opened.wait_for(f"failed: {HOSTILE}", ".story")
            opened.wait_for(f"skipped {HOSTILE}", ".story")
            assert opened.complaints() == {}
            assert opened.page.locator("img[src=x]").count() == 0
    finally:
        for trial in made["live"]:
            trial.close()

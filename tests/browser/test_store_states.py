"""Every page on a store that is away, slow, torn, half gone, empty or foreign: a sentence, no traceback."""

import contextlib
import shutil

import pytest
from browser.test_accessibility import PAGES
from support.night_store import write_run
from support.panel import own_log, panel_serve
from support.proxy import FaultProxy
from support.results_store import write_store
from support.servers import rclone_server

from segnets.store.open import open_store

KEYS = dict(zip(("trials", "samples", "compare", "dataset", "runs", "pred"), PAGES, strict=True))
NIGHTS = [{"new": 3, "share_distance": 0.12}, {"new": 2, "share_distance": 0.12}]
COMES_BACK = "This page comes back by itself"
VERIFY = "python -m segnets.store verify"


def fill(url: str) -> None:
    store = open_store(url, write=True)
    content = write_store(store, samples=6)
    write_run(store, "pred-0a0b0c0d", NIGHTS, dataset=content["dataset"])
    for trial in content["live"]:
        trial.close()


def see_all(tab, address: str, timeout_s: float = 30.0) -> None:
    """Every page, in a tab of its own, comes to its part without a complaint."""
    for key, name in KEYS.items():
        opened = tab(address)
        opened.open(f"?p={key}")
        opened.see(PAGES[name], timeout_s=timeout_s)
        assert opened.complaints() == {}, key


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store in a folder, to be copied."""
    folder = tmp_path_factory.mktemp("states") / "filled"
    fill(str(folder))
    return folder


@pytest.fixture
def s3(tmp_path, monkeypatch, browser):
    """(proxy in front of an S3 server, URL of a filled store that is reached through it)."""
    with rclone_server(tmp_path) as server, FaultProxy(server.env["AWS_ENDPOINT_URL"]) as proxy:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        fill(f"s3://{server.bucket}/results")
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy, f"s3://{server.bucket}/results"


@contextlib.contextmanager
def serving(tmp_path, url: str):
    """The app; no traceback in its log."""
    log = tmp_path / "panel.log"
    with panel_serve(log, SEGNETS_STORE=url) as address:
        yield address
    assert "Traceback (most recent call last)" not in own_log(log)


@pytest.mark.slow
@pytest.mark.s3
def test_away_from_the_start_and_in_the_middle_each_page_says_so_and_comes_back(s3, tab, tmp_path):
    proxy, url = s3
    proxy.refuse()
    with serving(tmp_path, url) as address:
        tabs = {key: tab(address) for key in KEYS}
        for key, opened in tabs.items():
            opened.open(f"?p={key}")
            opened.wait_for(COMES_BACK, ".sg-notice.warn")
        proxy.accept()
        for key, opened in tabs.items():
            opened.see(PAGES[KEYS[key]], timeout_s=60)
        proxy.refuse()
        for key, opened in tabs.items():
            opened.wait_for(COMES_BACK, ".sg-notice.warn", timeout_s=60)
            assert opened.page.locator(PAGES[KEYS[key]]).first.is_visible(), (
                key
            )  # what was read stays
        proxy.accept()
        for key, opened in tabs.items():
            opened.page.locator(".sg-notice.warn", has_text=COMES_BACK).wait_for(state="hidden")
            assert opened.complaints() == {}, key


@pytest.mark.slow
@pytest.mark.s3
def test_with_two_seconds_a_request_every_page_comes(s3, tab, tmp_path):
    proxy, url = s3
    with (
        proxy.fault("delayed", seconds=2.0, times=None) as slow,
        serving(tmp_path, url) as address,
    ):
        see_all(tab, address, timeout_s=90)
        assert slow.hits > 10


@pytest.mark.slow
@pytest.mark.parametrize("what", ["empty", "foreign"])
def test_without_a_result_each_page_says_how_to_make_one(tab, browser, tmp_path, what):
    folder = tmp_path / what
    folder.mkdir()
    if what == "foreign":
        for place in ("README.txt", "log/trial/x/notes.json", "view/trial/what.json", "obj/a.png"):
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    with serving(tmp_path, str(folder)) as address:
        for key in KEYS:
            opened = tab(address)
            opened.open(f"?p={key}")
            opened.wait_for("python flows/", ".sg-notice")
            assert opened.complaints() == {}, key


@pytest.mark.slow
@pytest.mark.parametrize("part", ["view", "log", "obj"])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_of_a_damaged_store_each_page_shows_what_is_whole_and_names_what_looks_into_it(
    tab, filled, tmp_path, part, harm
):
    folder = tmp_path / "store"
    shutil.copytree(filled, folder)
    for number, path in enumerate(sorted((folder / part).rglob("*"))):
        if path.is_file() and (harm == "cut" or number % 2):
            whole = path.read_bytes()
            path.unlink()
            if harm == "cut":
                path.write_bytes(whole[: len(whole) // 2])
    with serving(tmp_path, str(folder)) as address:
        for key, name in KEYS.items():
            opened = tab(address)
            opened.open(f"?p={key}")
            opened.see(f"{PAGES[name]}, .sg-notice")
            if (part, harm) == ("view", "cut"):
                opened.wait_for(VERIFY, ".sg-notice.warn")
            elif (part, harm) == ("obj", "cut") and key in {
                "samples",
                "compare",
                "dataset",
                "pred",
            }:
                opened.wait_for(VERIFY, ".sg-notice")
            assert opened.complaints() == {}, key
    shutil.rmtree(folder)
    shutil.copytree(filled, folder)
    with serving(tmp_path, str(folder)) as address:
        see_all(tab, address)

"""The system's Chromium, driven by Playwright's Python package; no browser is downloaded."""

import contextlib
from pathlib import Path

import pytest
from support.panel import Tab, own_log, panel_serve

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: scripts/install-debian-packages.sh installs it")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def serve(browser, tmp_path_factory):
    """serve(store): the app on it, until the tests of a file have ended; its log has no traceback."""
    logs = []
    with contextlib.ExitStack() as servers:

        def start(store, *arguments: str) -> str:
            logs.append(tmp_path_factory.mktemp("serve") / "panel.log")
            given = {} if arguments else {"SEGNETS_STORE": store.url}
            return servers.enter_context(panel_serve(logs[-1], *arguments, **given))

        yield start
    for log in logs:
        assert "Traceback (most recent call last)" not in own_log(log)


@pytest.fixture
def tab(browser):
    """Make a tab: tab(address, width, height, scheme)."""
    contexts = []

    def make(address: str, width: int = 1440, height: int = 900, scheme: str = "light") -> Tab:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        return Tab(context.new_page(), address)

    yield make
    for context in contexts:
        context.close()

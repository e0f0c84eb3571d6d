"""The app behind a password: our own page asks for it, and nothing comes from another host."""

import json

import pytest
from support.panel import panel_serve
from support.results_store import write_store

from segnets.store.open import open_store

TEMPLATE = "segnets/app/login.html"


@pytest.fixture(scope="module")
def app(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("login")
    store = open_store(str(folder / "store"), write=True)
    for trial in write_store(store, samples=2)["live"]:
        trial.close()
    users = folder / "users.json"
    users.write_text(json.dumps({"ada": "right <word>"}))
    flags = ["--basic-auth", str(users), "--cookie-secret", "for-the-test-only"]
    flags += ["--basic-login-template", TEMPLATE, "--args", "--store", store.url]
    with panel_serve(folder / "panel.log", *flags) as address:
        yield address


@pytest.mark.parametrize(
    ("width", "scheme"), [(1440, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)]
)
def test_a_password_is_asked_for_and_leads_to_the_page_that_was_meant(app, tab, width, scheme):
    opened = tab(app, width, 844, scheme)
    page = opened.page
    page.goto(f"{app}?p=samples")
    assert "/login" in page.url
    page.keyboard.type("ada")  # the first field has the focus
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert "Invalid username or password" in page.get_by_role("alert").inner_text()
    assert not opened.has_sideways_scroll()
    page.get_by_label("User").fill("ada")
    page.get_by_label("Password").fill("right <word>")
    page.get_by_role("button").click()
    page.wait_for_selector("nav .page", timeout=60_000)
    assert "p=samples" in page.url
    assert opened.complaints() == {}


def test_what_a_link_says_is_a_text_on_the_page(app, tab):
    opened = tab(app)
    opened.page.goto(app.rpartition("/")[0] + "/login?error=<img src=x onerror=alert(1)>")
    assert "<img" in opened.page.get_by_role("alert").inner_text()
    assert opened.page.locator("img").count() == 0
    assert opened.complaints() == {}

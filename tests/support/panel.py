"""The app as a user starts it, and a tab that remembers what a page asked for and complained about."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from support.servers import free_port, process

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def panel_serve(log: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """`panel serve results_app.py` on a free port; the address of the app."""
    port = free_port()
    command = [sys.executable, "-m", "panel", "serve", "results_app.py", "--port", str(port)]
    command += ["--address", "127.0.0.1", *arguments]
    address = f"http://127.0.0.1:{port}"
    # the icon: the page itself would make a session
    with process(
        command, os.environ | environment, log, f"{address}/favicon.ico", cwd=ROOT, up_s=90
    ):
        yield f"{address}/results_app"


def own_log(log: Path) -> str:
    """The server's log without tornado's complaint that a tab was closed while it wrote."""
    parts = log.read_text().split("Task exception was never retrieved")
    return parts[0] + "".join(part for part in parts[1:] if "WebSocketClosedError" not in part)


class Tab:
    """One page in the browser, with all that it asked for and complained about."""

    def __init__(self, page, address: str) -> None:
        self.page, self.address = page, address
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        host = address.split("/")[2]
        page.on("request", lambda request: self._asked(request.url, host))
        page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def _asked(self, url: str, host: str) -> None:
        if not url.startswith(("data:", "blob:")) and url.split("/")[2] != host:
            self.foreign.append(url)

    def slow_down(self) -> None:
        """Before `open`: from now on `hold` can keep back what the server says, until `let_go`."""
        self._held: list[str | bytes] | None = None

        def through(browser_side) -> None:
            server = browser_side.connect_to_server()
            browser_side.on_message(server.send)
            server.on_message(self._pass)
            self._browser_side = browser_side

        self.page.route_web_socket(re.compile(r"/ws\b"), through)

    def _pass(self, message: str | bytes) -> None:
        if self._held is None:
            self._browser_side.send(message)
        else:
            self._held.append(message)

    def hold(self) -> None:
        """The network is slow: no answer of the server arrives."""
        self._held = []

    def let_go(self) -> None:
        """What was kept back arrives, in its order."""
        held, self._held = self._held, None
        for message in held or ():
            self._browser_side.send(message)

    def open(self, query: str = "") -> None:
        """Go there and wait until the page's own parts stand."""
        self.page.goto(self.address + query)
        self.page.wait_for_selector("nav .page", timeout=60_000)

    def see(self, selector: str, timeout_s: float = 40):
        """The element, once it is visible."""
        self.page.wait_for_selector(selector, timeout=1000 * timeout_s)
        return self.page.locator(selector)

    def wait_for(self, text: str, selector: str = "body", timeout_s: float = 40) -> None:
        """Until a visible element of this kind holds the text (shadow roots are looked into)."""
        found = self.page.locator(selector).filter(has_text=text).first
        found.wait_for(timeout=1000 * timeout_s)

    def has_sideways_scroll(self) -> bool:
        """Whether anything that holds the page can be scrolled sideways."""
        return self.page.evaluate("""() => {
            const main = document.querySelector('main');
            return [document.documentElement, main].some((e) => e && e.scrollWidth > e.clientWidth + 1);
        }""")

    def complaints(self) -> dict[str, list[str]]:
        """What a quiet page has none of."""
        found = {"foreign": self.foreign, "errors": self.errors, "dialogs": self.dialogs}
        return {kind: texts for kind, texts in found.items() if texts}

"""The shell: one page with its navigation, built once a tab; views are made when first opened.

Only this file opens a store, to read. The tab's clock compares a version number once a second; all
reading happens in the reader's thread and pool.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import panel as pn

from segnets.app.pages.compare import ComparePage
from segnets.app.pages.dataset import DatasetPage
from segnets.app.pages.leaderboard import Leaderboard
from segnets.app.pages.predictions import PredictionsPage
from segnets.app.pages.runs import RunsPage
from segnets.app.pages.samples import SamplesPage
from segnets.app.parts import Notice, Shell
from segnets.app.read import PATIENCE_S, Reader, Snapshot
from segnets.app.state import Session, View, parse_address, query_of
from segnets.app.theme import css, page_css, page_template
from segnets.app.turns import Turns
from segnets.store.base import Store
from segnets.store.open import open_store, resolve_url

TICK_MS = 1000
AGAIN_S = 5.0
"""What could not be read is asked for again after this time: in a quiet store no news would do it."""
_READERS: dict[str, Reader] = {}  # one a store and process, shared by all tabs
_LOCK = threading.Lock()

logger = logging.getLogger("segnets.app")


class PageView(Protocol):
    """A page: its place in the navigation, its pane, and what it does on news."""

    view: pn.viewable.Viewable

    def refresh(self) -> None:
        """Show what the snapshot and the session's view now say."""

    def recolor(self) -> None:
        """Follow a change between light and dark, where style sheets do not."""


# name in the address, label, label on a telephone, icon, how it is made
PAGES: tuple[tuple[str, str, str, str, Callable[[Session], "PageView"]], ...] = (
    ("trials", "Leaderboard", "Trials", "trials", Leaderboard),
    ("samples", "Samples", "Samples", "samples", SamplesPage),
    ("compare", "Compare", "Compare", "compare", ComparePage),
    ("dataset", "Dataset", "Dataset", "dataset", DatasetPage),
    ("runs", "Runs", "Runs", "runs", RunsPage),
    ("pred", "Predictions", "Predictions", "pred", PredictionsPage),
)


def store_url(arguments: Sequence[str]) -> str:
    """The store of `--store URL` or `--store=URL`, else $SEGNETS_STORE, else ./store."""
    for position, argument in enumerate(arguments):
        if argument.startswith("--store="):
            return resolve_url(argument.removeprefix("--store="))
        if argument == "--store" and position + 1 < len(arguments):
            return resolve_url(arguments[position + 1])
    return resolve_url(None)


def shared_reader(url: str) -> Reader:
    """The one reader of this store in this process, already looking."""

    def connect() -> Store:
        return open_store(url, write=False, wait_s=PATIENCE_S)

    with _LOCK:
        if url not in _READERS:
            _READERS[url] = Reader(url, connect)
            _READERS[url].start()
        return _READERS[url]


def results_page(arguments: Sequence[str] | None = None) -> pn.Template:
    """The whole app for one tab; `arguments` as on the command line."""
    # no bokeh.min.js from elsewhere, no templates with web fonts: only what this server has
    pn.extension("tabulator", sizing_mode="stretch_width", reconnect=True)
    reader = shared_reader(store_url(sys.argv[1:] if arguments is None else arguments))
    session = Session(
        reader,
        view=parse_address(query_of(pn.state.session_args)),
        turns=Turns(pn.state.curdoc),
    )
    return Tab(session).page


class Tab:
    """The parts that every page shares, and the clock."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._made: dict[str, PageView] = {}
        self._seen: tuple[int, float] = (-1, 0.0)
        self._goes_back = False  # while the browser's Back or Forward is followed
        self.shell = Shell(on_message=self._on_shell, store=session.reader.url)
        self.notice = Notice(tone="warn", margin=(12, 22, 0, 22))
        self.column = pn.Column(
            self.notice, sizing_mode="stretch_width", margin=0, stylesheets=[css("column")]
        )
        # a plain template: the shell of panel-material-ui brings 1.4 MB of React, read twice, for
        # a frame that is ours anyway
        self.page = pn.Template(page_template(), items={"shell": self.shell, "column": self.column})
        self.page.add_variable("css", page_css())
        self.page.add_variable("app_favicon", "data:,")
        session.listeners.append(self._on_view)
        self._open(session.view.page)
        self.tick()
        opened = self._made[session.view.page]
        self.page.add_variable("first", opened.first() if isinstance(opened, Leaderboard) else "")

    def tick(self) -> None:
        """Look at the version; tell the open page if there is something new."""
        snapshot = self.session.snapshot
        if snapshot.version != self._seen[0]:
            self.shell.pages = [
                {
                    "id": name,
                    "label": label,
                    "short": short,
                    "icon": icon,
                    "count": self._count(name),
                }
                for name, label, short, icon, _ in PAGES
            ]
            self._say_state(snapshot)
            self.shell.away = bool(snapshot.fault)
            self._made[self.session.view.page].refresh()
        missed = self.session.missed
        if missed is not None and time.monotonic() - missed >= AGAIN_S:
            self.session.missed = None
            self._made[self.session.view.page].refresh()
        if snapshot.looked != self._seen[1]:
            self.shell.looked = snapshot.looked
        self._seen = (snapshot.version, snapshot.looked)

    def _say_state(self, snapshot: Snapshot) -> None:
        if snapshot.fault:
            self.notice.say(f"{snapshot.fault} This page comes back by itself.")
        elif snapshot.unread:
            few = "One summary" if snapshot.unread == 1 else f"{snapshot.unread:,} summaries"
            self.notice.say(
                f"{few} of this store cannot be read; all others are shown. What is wrong says",
                command=f"python -m segnets.store verify {self.session.reader.url}",
            )
        else:
            self.notice.say("")

    def _count(self, name: str) -> str:
        snapshot = self.session.snapshot
        counts = {
            "trials": len(snapshot.trials),
            "samples": max((one.samples for one in snapshot.evals.values()), default=0),
            "dataset": len(snapshot.datasets),
            "runs": sum(trial.status == "running" for trial in snapshot.trials.values()),
            "pred": sum(run.nights for run in snapshot.runs.values()),
        }
        return _short(counts.get(name, 0))

    def _open(self, name: str) -> None:
        if name not in self._made:
            make = next(page[4] for page in PAGES if page[0] == name)
            self._made[name] = make(self.session)
            self.column.append(self._made[name].view)
        for other, made in self._made.items():
            made.view.css_classes = [] if other == name else ["away"]
        self.shell.page = name
        self.shell.search = self.session.view.address

    def _on_view(self, before: View, now: View) -> None:
        if before.page != now.page:
            self.shell.entries += not self._goes_back
            self._open(now.page)
            self._made[now.page].refresh()
        self.shell.search = now.address

    def _on_shell(self, data: dict[str, object]) -> None:
        kind = data.get("type")
        if kind == "hello" and not self.session.greeted:
            self.shell.greeted = self.session.greeted = True
            self._set_dark(bool(data.get("dark")))
            self.session.narrow = bool(data.get("narrow"))
            self._made[self.session.view.page].refresh()
            self.session.turns.every(TICK_MS, self.tick)
        elif kind == "page" and any(data.get("page") == page[0] for page in PAGES):
            self.session.change(page=data["page"])
        elif kind == "address":
            self._goes_back = True
            try:
                self.session.show(parse_address(str(data.get("search", ""))))
            finally:
                self._goes_back = False
            self._made[self.session.view.page].refresh()
        elif kind == "narrow":
            self.session.narrow = bool(data.get("narrow"))
            self._made[self.session.view.page].refresh()
        elif kind == "theme":
            self._set_dark(bool(data.get("dark")))

    def _set_dark(self, dark: bool) -> None:
        self.session.dark = self.shell.dark = dark
        for made in self._made.values():
            made.recolor()


def _short(count: int) -> str:
    """A count for the navigation in four characters; nothing for none."""
    if count < 1000:
        return str(count or "")
    number, unit = (count / 1000, "k") if count < 999_500 else (count / 1e6, "M")
    return f"{number:.1f}{unit}" if number < 9.95 else f"{number:.0f}{unit}"

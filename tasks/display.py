"""What people see while a flow runs: a live line on a terminal, plain lines elsewhere, Prefect artifacts."""

import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, Self
from urllib.parse import quote

from tasks.runs import in_flow_run

logger = logging.getLogger("segnets.tasks")


@contextmanager
def live_bar(
    title: str, *, quiet: bool, unit: str = "steps"
) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, all) that moves a bar on a terminal, and does nothing elsewhere.

    Log lines go above the bar, since rich stands in for sys.stderr while it draws.
    """
    if quiet or not sys.stderr.isatty() or in_flow_run():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(title, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


class TrialLines:
    """The newest line of each trial of a grid: live on a terminal, else `trial: line` as it comes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._lines: dict[str, str] = {}
        self._live: Any = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty() and not in_flow_run():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, trial: str, line: str) -> None:
        """Show this line of this trial."""
        if self._live is None:
            logger.info("%s: %s", trial, line)
            return
        from rich.text import Text

        self._lines[trial] = line
        shown = "\n".join(f"{name}  {newest}" for name, newest in self._lines.items())
        self._live.update(Text(shown, overflow="ellipsis", no_wrap=True))


class EpochReport:
    """Tells Prefect about each epoch: one progress artifact, brought up to date beside the training.

    A server that is away keeps Prefect's client for a minute; no step waits for it. Used in a
    `with`, whose end waits for the last word for LAST_WORD_S.
    """

    LAST_WORD_S = 5.0

    def __init__(self, trial: str, epochs: int) -> None:
        self._trial, self._epochs = trial, epochs
        self._artifact: Any = None
        self._share = self._told = 0.0
        self._teller: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._teller is not None:
            self._teller.join(self.LAST_WORD_S)
            if not self._teller.is_alive() and self._told != self._share:  # it was just leaving
                self._start().join(self.LAST_WORD_S)

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Take the row of a finished epoch."""
        if not in_flow_run():
            return
        self._share = 100.0 * int(row["epoch"]) / self._epochs
        if self._teller is None or not self._teller.is_alive():
            self._start()

    def _start(self) -> threading.Thread:
        # the flow run is known by the context of this thread
        tell = partial(copy_context().run, self._tell)
        self._teller = threading.Thread(target=tell, name="progress", daemon=True)
        self._teller.start()
        return self._teller

    def _tell(self) -> None:
        while self._told != self._share:
            self._told = told = self._share
            with unimportant("progress"):
                from prefect.artifacts import create_progress_artifact, update_progress_artifact

                if self._artifact is None:
                    self._artifact = create_progress_artifact(told, description=self._trial)
                else:
                    update_progress_artifact(self._artifact, told)


def in_words(seconds: float) -> str:
    """A duration as people say it: 40 s, 12 min, 3.5 h, 2.1 days."""
    for unit, size, most in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{seconds / size:.{1 if size == 3600 else 0}f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def as_score(score: float | None) -> str:
    """A score as people read it; a dash where it has no value."""
    return "-" if score is None else f"{score:.4f}"


def report_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """A table artifact of the flow run; nothing outside one."""
    if not in_flow_run():
        return
    flat = [
        {name: str(value) if isinstance(value, dict) else value for name, value in row.items()}
        for row in rows
    ]
    with unimportant(key):
        from prefect.artifacts import create_table_artifact

        create_table_artifact(table=flat, key=key, description=description)


def report_link() -> None:
    """A link artifact to the results app, where $SEGNETS_APP_URL names one; nothing outside a run."""
    url = os.environ.get("SEGNETS_APP_URL")
    if not url or not in_flow_run():
        return
    with unimportant("results-app"):
        from prefect.artifacts import create_link_artifact

        create_link_artifact(link=url, key="results-app", description="Curves and masks")


def report_summary(flow: str, result: Mapping[str, Any]) -> None:
    """A markdown artifact of what a flow says: its figures, and a grid's trials, with links to the app."""
    with unimportant("summary"):
        from prefect.artifacts import create_markdown_artifact

        create_markdown_artifact(
            summary(flow, result), key=f"{flow}-summary", description=f"What {flow} came to"
        )


def summary(flow: str, result: Mapping[str, Any]) -> str:
    """The text of `report_summary`; links where $SEGNETS_APP_URL names the app."""
    figures = [
        [name, _cell(name, value)]
        for name, value in result.items()
        if value is not None and not isinstance(value, list | dict)
    ]
    parts = [f"## {flow}", _table(("", ""), figures)]
    if board := result.get("leaderboard"):
        columns = ("trial", "status", "settings", "val_miou", "val_loss", "best_epoch")
        parts.append(
            _table(columns, [[_cell(name, row.get(name)) for name in columns] for row in board])
        )
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_PAGES = {
    "trial": "?p=runs&t=",
    "grid": "?p=trials&grid=",
    "run": "?p=pred&r=",
    "dataset": "?p=dataset&d=",
}
"""What an id is called -> the address of its page in the app, without the id."""


def _cell(kind: str, value: Any) -> str:
    """A value in markdown; the id of a subject of the app is a link."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{name} {one}" for name, one in value.items())
    elif isinstance(value, float):
        value = f"{value:.4f}"
    text = re.sub(r"([|\\`*_<>\[\]])", r"\\\1", "-" if value is None else str(value))
    app = os.environ.get("SEGNETS_APP_URL")
    if app and kind in _PAGES and value is not None:
        return f"[{text}]({app}{_PAGES[kind]}{quote(str(value))})"
    return text


@contextmanager
def unimportant(what: str) -> Iterator[None]:
    """An artifact that cannot be written is logged, never fatal."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the run is worth more than its decoration
        logger.warning("Prefect did not take the artifact %s: %s", what, error)

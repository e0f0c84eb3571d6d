"""Our own small components: navigation, bars of controls, figures, per-class table, notices.

Each is a module of plain DOM code (see dom.js for why no text can become markup). Python sets their
parameters; what the user does comes back as one message to `on_message`.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent
from panel.io.state import set_curdoc

from segnets.app.theme import COMPONENT, css, esm
from segnets.app.turns import in_turn

if TYPE_CHECKING:
    from bokeh.document import Document


MOST_SAID = 16
"""Messages that are taken of one batch: no act of somebody needs more."""


class Part(JSComponent):  # type: ignore[misc]  # Panel is untyped
    """A component of ours; `on_message` gets what its browser side sends."""

    on_message = param.Callable(default=None, precedence=-1)
    _esm: ClassVar[str] = ""
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("parts")]
    _rename: ClassVar[dict[str, str | None]] = {"on_message": None}

    def __init__(
        self, on_message: Callable[[dict[str, Any]], None] | None = None, **params: Any
    ) -> None:
        super().__init__(
            on_message=on_message, **{"sizing_mode": "stretch_width", "margin": 0, **params}
        )

    def _handle_msg(self, data: Any) -> None:
        if self.on_message is None or not isinstance(data, dict):
            return
        batch = data.get("batch")
        said = batch[:MOST_SAID] if isinstance(batch, list) else [data]
        messages = [one for one in said if isinstance(one, dict)]
        # Panel may call us without the document's lock, which Bokeh's own models need
        in_turn(pn.state.curdoc, partial(self._take, messages))

    def _take(self, messages: list[dict[str, Any]]) -> None:
        assert self.on_message is not None
        for message in messages:
            self.on_message(message)

    def _process_bokeh_event(self, doc: "Document", event: Any) -> None:
        """What Panel (1.9.4) does, without its count of busy events, which nothing here shows.

        The count sets every parameter of Panel's state four times a message; it was a quarter of the
        server's work for a step through the samples.
        """
        with set_curdoc(doc):
            self._process_event(event)


class Shell(Part):
    """Navigation and address bar; messages: hello, page, theme, address, narrow.

    `entries` counts the pages that somebody went to, which are entries of the browser's history.
    """

    pages = param.List(default=[])
    page = param.String(default="")
    store = param.String(default="")
    looked = param.Number(default=0.0)
    away = param.Boolean(default=False)
    dark = param.Boolean(default=False)
    search = param.String(default="")
    entries = param.Integer(default=0)
    greeted = param.Boolean(default=False)
    _esm = esm("shell")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("shell")]


SAVE_CSV = {"type": "save", "key": "csv", "text": "CSV", "aria": "save as CSV"}
"""The item of a bar that asks for its table; the page answers with `hand`."""


def copy_link(**pins: str) -> dict[str, Any]:
    """The item of a bar that copies the address; `pins` go into it where the page chose by itself."""
    return {"type": "copy", "pins": pins}


def save_png(figure: Any, name: str) -> dict[str, Any]:
    """The item of a bar that saves what a Bokeh figure shows now."""
    item = {"type": "png", "figure": figure.id, "name": name}
    return {**item, "text": "PNG", "aria": "save the chart as PNG"}


class Bar(Part):
    """One line of controls, as a list of items; messages {key, value}."""

    items = param.List(default=[])
    kind = param.String(default="")
    _esm = esm("bar")

    def hand(self, name: str, content: str) -> None:
        """Let the browser save this text as a file."""
        self._send_msg({"file": name, "content": content})


class Figures(Part):
    """Large figures: a list of {label, value, tone, notes: [[text, tone]]}."""

    figures = param.List(default=[])
    _esm = esm("figures")


class Heat(Part):
    """IoU per class: rows of {label, color, values (19, None: no value), miou}."""

    rows = param.List(default=[])
    classes = param.List(default=[])
    _esm = esm("heat")


class Axes(Part):
    """Parallel axes {key, title, ticks}, lines {name, color, shares}, and chosen stretches of axes.

    `brush` holds [key, low, high], percent of the height; message {brush} when somebody chooses.
    """

    axes = param.List(default=[])
    lines = param.List(default=[])
    brush = param.List(default=[])
    _esm = esm("axes")
    _shown: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])

    def show(self, axes: list[dict[str, Any]], lines: list[dict[str, Any]]) -> None:
        """Show these; where only a few lines have moved, nothing but they is sent."""
        before, self._shown = self._shown, (axes, lines)
        names = [[line["name"] for line in one] for one in (lines, before[1])]
        if axes == before[0] and names[0] == names[1]:
            moved = [
                [place, line]
                for place, (line, old) in enumerate(zip(lines, before[1], strict=True))
                if line != old
            ]
            if len(moved) * 4 < len(lines):
                if moved:
                    self._send_msg({"moved": moved})
                return
        self.param.update(axes=axes, lines=lines)


class Timeline(Part):
    """Lanes of trials over `span` [from, to] in seconds since 1970; message {trial}."""

    lanes = param.List(default=[])
    span = param.List(default=[])
    now = param.Number(default=0.0)
    opened = param.String(default="")
    _esm = esm("timeline")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("runs")]


class LogCards(Part):
    """A trial's log: its entries, what happened, what to do next."""

    title = param.String(default="")
    status = param.String(default="")
    fault = param.String(default="")
    attempts = param.Integer(default=0)
    rows = param.List(default=[])
    total = param.Integer(default=0)
    story = param.List(default=[])
    reading = param.Boolean(default=False)
    advice = param.List(default=["", ""])
    commands = param.List(default=[])
    _esm = esm("log")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("runs")]


class Nights(Part):
    """A bar a night {id, time, height, tone, confidence, title}; message {night}."""

    nights = param.List(default=[])
    chosen = param.String(default="")
    _esm = esm("nights")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("nights")]


class NightCards(Part):
    """Shares of the classes, frames that failed, and where a night comes from."""

    shares = param.List(default=[])
    failed = param.List(default=[])
    facts = param.List(default=[])
    _esm = esm("nightcards")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("nights")]


class Notice(Part):
    """One sentence, with a heading and a command where they help; nothing is shown without text."""

    title = param.String(default="")
    text = param.String(default="")
    command = param.String(default="")
    tone = param.String(default="")
    _esm = esm("notice")

    def say(self, text: str, *, title: str = "", command: str = "") -> None:
        """Show this, or nothing."""
        self.param.update(text=text, title=title, command=command, visible=bool(text))

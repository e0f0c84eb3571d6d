"""When a tab may be changed: under its document's lock, once its browser has drawn what it fetched."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import panel as pn

if TYPE_CHECKING:
    from bokeh.document import Document


logger = logging.getLogger("segnets.app")


def in_turn(document: "Document | None", act: Callable[[], None]) -> None:
    """Do it in a callback of this tab's own; without a tab, at once. In the server's thread only.

    Between the moment a browser fetches the page and the moment it says that the page stands, Panel
    (1.9) takes a change for part of what was fetched and sends it to nobody: `onload` waits. The
    changes of one act go out in one message: Bokeh's own would overtake those of Panel, and speak of
    a figure that the browser does not know yet.

    Raises RuntimeError if the tab goes just now.
    """

    def together() -> None:
        with pn.io.hold(document):
            act()

    if document is None or document.session_context is None:
        act()
    else:
        document.add_next_tick_callback(partial(pn.state.onload, together))


class Turns:
    """The turns of one tab, from any thread; made in the server's. Without a tab all is at once."""

    def __init__(self, document: "Document | None") -> None:
        self._document = document
        tab = document is not None and document.session_context is not None
        self._loop = asyncio.get_running_loop() if tab else None

    def every(self, ms: int, act: Callable[[], None]) -> None:
        """Do it so often until the tab has gone; called in its turn, once the page stands.

        Bokeh's clock: Panel's counts each stroke as being busy, which costs more than a look.
        """

        def together() -> None:
            with pn.io.hold(self._document):
                act()

        if self._loop is not None and self._document is not None:
            self._document.add_periodic_callback(together, ms)

    def take(self, act: Callable[[], None]) -> None:
        """Do it in the tab's turn. A tab that has gone by then, and a server that stops, are no fault.

        Bokeh calls add_next_tick_callback safe for threads. It is not while the document holds its
        changes back: the news of the callback is then one of them, and may fall between two lists.
        So the server's own thread adds it.
        """

        def add() -> None:
            if self._document is None or self._document.session_context is None:
                return  # the tab has gone
            try:
                in_turn(self._document, act)
            except RuntimeError:
                logger.debug("an answer came after its tab had gone")

        if self._loop is None:
            act()
            return
        try:
            self._loop.call_soon_threadsafe(add)
        except RuntimeError:
            logger.debug("an answer came after the server had stopped")

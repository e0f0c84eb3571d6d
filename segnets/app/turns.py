"""When a tab may be changed: under its document's lock, once its browser has drawn what it fetched."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import panel as pn

if TYPE_CHECKING:
    from bokeh.document import Document


def in_turn(document: "Document | None", act: Callable[[], None]) -> None:
    """Do it in a callback of this tab's own, from any thread; without a tab, at once.

    Between the moment a browser fetches the page and the moment it says that the page stands, Panel
    (1.9) takes a change for part of what was fetched and sends it to nobody: `onload` waits. The
    changes of one act go out in one message: Bokeh's own would overtake those of Panel, and speak of
    a figure that the browser does not know yet.

    Raises RuntimeError if the tab has gone.
    """

    def together() -> None:
        with pn.io.hold(document):
            act()

    if document is None or document.session_context is None:
        act()
    else:
        document.add_next_tick_callback(partial(pn.state.onload, together))

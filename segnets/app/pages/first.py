"""The leaderboard as the page itself carries it: figures and first rows, in sight before a script runs.

The browser needs a second and more until the scripts of Bokeh, Panel and Tabulator have run. Until the
live table stands it shows this; `page.html` then takes it away.
"""

from collections.abc import Sequence
from typing import Any

from segnets.app.pages.figures import Figure
from segnets.app.theme import COMPONENT, TABLE, css, template

STYLES = COMPONENT + css("parts") + TABLE + css("first")


def first_view(figures: Sequence[Figure], rows: Sequence[dict[str, Any]]) -> str:
    """HTML of these figures and rows (those of `trial_frame`), every text escaped."""
    return template("first.html").render(figures=figures, rows=rows, css=STYLES)

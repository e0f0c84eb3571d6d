"""Score and cost: the best score of every trial over the time it took.

hvPlot draws the chart; its import (the heaviest of the app) and the drawing happen in the reader's pool,
never in a session's callback. It is drawn once; then its dots are moved or replaced.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import panel as pn

from segnets.app.parts import Bar
from segnets.app.records import Trial
from segnets.app.state import Session

_GREY = "#8b97aa"  # readable on light and on dark
_IDLE = "#9fb0cb"
PADDING = 0.12
"""Room around the dots, of the axis' length."""


class Cost:
    """The card; `views` are its bar and its chart."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._frame: pd.DataFrame | None = None  # what was asked for last
        self._figure: Any = None
        self._asked = False
        self.bar = Bar(
            items=[
                {"type": "title", "text": "Score and cost", "level": 2},
                {"type": "note", "text": "best val mIoU over minutes of training, one dot a trial"},
            ]
        )
        self.chart = pn.pane.Bokeh(None, sizing_mode="stretch_width", margin=(6, 0, 0, 0))
        self.views = (self.bar, self.chart)

    def show(self, trials: Sequence[Trial], colors: Mapping[str, str]) -> None:
        """Draw these trials if they say something new."""
        frame, before = cost_frame(trials, colors), self._frame
        if before is not None and frame.equals(before):
            return
        self._frame = frame
        if self._figure is not None:
            put(self._figure, before, frame)
        elif not self._asked:
            self._asked = True
            self.session.later(partial(draw, frame), partial(self._put, frame), self._failed)

    def _put(self, frame: pd.DataFrame, figure: Any) -> None:
        put(figure, frame, self._frame if self._frame is not None else frame)
        self._figure = self.chart.object = figure

    def _failed(self, _sentence: str) -> None:
        self._asked, self._frame = False, None  # the next news draw again


def cost_frame(trials: Sequence[Trial], colors: Mapping[str, str]) -> pd.DataFrame:
    """Columns minutes, miou, trial, color: a row a trial that has a score."""
    rows = [
        (trial.seconds / 60, trial.miou, trial.id, colors.get(trial.id, _IDLE))
        for trial in trials
        if trial.miou is not None and trial.seconds
    ]
    return pd.DataFrame(rows, columns=["minutes", "miou", "trial", "color"])


def put(figure: Any, before: pd.DataFrame | None, now: pd.DataFrame) -> None:
    """Let the figure of `before` show `now`: dots of the same trials are moved, others replaced."""
    source = figure.renderers[0].data_source
    is_same = before is not None and list(before["trial"]) == list(now["trial"])
    if before is not None and is_same:
        patches = {
            name: [
                (i, v)
                for i, (u, v) in enumerate(zip(before[name], now[name], strict=True))
                if u != v
            ]
            for name in ("minutes", "miou", "color")
        }
        patches = {name: moved for name, moved in patches.items() if moved}
        if patches:
            source.patch(patches)
    else:
        source.data = {name: now[name].to_numpy() for name in now.columns}
    if now.empty:
        return
    for span, name in ((figure.x_range, "minutes"), (figure.y_range, "miou")):
        low, high = float(now[name].min()), float(now[name].max())
        if is_same and span.start <= low and high <= span.end:
            continue
        air = PADDING * ((high - low) or 1.0)
        start, end = low - air, high + air
        span.update(start=start, end=end, reset_start=start, reset_end=end)


def draw(frame: pd.DataFrame) -> Any:
    """The chart of `cost_frame`, a Bokeh figure; transparent, so it follows light and dark.

    Drawn into a document of its own: HoloViews takes Bokeh's current one otherwise, which in
    another thread than the server's is the tab that happens to be served at that moment.
    """
    import holoviews as hv
    from bokeh.document import Document
    from hvplot import hvPlot

    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)
    points = hvPlot(frame).scatter(
        x="minutes",
        y="miou",
        color="color",
        size=90,
        hover_cols=["trial"],
        xlabel="minutes",
        ylabel="val mIoU, best",
        height=240,
        responsive=True,
        legend=False,
    )
    renderer = hv.renderer("bokeh").instance(mode="server")  # the mode that heeds `doc`
    quiet = points.opts(hooks=[_quiet], toolbar=None, padding=PADDING)
    return renderer.get_plot(quiet, doc=Document()).state


def _quiet(plot: Any, _element: Any) -> None:
    """Transparent ground and grey text, as the curves have."""
    figure = plot.state
    figure.background_fill_color = None
    figure.border_fill_color = None
    figure.outline_line_color = None
    figure.xgrid.grid_line_color = None
    figure.ygrid.grid_line_color = _GREY
    figure.ygrid.grid_line_alpha = 0.22
    for axis in (*figure.xaxis, *figure.yaxis):
        axis.axis_line_color = None
        axis.major_tick_line_color = None
        axis.minor_tick_line_color = None
        axis.major_label_text_color = _GREY
        axis.axis_label_text_color = _GREY

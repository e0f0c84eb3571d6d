"""Score and cost: the best score of every trial over the time it took.

hvPlot draws the chart; its import (the heaviest of the app) and the drawing happen in the reader's pool,
never in a session's callback. While the trials are the same ones, dots that moved are moved in place.
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
        self._figure: Any = None  # the Bokeh figure on show, and of which frame
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
        if before is not None and self._figure is not None and same_trials(frame, before):
            move(self._figure, before, frame)
            return
        self._figure = None
        self.session.later(
            partial(draw, frame), partial(self._put, frame), partial(self._failed, frame)
        )

    def _put(self, frame: pd.DataFrame, figure: Any) -> None:
        now = self._frame
        if now is None or not same_trials(frame, now):
            return  # one of other trials was asked for since
        move(figure, frame, now)
        self._figure = self.chart.object = figure

    def _failed(self, frame: pd.DataFrame, _sentence: str) -> None:
        if self._frame is frame:
            self._frame = None  # the next news draw again


def cost_frame(trials: Sequence[Trial], colors: Mapping[str, str]) -> pd.DataFrame:
    """Columns minutes, miou, trial, color: a row a trial that has a score."""
    rows = [
        (trial.seconds / 60, trial.miou, trial.id, colors.get(trial.id, _IDLE))
        for trial in trials
        if trial.miou is not None and trial.seconds
    ]
    return pd.DataFrame(rows, columns=["minutes", "miou", "trial", "color"])


def same_trials(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two frames are of the same trials in the same order."""
    return list(one["trial"]) == list(other["trial"])


def move(figure: Any, before: pd.DataFrame, now: pd.DataFrame) -> None:
    """Move and colour the dots that differ; an axis grows where one would be outside."""
    patches = {
        name: [
            (i, v) for i, (u, v) in enumerate(zip(before[name], now[name], strict=True)) if u != v
        ]
        for name in ("minutes", "miou", "color")
    }
    patches = {name: moved for name, moved in patches.items() if moved}
    if patches:
        figure.renderers[0].data_source.patch(patches)
    for span, name in ((figure.x_range, "minutes"), (figure.y_range, "miou")):
        low, high = now[name].min(), now[name].max()
        if not (span.start <= low and high <= span.end):
            air = PADDING * ((high - low) or 1.0)
            ends = (min(span.start, low - air), max(span.end, high + air))
            span.update(start=ends[0], end=ends[1], reset_start=ends[0], reset_end=ends[1])


def draw(frame: pd.DataFrame) -> Any:
    """The chart of `cost_frame`, a Bokeh figure; transparent, so it follows light and dark."""
    import holoviews as hv
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
    return hv.render(points.opts(hooks=[_quiet], toolbar=None, padding=PADDING))


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

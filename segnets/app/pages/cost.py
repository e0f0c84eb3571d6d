"""Score and cost: the best score of every trial over the time it took.

A chart that changes rarely, so hvPlot draws it; its import (the heaviest of the app) and the drawing
happen in the reader's pool, never in a session's callback.
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


class Cost:
    """The card; `views` are its bar and its chart."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._drawn: tuple[Any, ...] = ()
        self.bar = Bar(
            items=[
                {"type": "title", "text": "Score and cost", "level": 2},
                {"type": "note", "text": "best val mIoU over minutes of training, one dot a trial"},
            ]
        )
        self.chart = pn.pane.HoloViews(None, sizing_mode="stretch_width", margin=(6, 0, 0, 0))
        self.views = (self.bar, self.chart)

    def show(self, trials: Sequence[Trial], colors: Mapping[str, str]) -> None:
        """Draw these trials if they say something new."""
        frame = cost_frame(trials, colors)
        says = tuple(frame.itertuples(index=False, name=None))
        if says != self._drawn:
            self._drawn = says
            self.session.later(
                partial(draw, frame), partial(self._put, says), partial(self._failed, says)
            )

    def _put(self, says: tuple[Any, ...], chart: Any) -> None:
        if says == self._drawn:  # no newer one was asked for since
            self.chart.object = chart

    def _failed(self, says: tuple[Any, ...], _sentence: str) -> None:
        if says == self._drawn:
            self._drawn = ()  # the next news draw again


def cost_frame(trials: Sequence[Trial], colors: Mapping[str, str]) -> pd.DataFrame:
    """Columns minutes, miou, trial, color: a row a trial that has a score, by time."""
    rows = [
        (trial.seconds / 60, trial.miou, trial.id, colors.get(trial.id, _IDLE))
        for trial in trials
        if trial.miou is not None and trial.seconds
    ]
    return pd.DataFrame(sorted(rows), columns=["minutes", "miou", "trial", "color"])


def draw(frame: pd.DataFrame) -> Any:
    """The chart of `cost_frame`, a HoloViews object; transparent, so it follows light and dark."""
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
    return points.opts(hooks=[_quiet], toolbar=None, padding=0.12)


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

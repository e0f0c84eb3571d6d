"""What matters: the best score of every trial over one setting that varies.

A chart that changes rarely, so hvPlot draws it; its import (the heaviest of the app) and the drawing
happen in the reader's pool, the first time that trials differ in a setting.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import panel as pn

from segnets.app.pages.table import changed_settings
from segnets.app.parts import Bar
from segnets.app.records import Trial
from segnets.app.state import Session

_GREY = "#8b97aa"  # readable on light and on dark
_IDLE = "#9fb0cb"
_RATES = {"lr", "weight_decay"}  # drawn on a log axis


class Matters:
    """The card; `views` are its bar and its chart, `card` the column that hides without news."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._setting = ""
        self._trials: Sequence[Trial] = ()
        self._colors: Mapping[str, str] = {}
        self._drawn: tuple[Any, ...] = ()
        self.bar = Bar(on_message=self._on_bar)
        self.chart = pn.pane.HoloViews(None, sizing_mode="stretch_width", margin=(6, 0, 0, 0))
        self.views = (self.bar, self.chart)

    def show(self, trials: Sequence[Trial], colors: Mapping[str, str]) -> bool:
        """Draw these trials if they say something new; False if no setting varies among scored ones."""
        scored = [trial for trial in trials if trial.miou is not None]
        settings = changed_settings(scored)
        if not settings:
            return False
        self._trials, self._colors = scored, colors
        if self._setting not in settings:
            self._setting = settings[0]
        self.bar.items = [
            {"type": "title", "text": "What matters", "level": 2},
            {"type": "note", "text": "best val mIoU of each trial, over"},
            {
                "type": "segments",
                "key": "setting",
                "aria": "setting",
                "value": self._setting,
                "options": [{"value": name, "label": name} for name in settings],
            },
        ]
        frame = matters_frame(scored, self._setting, colors)
        says = (self._setting, *frame.itertuples(index=False, name=None))
        if says != self._drawn:
            self._drawn = says
            self.session.later(
                partial(draw, frame, self._setting),
                partial(self._put, says),
                partial(self._failed, says),
            )
        return True

    def _put(self, says: tuple[Any, ...], chart: Any) -> None:
        if says == self._drawn:  # no newer one was asked for since
            self.chart.object = chart

    def _failed(self, says: tuple[Any, ...], _sentence: str) -> None:
        if says == self._drawn:
            self._drawn = ()  # the next news draw again

    def _on_bar(self, data: dict[str, Any]) -> None:
        value = data.get("value")
        if data.get("key") == "setting" and value in changed_settings(self._trials):
            self._setting = str(value)
            self.show(self._trials, self._colors)


def matters_frame(trials: Sequence[Trial], setting: str, colors: Mapping[str, str]) -> pd.DataFrame:
    """Columns value (number or text), miou, trial, color: a row a trial, by value."""
    values = [trial.settings.get(setting) for trial in trials]
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    rows = [
        {
            "value": value if numbers else str(value),
            "miou": trial.miou,
            "trial": trial.id,
            "color": colors.get(trial.id, _IDLE),
        }
        for trial, value in zip(trials, values, strict=True)
    ]
    return pd.DataFrame(rows).sort_values(["value", "trial"], ignore_index=True)


def draw(frame: pd.DataFrame, setting: str) -> Any:
    """The chart of `matters_frame`, as a HoloViews object that follows light and dark."""
    import holoviews as hv
    from hvplot import hvPlot

    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)
    log = setting in _RATES and pd.api.types.is_numeric_dtype(frame["value"])
    points = hvPlot(frame).scatter(
        x="value",
        y="miou",
        color="color",
        size=90,
        alpha=0.9,
        hover_cols=["trial"],
        logx=bool(log and (frame["value"] > 0).all()),
        xlabel=setting,
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

"""Curves of the ticked trials: one Bokeh figure, built once, streamed into.

Each ticked trial has a slot: a pale line with the values as they are and a strong one, smoothed by an
exponential mean that only looks back, so that old points never move when new ones come.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import panel as pn
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CrosshairTool,
    HoverTool,
    Line,
    NumeralTickFormatter,
    Range1d,
    Scatter,
    Span,
)
from bokeh.plotting import figure

from segnets.app.pages.series import series, smoothed, valued
from segnets.app.parts import SAVE_CSV, Bar, save_png
from segnets.app.state import AXES, METRICS, MOST_SMOOTHING, MOST_TICKED, Session
from segnets.app.takeaway import curve_rows, to_csv
from segnets.labels import CLASS_NAMES

SHORT_EPOCHS = 20
_LABELS = {"miou": "val mIoU", "loss": "loss", "class": "per class", "lr": "lr"}
_GREY = "#8b97aa"  # readable on light and on dark


# Bokeh's tooltip is white in any theme and drops style elements, so each part brings its style.
_TIP = """<div style="margin:-6px;padding:8px 12px;border-radius:6px;background:#fff;
color:#151b26;font-size:12px;line-height:1.6">{}</div>"""
_TIP_ROW = """<div style="display:flex;align-items:center;gap:7px;white-space:nowrap">
<i style="width:10px;height:10px;border-radius:3px;background:{0}"></i>@n{1}
<b style="margin-left:auto;padding-left:12px">@v{1}</b></div>"""


@dataclass(slots=True)
class Slot:
    """The lines of one ticked trial."""

    raw: ColumnDataSource
    smooth: ColumnDataSource
    tip: ColumnDataSource
    lines: tuple[Any, ...]
    trial: str = ""


class Curves:
    """The card with the curves; `views` are its bar, its figure and its lower bar."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._shown: list[tuple[str, str, str, list[dict[str, Any]]]] = []
        self._fault = ""
        self._kind: tuple[Any, ...] = ()
        self.bar = Bar(on_message=self._on_bar)
        self.foot = Bar(on_message=self._on_bar)
        self.figure = self._figure()
        self.slots: list[Slot] = []
        # one invisible line says at each x what all lines hold there: a tooltip a line would overlap
        self.probe = ColumnDataSource({"x": [], "y": []})
        seen = self.figure.add_glyph(self.probe, Line(x="x", y="y", line_alpha=0))
        self.hover = HoverTool(
            renderers=[seen],
            mode="vline",
            line_policy="nearest",
            point_policy="snap_to_data",
            tooltips=_TIP.format(""),
        )
        self.figure.add_tools(
            self.hover,
            CrosshairTool(overlay=Span(dimension="height", line_color=_GREY, line_dash="dashed")),
        )
        self.views = (
            self.bar,
            pn.pane.Bokeh(self.figure, sizing_mode="stretch_width", margin=(6, 0, 0, 0)),
            self.foot,
        )
        self._draw_bars()

    def show(
        self, trials: Sequence[tuple[str, str, str, list[dict[str, Any]]]], fault: str = ""
    ) -> None:
        """Show (id, name, colour, epochs rows) of each ticked trial; say why one is missing."""
        self.make_slots(len(trials[:MOST_TICKED]))
        self._shown, self._fault = list(trials), fault
        view, kind = self.session.view, self._wanted()
        again, self._kind = kind != self._kind, kind
        held = {slot.trial: slot for slot in self.slots if slot.trial}
        wanted = {trial for trial, *_ in trials}
        free = [slot for slot in self.slots if slot.trial not in wanted]
        for slot in free:
            if slot.trial:
                self._clear(slot)
        for trial, name, color, rows in trials[:MOST_TICKED]:
            slot = held.get(trial) or free.pop(0)
            fresh = again or slot.trial != trial
            slot.trial = trial
            self._fill(slot, name, color, rows, fresh=fresh)
        if again:
            self.figure.xaxis.ticker = BasicTicker(min_interval=0 if view.axis == "time" else 1)
            self.figure.yaxis.formatter = NumeralTickFormatter(
                format="0.[00000]" if view.metric == "lr" else "0.[00]"
            )
        self._fit()
        self._fill_probe()
        self._draw_bars()

    def grow(self, *, tall: bool) -> None:
        """Fill the card beside two others, or stand alone."""
        self.figure.height = 440 if tall else 300

    def _figure(self) -> Any:
        plot = figure(
            height=300,
            sizing_mode="stretch_width",
            toolbar_location=None,
            tools="xpan,xwheel_zoom,reset",
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
            min_border=0,
            background_fill_color=None,
            border_fill_color=None,
            outline_line_color=None,
        )
        plot.xgrid.grid_line_color = None
        plot.ygrid.grid_line_color = _GREY
        plot.ygrid.grid_line_alpha = 0.22
        for axis in (plot.xaxis, plot.yaxis):
            axis.axis_line_color = None
            axis.major_tick_line_color = None
            axis.minor_tick_line_color = None
            axis.major_label_text_color = _GREY
            axis.major_label_text_font_size = "12px"
        return plot

    def make_slots(self, num: int) -> None:
        """Have so many, made at once: to add one to a figure on show takes a browser half a second."""
        self.slots += [self._slot() for _ in range(num - len(self.slots))]

    def _slot(self) -> Slot:
        raw = ColumnDataSource({"x": [], "y": []})
        smooth = ColumnDataSource({"x": [], "y": [], "name": []})
        tip = ColumnDataSource({"x": [], "y": []})
        # add_glyph makes one glyph of each; figure.line three, for looks that are never shown
        lines = (
            self.figure.add_glyph(raw, Line(x="x", y="y", line_alpha=0.28, line_width=1.3)),
            self.figure.add_glyph(smooth, Line(x="x", y="y", line_width=2.3, line_join="round")),
            self.figure.add_glyph(tip, Scatter(x="x", y="y", size=8, line_color=None)),
        )
        return Slot(raw, smooth, tip, lines)

    def _clear(self, slot: Slot) -> None:
        slot.trial = ""
        slot.raw.data = {"x": [], "y": []}
        slot.smooth.data = {"x": [], "y": [], "name": []}
        slot.tip.data = {"x": [], "y": []}

    def _fill(
        self, slot: Slot, name: str, color: str, rows: list[dict[str, Any]], *, fresh: bool
    ) -> None:
        for line in slot.lines[:2]:
            line.glyph.line_color = color
        slot.lines[2].glyph.fill_color = color
        view = self.session.view
        strong, pale = series(rows, view.metric, view.axis, view.shown_class)
        mean = smoothed(strong, self._weight())
        pale = pale if pale is not None else strong
        for source, points, named in ((slot.raw, pale, False), (slot.smooth, mean, True)):
            columns: dict[str, list[Any]] = {
                "x": [x for x, _ in points],
                "y": [y for _, y in points],
            }
            if named:
                columns["name"] = [name] * len(points)
            held = list(source.data["x"])
            if not fresh and columns["x"][: len(held)] == held:
                added = {key: values[len(held) :] for key, values in columns.items()}
                if added["x"]:
                    source.stream(added)
            else:
                source.data = columns
        slot.tip.data = {"x": [x for x, _ in mean[-1:]], "y": [y for _, y in mean[-1:]]}

    def _fill_probe(self) -> None:
        """What the tooltip says at each x; names go in as data, which Bokeh escapes."""
        axis = self.session.view.axis
        order = [trial for trial, *_ in self._shown]
        used = sorted(
            ((position, slot) for position, slot in enumerate(self.slots) if slot.trial),
            key=lambda pair: order.index(pair[1].trial),
        )
        values = {
            position: dict(zip(slot.smooth.data["x"], slot.smooth.data["y"], strict=True))
            for position, slot in used
        }
        xs = sorted({x for points in values.values() for x in points})
        columns: dict[str, list[Any]] = {
            "x": xs,
            "y": [max(points.get(x, -math.inf) for points in values.values()) for x in xs],
            "at": [f"{x:.1f} min" if axis == "time" else f"{axis} {x:g}" for x in xs],
        }
        lines = ["<b>@at</b>"]
        for position, slot in used:
            columns[f"n{position}"] = [*slot.smooth.data["name"][:1]] * len(xs)
            columns[f"v{position}"] = [valued(values[position].get(x)) for x in xs]
            lines.append(_TIP_ROW.format(slot.lines[1].glyph.line_color, position))  # our palette
        tip = _TIP.format("".join(lines))
        self.probe.data = columns
        if self.hover.tooltips != tip:
            self.hover.tooltips = tip

    def _fit(self) -> None:
        """Ranges with a little air; one range change a refresh, none where it stays."""
        xs = [x for slot in self.slots for x in slot.raw.data["x"]]
        ys = [
            y
            for slot in self.slots
            for source in (slot.raw, slot.smooth)
            for y in source.data["y"]
            if math.isfinite(y)
        ]
        if not xs or not ys:
            return
        low, high = min(ys), max(ys)
        if self.session.view.metric in ("miou", "class"):
            low = min(low, 0.0)
        air = (high - low or 1.0) * 0.06
        first, last = min(xs), max(xs)
        wide = (last - first) * 0.03 or 0.5
        for span, start, end in (
            (self.figure.x_range, first - wide, last + wide),
            (self.figure.y_range, low - (air if low else 0.0), high + air),
        ):
            if (span.start, span.end) != (start, end):
                span.update(start=start, end=end, reset_start=start, reset_end=end)

    def _wanted(self) -> tuple[Any, ...]:
        """What makes all points others: the axes, the class, the smoothing."""
        view = self.session.view
        return (view.metric, view.axis, view.shown_class, self._weight())

    def _weight(self) -> float:
        """A short curve says most as it is; a long one is smoothed until somebody chooses."""
        if self.session.view.smoothing is not None:
            return self.session.view.smoothing / 100
        longest = max((len(rows) for *_, rows in self._shown), default=0)
        return 0.4 if longest > 2 * SHORT_EPOCHS else 0.0

    def _on_bar(self, data: dict[str, Any]) -> None:
        key, value = data.get("key"), data.get("value")
        if key == "csv":
            rows = curve_rows((name, epochs) for _, name, _, epochs in self._shown)
            self.foot.hand("curves.csv", to_csv(rows))
        elif key == "metric" and value in METRICS:
            self.session.change(metric=value)
        elif key == "axis" and value in AXES:
            self.session.change(axis=value)
        elif key == "class" and value in CLASS_NAMES:
            self.session.change(shown_class=CLASS_NAMES.index(value))
        elif key == "smoothing" and isinstance(value, int | float) and 0 <= value < 1:
            self.session.change(smoothing=min(round(100 * value), MOST_SMOOTHING))
        if self._wanted() != self._kind:  # where the page has not drawn them anew by now
            self.show(self._shown, self._fault)

    def _draw_bars(self) -> None:
        view = self.session.view
        metric = view.metric
        items: list[dict[str, Any]] = [
            {"type": "title", "text": "Curves", "level": 2},
            {"type": "gap"},
            {
                "type": "segments",
                "key": "metric",
                "value": metric,
                "options": [{"value": word, "label": _LABELS[word]} for word in METRICS],
            },
        ]
        self.bar.items = items
        items = [
            {
                "type": "slider",
                "key": "smoothing",
                "label": "smoothing",
                "min": 0,
                "max": MOST_SMOOTHING / 100,
                "step": 0.05,
                "value": self._weight(),
            },
            *([SAVE_CSV, save_png(self.figure, f"curves_{metric}.png")] if self._shown else []),
            {
                "type": "segments",
                "key": "axis",
                "value": view.axis,
                "options": [
                    {"value": word, "label": "minutes" if word == "time" else word} for word in AXES
                ],
            },
        ]
        if metric == "class":
            options = [{"value": name, "label": name} for name in CLASS_NAMES]
            items.append(
                {
                    "type": "select",
                    "key": "class",
                    "aria": "class",
                    "value": CLASS_NAMES[view.shown_class],
                    "options": options,
                }
            )
        if metric == "loss":
            items.append({"type": "note", "text": "strong: val, pale: train"})
        if self._fault:
            items.append({"type": "note", "text": self._fault})
        elif not self._shown:
            items.append({"type": "note", "text": "tick trials to see their curves"})
        elif not any(rows for *_, rows in self._shown):
            items.append({"type": "note", "text": "no epoch of the ticked trials is saved yet"})
        self.foot.items = items

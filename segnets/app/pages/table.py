"""The table of trials: Tabulator, remote pages, patched in place.

Cells are templates of fixed markup; every value goes through `<%- %>`, which escapes. Column titles
are an injection sink of Tabulator (measured), so a setting's name becomes a title only if it is made
of [a-z0-9_.].
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import panel as pn
from bokeh.models import HTMLTemplateFormatter

from segnets.app.pages.figures import duration
from segnets.app.records import Trial
from segnets.app.state import Session
from segnets.app.theme import TABLE

MOST_SETTINGS = 5
FEW_SETTINGS = 3
PAGE_SIZE = 14
ONE_PAGE = ".tabulator .tabulator-footer { display: none; }"
_SETTING = re.compile(r"[a-z0-9_.]{1,40}")
_NEVER_SHOWN = {"model", "dataset"}  # the name says the one, the bar the other

_MARK = """<button type="button" class="mark <%- mark ? 'on' : '' %>" style="background:<%- mark || 'none' %>"
role="checkbox" aria-checked="<%- mark ? 'true' : 'false' %>" aria-label="tick <%- model %> <%- short %>"></button>"""
_WHO = """<span class="who"><b><%- model %></b> <span><%- short %></span></span>"""
_SCORE = """<% if (value === null || isNaN(value)) { %><span class="num">–</span><% } else { %>
<span class="score"><i><u style="width:<%- 100 * share %>%;background:<%- mark || 'var(--sg-idle)' %>"></u></i>
<b><%- value.toFixed(3) %></b></span><% } %>"""
_CURVE = """<svg class="spark" viewBox="0 0 64 18" fill="none"><path d="<%- value %>"
stroke="<%- mark || 'var(--sg-idle)' %>" stroke-width="1.6" stroke-linejoin="round"/></svg>"""
_NUMBER = (
    """<span class="num"><%- value === null || isNaN(value) ? '–' : value.toFixed(1) %></span>"""
)
# only NaN is not itself; isNaN says yes to any text
_TEXT = """<span class="num"><%- value === null || value !== value || value === '' ? '–' : value %></span>"""
_TIME = """<span class="num"><%- took %></span>"""
_AGAIN = """<% if (value > 0) { %><span class="pill again"><%- value %> ↻</span><% } else { %>
<span class="num" style="color:var(--sg-muted)">0</span><% } %>"""
_STATE = """<span class="state"><span class="pill <%- value %>"><%- value %></span>
<% if (value === 'running' || value === 'silent') { %><span class="way"><u style="width:<%- 100 * progress %>%"></u></span>
<span class="num"><%- epochs %></span><% } else if (why) { %><span class="why" title="<%- why %>"><%- why %></span><% } %></span>"""
_LINE = f"""<div class="line">{_MARK}"""
_LINE += """<span class="two"><span class="who"><b><%- model %></b> <span><%- short %></span></span><small><%- changed %></small></span>
<svg class="spark" viewBox="0 0 64 18" fill="none"><path d="<%- curve %>" stroke="<%- mark || 'var(--sg-idle)' %>" stroke-width="1.6"/></svg>
<span class="end"><b class="num"><%- miou === null || isNaN(miou) ? '–' : miou.toFixed(3) %></b>
<% if (status === 'running') { %><span class="way"><u style="width:<%- 100 * progress %>%"></u></span><% } else { %><small><%- status %></small><% } %></span></div>"""

_FIXED = ["line", "mark", "trial", "miou", "curve", "clips_s", "seconds", "restarts", "status"]
_CARRIED = ["model", "short", "share", "took", "progress", "epochs", "why", "changed"]
_TITLES = {
    "line": "trial",
    "mark": "✓",
    "trial": "trial",
    "miou": "val mIoU, best",
    "curve": "curve",
    "clips_s": "clips/s",
    "seconds": "time",
    "restarts": "restarts",
    "status": "status",
}
_WIDTHS = {
    "mark": 28,
    "trial": 146,
    "miou": 110,
    "curve": 66,
    "clips_s": 50,
    "seconds": 62,
    "restarts": 66,
}
_SHORT = {"batch_size": "batch", "weight_decay": "decay", "class_weights": "weights"}
_FORMATTERS = {
    "line": _LINE,
    "mark": _MARK,
    "trial": _WHO,
    "miou": _SCORE,
    "curve": _CURVE,
    "clips_s": _NUMBER,
    "seconds": _TIME,
    "restarts": _AGAIN,
    "status": _STATE,
}


class TrialTable:
    """The table; `tick` is called with the trial whose row was clicked."""

    def __init__(self, session: Session, tick: Callable[[str], None]) -> None:
        self.session = session
        self._tick = tick
        self._shape: tuple[Any, ...] = ()
        self._busy = False
        self.view = pn.Column(margin=(4, 0, 0, 0))
        self.table: pn.widgets.Tabulator | None = None

    def show(self, trials: Sequence[Trial], colors: Mapping[str, str]) -> None:
        """Show these trials: a patch where rows and columns are the same, else a new table."""
        settings = shown_settings(trials, self.session.view.sort)
        frame = trial_frame(trials, colors, settings)
        shape = (tuple(settings), self.session.narrow, len(trials) > PAGE_SIZE)
        if self.table is None or shape != self._shape:
            self._shape = shape
            self._build(frame, settings)
        elif not _same_shape(frame, self.table.value):
            self.table.value = frame
        else:
            self._patch(frame)
        self._sort()

    @property
    def missing(self) -> str:
        """The column that the address sorts by, where these trials have none of this name."""
        name = self.session.view.sort.removeprefix("-")
        frame = None if self.table is None else self.table.value
        return "" if frame is None or frame.empty or name in frame.columns else name

    def first_rows(self) -> list[dict[str, Any]]:
        """The rows of the first page as it is sorted now."""
        if self.table is None:
            return []
        return list(self.table.current_view.head(PAGE_SIZE).to_dict("records"))

    def _build(self, frame: pd.DataFrame, settings: Sequence[str]) -> None:
        names = [field_of(setting) for setting in settings]
        narrow = self.session.narrow
        columns = ["line"] if narrow else [*_FIXED[1:3], *names, *_FIXED[3:]]
        short = [short_setting(setting) for setting in settings]
        titles = {**_TITLES, **dict(zip(names, short, strict=True))}
        templates = {**_FORMATTERS, **dict.fromkeys(names, _TEXT)}
        hidden = [name for name in frame.columns if name not in columns]
        self.table = pn.widgets.Tabulator(
            frame[[*columns, *hidden]],
            pagination="remote",
            theme="materialize",
            page_size=PAGE_SIZE,
            disabled=True,
            selectable=False,
            show_index=False,
            row_height=48 if narrow else 31,
            layout="fit_columns",
            sizing_mode="stretch_width",
            hidden_columns=hidden,
            titles=titles,
            widths={}
            if narrow
            else {
                **_WIDTHS,
                "trial": _trial_width(frame, len(settings)),
                **{n: max(52, 7 * len(t) + 12) for n, t in zip(names, short, strict=True)},
            },
            text_align=dict.fromkeys(("clips_s", "seconds", "restarts", *names), "right"),
            formatters={
                name: HTMLTemplateFormatter(template=template)
                for name, template in templates.items()
                if name in columns
            },
            header_filters=False,
            editors=dict.fromkeys(
                frame.columns
            ),  # else every cell is a stop of the Tab key that shows nothing
            stylesheets=[TABLE, "" if len(frame) > PAGE_SIZE else ONE_PAGE],
            margin=0,
            sorters=self._sorters(frame),
            configuration={
                "headerVisible": not narrow,
                "columnDefaults": {"minWidth": 26, "headerTooltip": False, "tooltip": False},
            },
        )
        self.table.on_click(self._on_click)
        self.table.param.watch(self._on_sort, "sorters")
        self.view[:] = [self.table]

    def _patch(self, frame: pd.DataFrame) -> None:
        assert self.table is not None
        old = self.table.value
        patch: dict[str, list[tuple[int, Any]]] = {}
        for name in frame.columns:
            for position, (before, now) in enumerate(zip(old[name], frame[name], strict=True)):
                if before != now and not (pd.isna(before) and pd.isna(now)):
                    patch.setdefault(name, []).append((position, now))
        if patch:
            self.table.patch(patch, as_index=False)

    def _sort(self) -> None:
        assert self.table is not None
        sorters = self._sorters(self.table.value)
        if self.table.sorters != sorters:
            self._busy = True
            try:
                self.table.sorters = sorters
            finally:
                self._busy = False

    def _sorters(self, frame: pd.DataFrame) -> list[dict[str, str]]:
        wanted = self.session.view.sort
        name = wanted.removeprefix("-")
        if name not in frame.columns:
            name, wanted = "miou", "-miou"
        return [{"field": name, "dir": "desc" if wanted.startswith("-") else "asc"}]

    def _on_sort(self, event: Any) -> None:
        if self._busy or not event.new:
            return
        name, way = str(event.new[0].get("field")), event.new[0].get("dir")
        if self.table is not None and name in self.table.value.columns:
            self.session.change(sort=("-" if way == "desc" else "") + name)

    def _on_click(self, event: Any) -> None:
        if self.table is not None and 0 <= event.row < len(self.table.value):
            self._tick(str(self.table.value.index[event.row]))


def _trial_width(frame: pd.DataFrame, settings: int) -> int:
    """Pixels for the longest model's name and the digits, where few settings leave the room."""
    if settings > FEW_SETTINGS:
        return _WIDTHS["trial"]
    longest = max(map(len, frame["model"]), default=0)
    return min(max(8 * longest + 52, _WIDTHS["trial"]), 190)


def _same_shape(frame: pd.DataFrame, held: pd.DataFrame) -> bool:
    """Whether one can become the other by patches: the same rows, and columns of the same types."""
    return list(frame.index) == list(held.index) and dict(frame.dtypes) == dict(held.dtypes)


def field_of(setting: str) -> str:
    """The name of a setting's column, in the table and in an address; the same one for ever."""
    return "s_" + setting.replace(".", "__")


def shown_settings(trials: Sequence[Trial], sort: str) -> list[str]:
    """The settings that have a column: those that differ, and the one that the table is sorted by."""
    settings = changed_settings(trials)
    wanted = sort.removeprefix("-")
    if not wanted.startswith("s_") or wanted in map(field_of, settings):
        return settings
    for name in dict.fromkeys(name for trial in trials for name in trial.settings):
        if field_of(name) == wanted and _SETTING.fullmatch(name):
            return [*settings[: MOST_SETTINGS - 1], name]
    return settings


def changed_settings(trials: Sequence[Trial]) -> list[str]:
    """The settings that differ between these trials, five at most, in the order of the settings."""
    first: dict[str, Any] = {}
    differ = set()
    for trial in trials:
        for name, value in trial.settings.items():
            before = first.setdefault(name, value)
            if before is not value and (before != value or type(before) is not type(value)):
                differ.add(name)
    plain = (name for name in first if name in differ and _SETTING.fullmatch(name))
    by_field = {field_of(name): name for name in plain if name not in _NEVER_SHOWN}
    return list(by_field.values())[:MOST_SETTINGS]


def spark_path(trial: Trial) -> str:
    """The curve as an SVG path in 64 x 18; its width is the share of epochs done."""
    points = trial.curve
    if not points:
        return ""
    top = max(1e-6, *(y for _, y in points))
    last = max(trial.epochs, points[-1][0], 1)
    return " ".join(
        f"{'M' if i == 0 else 'L'}{1 + 62 * x / last:.1f} {16.5 - 15 * max(y, 0.0) / top:.1f}"
        for i, (x, y) in enumerate(points)
    )


def trial_frame(
    trials: Sequence[Trial], colors: Mapping[str, str], settings: Sequence[str]
) -> pd.DataFrame:
    """One row a trial (index: its id) with all that the templates read."""
    top = max((trial.miou or 0.0 for trial in trials), default=0.0)
    rows = []
    for trial in trials:
        changed = [(name, trial.settings.get(name)) for name in settings]
        row: dict[str, Any] = {
            "line": trial.miou if trial.miou is not None else -1.0,
            "mark": colors.get(trial.id, ""),
            "trial": trial.id,
            "miou": float("nan") if trial.miou is None else trial.miou,
            "curve": spark_path(trial),
            "clips_s": float("nan") if trial.clips_s is None else trial.clips_s,
            "seconds": float("nan") if trial.seconds is None else trial.seconds,
            "restarts": trial.restarts,
            "status": trial.status,
            "model": trial.model or trial.id,
            "short": trial.id.rsplit("-", 1)[-1][:4] if trial.model else "",
            "share": (trial.miou or 0.0) / top if top else 0.0,
            "took": "–" if trial.seconds is None else duration(trial.seconds),
            "progress": min(trial.epoch / trial.epochs, 1.0) if trial.epochs else 0.0,
            "epochs": f"{trial.epoch} / {trial.epochs}",
            "why": trial.error,
            "changed": " · ".join(
                f"{short_setting(name)} {written(value)}" for name, value in changed
            ),
        }
        rows.append(row)
    index = [trial.id for trial in trials]
    frame = pd.DataFrame(rows, columns=[*_FIXED, *_CARRIED], index=index)
    for name in settings:
        frame[field_of(name)] = setting_cells([trial.settings.get(name) for trial in trials])
    return frame


def short_setting(setting: str) -> str:
    """A setting's name without its group, shortened where a word says as much."""
    return _SHORT.get(setting, setting.rpartition(".")[2])


def setting_cells(values: Sequence[Any]) -> list[Any]:
    """Numbers where all are numbers, NaN for those that are absent, so that they sort as numbers.

    Else texts: Tabulator's sorter lower-cases a column that has a text in it.
    """
    given = [value for value in values if value is not None]
    if given and all(isinstance(v, int | float) and not isinstance(v, bool) for v in given):
        return [float("nan") if value is None else value for value in values]
    return [written(value) for value in values]


def written(value: Any) -> str:
    """A setting's value as people type it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)

"""Leaderboard: which trial is best, is it still moving, did anything die.

Five figures, the table, the curves and the per-class IoU of the ticked trials. A ticked trial has one
colour everywhere. The table is patched and the curves are streamed: nothing is built again on news,
so selection, sort and page stay.
"""

from functools import partial
from typing import Any

import panel as pn

from segnets.app.pages.cost import Cost
from segnets.app.pages.curves import Curves
from segnets.app.pages.figures import grid_figures
from segnets.app.pages.first import first_view
from segnets.app.pages.matters import in_words, parallel_axes, within
from segnets.app.pages.table import TrialTable
from segnets.app.parts import SAVE_CSV, Axes, Bar, Figures, Heat, Notice, copy_link
from segnets.app.records import FILTERS, Trial, class_values, sequence
from segnets.app.state import MOST_TICKED, STATUS_FILTERS, Session, View, parse_brush
from segnets.app.takeaway import to_csv, trial_rows
from segnets.app.theme import CARD, TRIAL_COLORS, css
from segnets.labels import CLASS_COLORS, CLASS_NAMES

_ALL = {"type": "button", "key": "all", "text": "show all", "aria": "free the chosen ranges"}
FIRST_TICKED = 3
"""So many of the best are ticked as long as nobody chose."""


class Leaderboard:
    """The page; `view` is its pane."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._colors: dict[str, str] = {}
        self._best_of = ("", "any")  # grid and status that the best were ticked of
        self._rows_of: dict[str, tuple[str, list[dict[str, Any]]]] = {}  # trial -> view key, epochs
        self._asked: set[tuple[str, str]] = set()
        self._unread: dict[str, str] = {}  # trial -> why its curve is missing
        self._kept: set[str] | None = None  # trials within the ranges of What matters; None: all
        self.bar = Bar(kind="top", on_message=self._on_bar)
        self.empty = Notice(tone="big", margin=(24, 22))
        self.figures = Figures()
        self.table = TrialTable(session, self._tick)
        self.curves = Curves(session)
        self.curves.make_slots(FIRST_TICKED)
        self.cost = Cost(session)
        self.heat = Heat(
            classes=[
                {"name": name, "color": "rgb({},{},{})".format(*color)}
                for name, color in zip(CLASS_NAMES, CLASS_COLORS, strict=True)
            ]
        )
        self.heat_bar = Bar()
        self.table_bar = Bar(on_message=self._on_bar)
        self.axes = Axes(on_message=self._on_axes)
        self.matters_bar = Bar()
        self.matters = pn.Column(
            self.matters_bar, self.axes, stylesheets=[CARD], margin=0, visible=False
        )
        cards = pn.Column(
            self.figures,
            pn.Column(
                pn.Column(
                    pn.Column(self.table_bar, self.table.view, stylesheets=[CARD], margin=0),
                    self.matters,
                    stylesheets=[css("pile")],
                    margin=0,
                ),
                pn.Column(*self.curves.views, stylesheets=[CARD], margin=0),
                stylesheets=[css("columns")],
                margin=(12, 0),
            ),
            pn.Column(
                pn.Column(self.heat_bar, self.heat, stylesheets=[CARD], margin=0),
                pn.Column(*self.cost.views, stylesheets=[CARD], margin=0),
                stylesheets=[css("columns")],
                margin=0,
            ),
            stylesheets=[css("body")],
            margin=0,
        )
        self.body = cards
        self.view = pn.Column(self.bar, self.empty, cards, margin=0, stylesheets=[css("stack")])
        session.listeners.append(self._on_view)

    def refresh(self) -> None:
        """Show what the snapshot now says."""
        snapshot = self.session.snapshot
        trials = self._trials()
        self._tick_best(self._of_status(trials))
        self._color()
        self._draw_bar(trials)
        nothing = not snapshot.trials
        self.empty.say(
            self._empty_text() if nothing else "",
            title="No trial yet" if snapshot.looked and not snapshot.fault else "",
            command=(
                f"python flows/train_grid.py --store {self.session.reader.url}"
                if nothing and not snapshot.fault and snapshot.looked
                else ""
            ),
        )
        self.body.visible = not nothing
        if nothing:
            return
        self.figures.figures = grid_figures(trials)
        axes, lines = parallel_axes(self._of_status(trials), self._colors)
        self._kept = within(self.session.view.brush, axes, lines)
        shown = self._filtered(trials)
        self.table.show(shown, self._colors)
        if self.session.greeted:  # what would keep the first view waiting
            self.cost.show(shown, self._colors)
            self.curves.make_slots(MOST_TICKED)
        self.axes.show(axes, lines)
        self.axes.brush = [list(one) for one in self.session.view.brush]
        self.matters.visible = bool(axes)
        self.matters_bar.items = [
            {"type": "title", "text": "What matters", "level": 2},
            {
                "type": "note",
                "text": f"{in_words(trials) or 'a line a trial'} · drag along an axis to choose",
            },
        ]
        self.curves.grow(tall=bool(axes) and not self.session.narrow)
        self._draw_table_bar(len(shown), len(trials))
        self._ask_curves()
        self._draw_curves()

    def recolor(self) -> None:
        """Style sheets do it all, and Bokeh follows the shell."""

    def first(self) -> str:
        """HTML that the page carries until the live table stands; "" if there is nothing to see."""
        rows = self.table.first_rows() if self.body.visible else []
        return first_view(self.figures.figures, rows) if rows else ""

    def _empty_text(self) -> str:
        snapshot = self.session.snapshot
        if snapshot.fault:
            return "The store does not answer; what it holds appears here as soon as it does."
        if not snapshot.looked:
            return "Looking at the store …"
        return "This store holds no trial. The page fills by itself as soon as one is trained:"

    def _trials(self) -> list[Trial]:
        snapshot = self.session.snapshot
        grid = snapshot.grids.get(self.session.view.grid)
        if grid is None:
            return list(snapshot.trials.values())
        return [snapshot.trials[trial] for trial in grid.trials if trial in snapshot.trials]

    def _of_status(self, trials: list[Trial]) -> list[Trial]:
        statuses = FILTERS[self.session.view.status]
        return [trial for trial in trials if trial.status in statuses]

    def _filtered(self, trials: list[Trial]) -> list[Trial]:
        """Those of the status, and within the ranges of What matters."""
        kept = self._kept
        return [trial for trial in self._of_status(trials) if kept is None or trial.id in kept]

    def _tick_best(self, trials: list[Trial]) -> None:
        """As long as nobody chose: the best few of these, kept until other trials are asked for."""
        view = self.session.view
        if view.ticked is not None:
            return
        before, self._best_of = self._best_of, (view.grid, view.status)
        shown = {trial.id for trial in trials} if before == self._best_of else set()
        kept = [trial for trial in self._colors if trial in shown]
        scored = [trial for trial in trials if trial.miou is not None]
        for trial in sorted(scored, key=lambda t: -(t.miou or 0.0)):
            if len(kept) < FIRST_TICKED and trial.id not in kept:
                kept.append(trial.id)
        self._assign(kept)

    def _ticked(self) -> list[str]:
        chosen = self.session.view.ticked
        wanted = self._colors if chosen is None else chosen
        return [trial for trial in wanted if trial in self.session.snapshot.trials]

    def _assign(self, trials: list[str]) -> None:
        """A colour for each; who has one keeps it."""
        kept = {trial: color for trial, color in self._colors.items() if trial in trials}
        free = [color for color in TRIAL_COLORS if color not in kept.values()]
        for trial in trials:
            if trial not in kept and free:
                kept[trial] = free.pop(0)
        self._colors = kept

    def _color(self) -> None:
        if self.session.view.ticked is not None:
            self._assign(self._ticked())

    def _tick(self, trial: str) -> None:
        ticked = self._ticked()
        if trial in ticked:
            ticked.remove(trial)
        else:
            ticked = [*ticked, trial][-MOST_TICKED:]
        self.session.change(ticked=tuple(ticked))

    def _on_view(self, before: View, now: View) -> None:
        if now.page == "trials" and before.page == "trials":
            self.refresh()

    def _on_bar(self, data: dict[str, Any]) -> None:
        key, value = data.get("key"), str(data.get("value", ""))
        if key == "grid" and (value == "" or value in self.session.snapshot.grids):
            self.session.change(grid=value)
        elif key == "status" and value in STATUS_FILTERS:
            self.session.change(status=value)
        elif key == "all":
            self.session.change(brush=())
        elif key == "csv":
            rows = trial_rows(self._filtered(self._trials()))
            self.table_bar.hand(f"{self.session.view.grid or 'trials'}.csv", to_csv(rows))

    def _on_axes(self, data: dict[str, Any]) -> None:
        ranges = [one for one in sequence(data.get("brush")) if len(sequence(one)) == 3]
        self.session.change(brush=parse_brush([f"{k}.{low}-{high}" for k, low, high in ranges]))

    def _draw_bar(self, trials: list[Trial]) -> None:
        snapshot = self.session.snapshot
        view = self.session.view
        items: list[dict[str, Any]] = [{"type": "title", "text": "Leaderboard", "level": 1}]
        if snapshot.grids:
            newest = sorted(snapshot.grids.values(), key=lambda grid: -grid.time)
            options = [{"value": "", "label": f"all trials ({len(snapshot.trials)})"}]
            options += [
                {"value": g.id, "label": f"{g.id} ({len(g.trials)}: {', '.join(g.axes) or 'one'})"}
                for g in newest[:200]
            ]
            value = view.grid if view.grid in snapshot.grids else ""
            items.append(
                {
                    "type": "select",
                    "key": "grid",
                    "label": "grid",
                    "value": value,
                    "options": options,
                }
            )
            if view.grid and not value:
                items.append(
                    {
                        "type": "note",
                        "text": f"Grid {view.grid} is not in this store.",
                        "tone": "warn",
                    }
                )
        datasets = sorted({trial.dataset for trial in trials if trial.dataset})
        if datasets:
            more = f" and {len(datasets) - 1} more" if len(datasets) > 1 else ""
            items.append({"type": "note", "text": datasets[0] + more})
        running = sum(trial.status == "running" for trial in trials)
        tone, text = ("on", f"live · {running} running") if running else ("", "nothing is running")
        if snapshot.fault:
            tone, text = "off", "store away"
        items += [
            {"type": "live", "text": text, "tone": tone},
            {"type": "gap"},
            copy_link(sel=",".join(self._ticked())),
        ]
        self.bar.items = items

    def _draw_table_bar(self, shown: int, total: int) -> None:
        unknown = [
            trial
            for trial in self.session.view.ticked or ()
            if trial not in self.session.snapshot.trials
        ]
        missing = self.table.missing
        rows = f"{shown} of {total}" if shown != total else f"{total}"
        self.table_bar.items = [
            {"type": "title", "text": "Trials", "level": 2},
            {
                "type": "note",
                "text": (
                    f"Trial {unknown[0]} is not in this store."
                    if unknown
                    else f"{rows} · click a row to tick it"
                ),
                "tone": "warn" if unknown else "",
            },
            *(
                [{"type": "note", "tone": "warn", "text": f"sorted by mIoU: no column {missing}"}]
                if missing
                else []
            ),
            *([_ALL] if self._kept is not None else []),
            {"type": "gap"},
            {
                "type": "segments",
                "key": "status",
                "aria": "status",
                "value": self.session.view.status,
                "options": [{"value": word, "label": word} for word in STATUS_FILTERS],
            },
            SAVE_CSV,
        ]

    def _ask_curves(self) -> None:
        """Fetch the epochs of ticked trials whose view has changed since."""
        for trial in self._ticked():
            key = self.session.snapshot.trials[trial].key
            held = self._rows_of.get(trial, ("", []))[0]
            if not key or held == key or (trial, key) in self._asked:
                continue
            self._asked.add((trial, key))
            self.session.later(
                partial(self.session.reader.curve, trial),
                partial(self._have_curve, trial, key),
                partial(self._have_no_curve, trial, key),
            )

    def _have_curve(self, trial: str, key: str, rows: list[dict[str, Any]]) -> None:
        self._asked.discard((trial, key))
        self._rows_of[trial] = (key, rows)
        self._unread.pop(trial, None)
        self._draw_curves()

    def _have_no_curve(self, trial: str, key: str, sentence: str) -> None:
        self._asked.discard((trial, key))  # the next refresh asks again
        self._unread[trial] = sentence
        self._draw_curves()

    def _draw_curves(self) -> None:
        ticked = self._ticked()
        known = self.session.snapshot.trials
        self._rows_of = {trial: self._rows_of[trial] for trial in self._rows_of if trial in ticked}
        self.curves.show(
            [
                (trial, short_name(known[trial]), self._colors[trial], self._rows_of[trial][1])
                for trial in ticked
                if trial in self._rows_of and trial in self._colors
            ],
            next((self._unread[trial] for trial in ticked if trial in self._unread), ""),
        )
        rows = []
        for trial in ticked:
            if trial not in self._colors:
                continue
            best = known[trial].best
            values: list[float | None] = class_values(None)
            for row in self._rows_of.get(trial, ("", []))[1]:
                if row.get("split") == "val" and row.get("epoch") == best.epoch:
                    values = class_values(row.get("iou"))
            rows.append(
                {
                    "label": short_name(known[trial]).rpartition(" ")[2]
                    if self.session.narrow
                    else short_name(known[trial]),
                    "color": self._colors[trial],
                    "values": values,
                    "miou": best.miou,
                }
            )
        self.heat.rows = rows
        self.heat_bar.items = [
            {"type": "title", "text": "Per-class IoU", "level": 2},
            {"type": "note", "text": "ticked trials at their best epoch, val, in percent"},
        ]


def short_name(trial: Trial) -> str:
    """Model and the first four digits of the id, as people say it."""
    digits = trial.id.rsplit("-", 1)[-1][:4]
    return f"{trial.model} {digits}" if trial.model else trial.id

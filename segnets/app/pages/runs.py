"""Runs: did anything get lost. A lane a trial, and the log of the one that is opened, in words.

The lanes in sight are read from their logs, a dozen at most; everything else is told by summaries. An
entry never changes, so news cost one listing and one read a trial.
"""

from functools import partial
from typing import Any

import panel as pn

from segnets.app.pages.lanes import LANES, in_window, lane, span
from segnets.app.pages.leaderboard import short_name
from segnets.app.pages.runfigures import run_figures
from segnets.app.pages.story import advice, log_rows, story, train_command
from segnets.app.parts import SAVE_CSV, Bar, Figures, LogCards, Notice, Timeline, copy_link
from segnets.app.records import FILTERS, Trial
from segnets.app.state import STATUS_FILTERS, WINDOWS, Session, View
from segnets.app.takeaway import to_csv, trial_rows
from segnets.app.theme import CARD, css
from segnets.app.timeline import Life, read_life, status_now

_WINDOW_NAMES = {"2h": "last 2 h", "24h": "last 24 h", "7d": "last 7 days", "all": "all time"}


class RunsPage:
    """The page; `view` is its pane."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lives: dict[str, Life] = {}  # of the lanes in sight and of the opened trial
        self._asked: dict[str, tuple[str, str]] = {}  # trial -> (view key, status) then
        self._faults: dict[str, str] = {}
        self.bar = Bar(kind="top", on_message=self._on_bar)
        self.empty = Notice(tone="big", margin=(24, 22))
        self.figures = Figures()
        self.lanes_bar = Bar(on_message=self._on_bar)
        self.no_lane = Notice(margin=(12, 0, 0, 0))
        self.timeline = Timeline(on_message=self._on_timeline)
        self.cards = LogCards()
        self.body = pn.Column(
            self.figures,
            pn.Column(
                self.lanes_bar, self.no_lane, self.timeline, stylesheets=[CARD], margin=(12, 0)
            ),
            self.cards,
            stylesheets=[css("body")],
            margin=0,
        )
        self.view = pn.Column(self.bar, self.empty, self.body, margin=0, stylesheets=[css("stack")])
        session.listeners.append(self._on_view)

    def refresh(self) -> None:
        """Show what the snapshot now says, and ask for the logs of the lanes in sight."""
        trials, window = self._trials()
        shown, first = self._in_sight(trials)
        opened = self._opened(shown)
        self._draw_bar(window, opened)
        self._say_empty(trials)
        self.body.visible = bool(self.session.snapshot.trials)
        for part in (self.figures, self.timeline, self.cards):
            part.visible = bool(trials)  # the choice of a status stays
        if not trials:
            self._draw_lanes_bar(trials, first)
            return
        wanted = [*shown, *([opened] if opened and opened not in shown else [])]
        for trial in wanted:
            self._ask(trial)
        self._lives = {t.id: self._lives[t.id] for t in wanted if t.id in self._lives}
        self._asked = {t.id: self._asked[t.id] for t in wanted if t.id in self._asked}
        self._draw(trials, shown, opened, window, first)

    def recolor(self) -> None:
        """Style sheets do it all."""

    def _trials(self) -> tuple[list[Trial], str]:
        """Those of the grid, status and window; where the window is empty, of all time."""
        snapshot, view = self.session.snapshot, self.session.view
        grid = snapshot.grids.get(view.grid)
        found = list(snapshot.trials.values())
        if grid is not None:
            found = [snapshot.trials[t] for t in grid.trials if t in snapshot.trials]
        found = [trial for trial in found if trial.status in FILTERS[view.status]]
        moved = in_window(found, view.window, snapshot.looked)
        if moved or not found:
            return moved, view.window
        return in_window(found, "all", snapshot.looked), "all"

    def _in_sight(self, trials: list[Trial]) -> tuple[list[Trial], int]:
        """Those whose lanes are shown, and the position of their first."""
        first = min(self.session.view.lane, max(len(trials) - 1, 0)) // LANES * LANES
        return trials[first : first + LANES], first

    def _opened(self, shown: list[Trial]) -> Trial | None:
        wanted = self.session.view.trial
        if wanted:
            return self.session.snapshot.trials.get(wanted)
        return shown[0] if shown else None

    def _ask(self, trial: Trial) -> None:
        now = (trial.key, trial.status)
        if self._asked.get(trial.id) == now:
            return
        self._asked[trial.id] = now
        self.session.later(
            partial(read_life, self.session.reader, trial.id),
            partial(self._have, trial.id),
            partial(self._failed, trial.id),
        )

    def _have(self, trial: str, life: Life) -> None:
        self._lives[trial] = life
        self._faults.pop(trial, None)
        if self.session.view.page == "runs":
            self.refresh()

    def _failed(self, trial: str, sentence: str) -> None:
        self._asked.pop(trial, None)  # the next refresh asks again
        self._faults[trial] = sentence
        trials, _window = self._trials()
        if trials and self.session.view.page == "runs":
            self._draw_cards(self._opened(self._in_sight(trials)[0]))

    def _draw(
        self,
        trials: list[Trial],
        shown: list[Trial],
        opened: Trial | None,
        window: str,
        first: int,
    ) -> None:
        now = self.session.snapshot.looked
        lives = self._lives
        self.figures.figures = run_figures(shown, lives)
        start, end = span(shown, lives, window, now)
        self.timeline.param.update(
            lanes=[lane(trial, lives.get(trial.id), now) for trial in shown],
            span=[start, end],
            now=now,
            opened=opened.id if opened else "",
        )
        self._draw_lanes_bar(trials, first)
        self._draw_cards(opened)

    def _draw_cards(self, opened: Trial | None) -> None:
        wanted = self.session.view.trial
        if opened is None:
            self.cards.param.update(
                title=wanted, fault=f"Trial {wanted} is not in this store.", rows=[], story=[]
            )
            return
        life = self._lives.get(opened.id)
        status = status_now(opened.status, life) if life else opened.status
        sentence, tone = advice(opened, status, life)
        url = self.session.reader.url
        commands = [["", train_command(opened, url)]]
        if opened.best.epoch:
            commands += [
                [
                    "Masks of it:",
                    f"python flows/predict.py --trial {opened.id} --store {url}",
                ],
                [
                    "Its weights, without pickle:",
                    (
                        f"python -m segnets.store get {url} {opened.id}/weights.safetensors"
                        " --out weights.safetensors"
                    ),
                ],
            ]
        self.cards.param.update(
            title=short_name(opened),
            status=status,
            fault=self._faults.get(opened.id, ""),
            attempts=len(life.attempts) if life else opened.attempts,
            rows=log_rows(life) if life else [],
            total=len(life.lines) if life else 0,
            story=story(life, status) if life else [],
            reading=life is None,
            advice=[sentence, tone],
            commands=commands,
        )

    def _say_empty(self, trials: list[Trial]) -> None:
        snapshot, view = self.session.snapshot, self.session.view
        none = ""
        if snapshot.trials and not trials:
            where = f" of grid {view.grid}" if view.grid else ""
            what = "is in this store" if view.status == "any" else f"is {view.status} now"
            none = f"No trial{where} {what}. Choose another status above."
        self.no_lane.say(none)
        if snapshot.trials:
            self.empty.say("")
        elif snapshot.fault:
            self.empty.say("The store does not answer; its trials appear here as soon as it does.")
        elif not snapshot.looked:
            self.empty.say("Looking at the store …")
        else:
            self.empty.say(
                "This store holds no trial. The page fills by itself as soon as one is trained:",
                title="Nothing has run yet",
                command=f"python flows/train_grid.py --store {self.session.reader.url}",
            )

    def _draw_bar(self, window: str, opened: Trial | None) -> None:
        snapshot, view = self.session.snapshot, self.session.view
        items: list[dict[str, Any]] = [{"type": "title", "text": "Runs", "level": 1}]
        if snapshot.grids:
            newest = sorted(snapshot.grids.values(), key=lambda grid: -grid.time)[:200]
            options = [{"value": "", "label": "all trials"}]
            options += [{"value": g.id, "label": f"{g.id} ({len(g.trials)})"} for g in newest]
            known = view.grid in snapshot.grids
            items.append(
                {
                    "type": "select",
                    "key": "grid",
                    "label": "grid",
                    "value": view.grid if known else "",
                    "options": options,
                }
            )
            if view.grid and not known:
                text = f"Grid {view.grid} is not in this store."
                items.append({"type": "note", "text": text, "tone": "warn"})
        items.append(
            {
                "type": "select",
                "key": "window",
                "aria": "time",
                "value": view.window,
                "options": [{"value": word, "label": _WINDOW_NAMES[word]} for word in WINDOWS],
            }
        )
        if window != view.window:
            text = f"nothing moved in the {_WINDOW_NAMES[view.window]}: all time is shown"
            items.append({"type": "note", "text": text})
        running = sum(trial.status == "running" for trial in snapshot.trials.values())
        tone, text = ("on", f"live · {running} running") if running else ("", "nothing is running")
        if snapshot.fault:
            tone, text = "off", "store away"
        items += [
            {"type": "live", "text": text, "tone": tone},
            {"type": "gap"},
            copy_link(t=opened.id if opened else ""),
        ]
        self.bar.items = items

    def _draw_lanes_bar(self, trials: list[Trial], first: int) -> None:
        items: list[dict[str, Any]] = [
            {"type": "title", "text": "Timeline", "level": 2},
            {
                "type": "note",
                "text": "one lane a trial, one dot a save; cross: it died; click opens its log",
            },
            {"type": "gap"},
        ]
        if len(trials) > LANES:
            starts = range(0, len(trials), LANES)
            options = [
                {
                    "value": str(at),
                    "label": f"{at + 1}–{min(at + LANES, len(trials))} of {len(trials)}",
                }
                for at in starts
            ]
            items.append(
                {
                    "type": "select",
                    "key": "first",
                    "aria": "trials shown",
                    "value": str(first),
                    "options": options[:500],
                }
            )
        items.append(
            {
                "type": "segments",
                "key": "status",
                "aria": "status",
                "value": self.session.view.status,
                "options": [{"value": word, "label": word} for word in STATUS_FILTERS],
            }
        )
        self.lanes_bar.items = [*items, SAVE_CSV]

    def _on_bar(self, data: dict[str, Any]) -> None:
        key, value = data.get("key"), str(data.get("value", ""))
        if key == "grid" and (value == "" or value in self.session.snapshot.grids):
            self.session.change(grid=value, lane=0)
        elif key == "window" and value in WINDOWS:
            self.session.change(window=value, lane=0)
        elif key == "status" and value in STATUS_FILTERS:
            self.session.change(status=value, lane=0)
        elif key == "first" and value.isdecimal():
            self.session.change(lane=int(value[:6]))
        elif key == "csv":
            self.lanes_bar.hand("runs.csv", to_csv(trial_rows(self._trials()[0])))

    def _on_timeline(self, data: dict[str, Any]) -> None:
        trial = data.get("trial")
        if trial in self.session.snapshot.trials:
            self.session.change(trial=trial)

    def _on_view(self, before: View, now: View) -> None:
        if now.page == "runs" and before.page == "runs":
            self.refresh()

"""Compare: is A really better than B, where, and what does it cost."""

from functools import partial
from typing import Any

import panel as pn

from segnets.app.compare import (
    Contest,
    catalogue,
    contest,
    differing,
    sentence,
    shares,
    where_mistaken,
)
from segnets.app.duel import Duel, Gaps, Matrix, Verdict
from segnets.app.pages.pairbar import pair_bar
from segnets.app.pages.paircurves import PairCurves
from segnets.app.pages.pictures import Ask, Key, known, last_frame, supply, truth_of
from segnets.app.pages.table import short_setting, written
from segnets.app.pages.told import Told, not_whole
from segnets.app.pages.verdict import class_gaps, cost_fact, verdict_facts
from segnets.app.parts import Bar
from segnets.app.read import Display, Samples
from segnets.app.records import Evaluation, count
from segnets.app.rivals import NoPair, alike, choose
from segnets.app.state import WAYS, Session, View
from segnets.app.takeaway import pair_rows, to_csv
from segnets.app.theme import CARD, css
from segnets.labels import CLASS_NAMES

_TWO_TO_ONE = ":host { --wide: 2fr; }"
_SIDES = (("a", "A"), ("b", "B"), ("gap", "A−B"))


class ComparePage:
    """The page; `view` is its pane."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._shown: tuple[str, ...] = ()  # both evaluations and the keys of their views
        self._drawn: tuple[str, ...] = ()
        self._pair: tuple[Evaluation, Evaluation] | None = None
        self._tables = (Samples({}, None), Samples({}, None))
        self._keys: set[Key] = set()  # samples that both have
        self._display = Display({}, None)
        self._contest: Contest | None = None
        self._side = "a"
        self._metric = session.view.metric
        self.bar = Bar(kind="top", on_message=self._on_bar)
        self.verdict = Verdict()
        self.duel = Duel(
            on_message=self._on_duel,
            way=session.view.way,
            opacity=session.view.opacity,
            sample=session.view.sample,
            dark=session.dark,
        )
        self.gaps = Gaps()
        self.matrix = Matrix(on_message=self._on_duel)
        self.matrix_bar = Bar(on_message=self._on_bar)
        self.curves = PairCurves(session)
        gaps_bar = Bar(
            items=[
                {"type": "title", "text": "IoU difference per class", "level": 2},
                {"type": "note", "text": "A − B"},
            ]
        )
        right = pn.Column(
            pn.Column(gaps_bar, self.gaps, stylesheets=[CARD], margin=0),
            pn.Column(self.matrix_bar, self.matrix, stylesheets=[CARD], margin=(12, 0, 0, 0)),
            stylesheets=[css("stack")],
            margin=0,
        )
        left = pn.Column(
            self.duel,
            pn.Column(*self.curves.views, stylesheets=[CARD], margin=(12, 0, 0, 0)),
            stylesheets=[css("stack")],
            margin=0,
        )
        self._told = Told(
            self.bar,
            self.verdict,
            pn.Column(left, right, stylesheets=[css("columns"), _TWO_TO_ONE], margin=(12, 0, 0, 0)),
        )
        self.view = self._told.view
        session.listeners.append(self._on_view)

    def refresh(self) -> None:
        """Show what the snapshot now says; the two on show stay."""
        view, snapshot = self.session.view, self.session.snapshot
        pair = choose(
            snapshot, (view.first, view.second), view.ticked or (), self.session.reader.url
        )
        self._pair = None if isinstance(pair, NoPair) else pair
        self._draw_bar()
        if isinstance(pair, NoPair):
            self._shown = ()
            self._told.tell(pair.title, pair.sentence, pair.command)
            return
        wanted = (*(one.id for one in pair), *(one.key for one in pair))
        if wanted == self._shown:
            self._draw_verdict()  # settings and times may be new
            return
        self._shown = wanted
        if self._contest is None:
            self._told.tell(says="Comparing …")
        self.session.later(
            partial(self._read, *pair), partial(self._have, wanted), partial(self._failed, wanted)
        )

    def recolor(self) -> None:
        """The chart and the map are painted, not styled."""
        self.duel.dark = self.session.dark

    def _read(self, a: Evaluation, b: Evaluation) -> tuple[Any, ...]:
        reader = self.session.reader
        tables = (reader.samples(a.id), reader.samples(b.id))
        found = contest(reader, a, b)
        return found, tables, reader.display(a.dataset), catalogue(found.pair, tables[0])

    def _have(self, wanted: tuple[str, ...], answer: tuple[Any, ...]) -> None:
        if wanted != self._shown or self._pair is None:
            return
        self._contest, self._tables, self._display, rows = answer
        contested: Contest = answer[0]
        self._keys = self._tables[0].rows.keys() & self._tables[1].rows.keys()
        self._drawn = wanted
        for one, table in zip(self._pair, self._tables, strict=True):
            if not table.rows:
                self._told.tell(*not_whole(f"Evaluation {one.id}", self.session.reader.url))
                return
        if not rows:
            self._told.tell("Nothing to compare", "These two have no sample in common.")
            return
        self._told.tell()
        source = "|".join(wanted[:2])
        if self.duel.source != source:
            self.duel.source = source
            self.duel.ask(self.session.view.sample)
        self.duel.param.update(
            labels={
                side: one.trial.rsplit("-", 1)[-1][:4] or one.id[:12]
                for side, one in zip(("a", "b"), self._pair, strict=True)
            },
            **self._picked(),
        )
        self.duel.catalog = rows
        self.gaps.rows = class_gaps(contested)
        self.matrix.param.update(
            a=shares(contested.confusion[0]),
            b=shares(contested.confusion[1]),
            mistake=self.session.view.mistake,
        )
        self._draw_matrix_bar()
        self._draw_verdict()
        a, b = self._pair
        self.session.change(first=a.id, second=b.id)  # a link that is copied now means these two
        keys = {row["key"] for row in rows}
        if self.session.view.sample and self.session.view.sample not in keys:
            self._draw_bar(f"Sample {self.session.view.sample} is not in both.")

    def _failed(self, wanted: tuple[str, ...], says: str) -> None:
        if wanted == self._shown:
            self._shown = ()  # so that the tab's clock asks again
            self._told.tell("The two could not be compared", says)

    def _draw_verdict(self) -> None:
        if self._contest is None or self._pair is None or self._drawn != self._shown:
            return  # the one on show is of another pair: its successor is on its way
        verdict = self._contest.verdict
        trials = [self.session.snapshot.trials.get(one.trial) for one in self._pair]
        self.curves.show(trials)
        differs = []
        if trials[0] is not None and trials[1] is not None:
            differs = [
                [short_setting(name), written(a), written(b)]
                for name, a, b in differing(trials[0], trials[1])
            ]
        self.verdict.param.update(
            sentence=sentence(verdict),
            tone=verdict.leader.lower(),
            facts=[*verdict_facts(verdict, self._contest.pair.only), cost_fact(*trials)],
            differs=differs,
        )

    def _draw_bar(self, warning: str = "") -> None:
        view = self.session.view
        chosen = tuple(one.id for one in self._pair) if self._pair else (view.first, view.second)
        self.bar.items = pair_bar(self.session.snapshot.evals, chosen, warning)

    def _draw_matrix_bar(self) -> None:
        names = {"a": "Confusion of A", "b": "Confusion of B", "gap": "Confusion, A − B"}
        self.matrix_bar.items = [
            {"type": "title", "text": names[self._side], "level": 2},
            {"type": "note", "text": "row = truth, %"},
            {"type": "gap"},
            {
                "type": "segments",
                "key": "side",
                "aria": "whose confusion",
                "value": self._side,
                "options": [{"value": value, "label": label} for value, label in _SIDES],
            },
        ]

    def _picked(self) -> dict[str, Any]:
        """The samples of the chosen mistake, and its name."""
        mistake = self.session.view.mistake
        if not mistake or self._contest is None:
            return {"picked": [], "mistake": ""}
        truth, predicted = map(int, mistake.split("-"))
        names = (*CLASS_NAMES, "none")
        return {
            "picked": where_mistaken(self._contest.pair, self._tables, truth, predicted),
            "mistake": f"{names[truth]} read as {names[predicted]}",
        }

    def _on_view(self, before: View, now: View) -> None:
        if now.page == "trials" and now.ticked != before.ticked:
            self.session.change(first="", second="")  # who ticks others wants to compare those
        if now.page != "compare":
            return
        self.duel.follow(way=now.way, opacity=now.opacity)
        if now.mistake != self.matrix.mistake:
            self.matrix.mistake = now.mistake
            self.duel.param.update(**self._picked())
        if (now.first, now.second) != (before.first, before.second):
            self.refresh()
        if self._drawn == self._shown:  # else the two that are read now bring their sample
            self.duel.follow(sample=now.sample)
        if now.metric != self._metric:
            self._metric = now.metric
            self.curves.draw()

    def _on_bar(self, data: dict[str, Any]) -> None:
        key, value = data.get("key"), data.get("value")
        evals = self.session.snapshot.evals
        if key == "side" and value in dict(_SIDES):
            self._side = self.matrix.side = str(value)
            self._draw_matrix_bar()
        elif key in ("a", "b") and value in evals:
            chosen = [one.id for one in self._pair] if self._pair else ["", ""]
            place = "ab".index(str(key))
            if value == chosen[1 - place]:
                chosen.reverse()
            chosen[place] = str(value)
            other = evals.get(chosen[1 - place])
            if other and not alike(other, evals[chosen[place]]):
                chosen[1 - place] = ""  # the page finds one that can be compared
            self.session.change(first=chosen[0], second=chosen[1])
        elif key == "swap" and self._pair:
            self.session.change(first=self._pair[1].id, second=self._pair[0].id)
        elif key == "csv" and self._contest and self._pair:
            name = " ".join(one.id for one in self._pair)
            self.bar.hand(f"{name}.csv", to_csv(pair_rows(self._contest.pair)))

    def _on_duel(self, data: dict[str, Any]) -> None:
        kind = data.get("type")
        key = known(data.get("sample"), self._keys)
        if kind == "want":
            supply(self.session, self.duel, data, self._keys, self._asks)
        elif kind == "show" and key:
            self.session.change(sample="/".join(key))
        elif kind == "open" and key and self._pair and data.get("side") in ("a", "b"):
            one = self._pair["ab".index(data["side"])]
            self.session.change(page="samples", evaluation=one.id, sample="/".join(key))
        elif kind == "way" and data.get("way") in WAYS:
            self.session.change(way=data["way"])
        elif kind == "opacity":
            self.session.change(opacity=min(count(data.get("opacity")), 100))
        elif kind == "mistake":
            pair = str(data.get("mistake")).split("-")
            named = [int(part) for part in pair if part.isdecimal()]
            is_cell = len(named) == 2 and named[0] < 19 and named[1] < 20
            self.session.change(mistake=f"{named[0]}-{named[1]}" if is_cell else "")

    def _asks(self, key: Key, _sample: bool, _past: bool) -> Ask:
        tables, display, reader = self._tables, self._display, self.session.reader

        def ask() -> dict[str, Any]:
            sides = {
                side: reader.picture(
                    table.layers,
                    table.rows[key].get("pred_offset"),
                    table.rows[key].get("pred_size"),
                )
                for side, table in zip("ab", tables, strict=True)
            }
            frame, _ = last_frame(reader, display, key)
            return {"frame": frame, "truth": truth_of(reader, display, key), **sides}

        return ask

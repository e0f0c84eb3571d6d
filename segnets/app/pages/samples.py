"""Samples: where is a model wrong. Worst first, with the pictures that the evaluation kept."""

from functools import partial
from typing import Any

from segnets.app.pages.pictures import (
    Ask,
    Key,
    clip_answer,
    known,
    last_frame,
    past_of,
    supply,
    truth_of,
)
from segnets.app.pages.samplerows import catalogue, evaluation_label, sample_facts
from segnets.app.pages.told import Told, not_whole
from segnets.app.parts import SAVE_CSV, Bar, copy_link
from segnets.app.read import Display, Samples
from segnets.app.records import Evaluation, count, sequence
from segnets.app.state import LAYERS, ORDERS, Session, View, parse_hidden
from segnets.app.takeaway import sample_rows, to_csv
from segnets.app.viewer import Viewer


class SamplesPage:
    """The page; `view` is its pane."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._shown: tuple[str, str] = ("", "")  # evaluation, key of its view
        self._chosen = ""  # by the page itself: a better evaluation comes with a new tab
        self._table = Samples({}, None)
        self._display = Display({}, None)
        self.bar = Bar(kind="top", on_message=self._on_bar)
        self.viewer = Viewer(
            on_message=self._on_viewer,
            layer=session.view.layer,
            opacity=session.view.opacity,
            hidden=list(session.view.hidden),
            order=session.view.order,
            sample=session.view.sample,
        )
        self._told = Told(
            self.bar,
            self.viewer,
        )
        self.view = self._told.view
        session.listeners.append(self._on_view)

    def refresh(self) -> None:
        """Show what the snapshot now says; the evaluation on show stays."""
        evaluation = self._evaluation()
        self._draw_bar(evaluation)
        if evaluation is None:
            self._told.tell(*self._nothing())
            return
        wanted = (evaluation.id, evaluation.key)
        if wanted == self._shown:
            return
        self._shown = wanted
        if not self._table.rows:
            self._told.tell(says="Reading the samples …")
        self.session.later(
            lambda: (
                self.session.reader.samples(evaluation.id),
                self.session.reader.display(evaluation.dataset),
            ),
            lambda tables: self._have(evaluation, *tables),
            partial(self._failed, wanted),
        )

    def recolor(self) -> None:
        """The bars are painted, not styled."""
        self.viewer.dark = self.session.dark

    def _nothing(self) -> tuple[str, str, str]:
        snapshot = self.session.snapshot
        wanted = self.session.view.evaluation
        if snapshot.fault:
            return (
                "No samples",
                "The store does not answer; they appear here as soon as it does.",
                "",
            )
        if not snapshot.looked:
            return "", "Looking at the store …", ""
        if wanted and wanted not in snapshot.evals and snapshot.evals:
            return (
                "No samples",
                f"Evaluation {wanted} is not in this store; choose another above.",
                "",
            )
        command = f"python flows/evaluate.py --trial best --store {self.session.reader.url}"
        return (
            "No evaluation yet",
            "A trial is evaluated when its training ends. Or do it now:",
            command,
        )

    def _evaluation(self) -> Evaluation | None:
        """The one of the address, else the best trial's newest at the time when the page first chose."""
        snapshot = self.session.snapshot
        if wanted := self.session.view.evaluation:
            return snapshot.evals.get(wanted)
        if self._chosen not in snapshot.evals:
            self._chosen = self._best()
        return snapshot.evals.get(self._chosen)

    def _best(self) -> str:
        snapshot = self.session.snapshot
        mine = [e for e in snapshot.evals.values() if e.trial in snapshot.trials and e.samples]
        best = max(
            mine or snapshot.evals.values(),
            key=lambda e: (
                (snapshot.trials[e.trial].miou or 0.0) if e.trial in snapshot.trials else -1.0,
                e.split == "val",
                e.time,
            ),
            default=None,
        )
        return best.id if best else ""

    def _have(self, evaluation: Evaluation, table: Samples, display: Display) -> None:
        if (evaluation.id, evaluation.key) != self._shown:
            return
        self._table, self._display = table, display
        if not table.rows:
            self._told.tell(*not_whole(f"Evaluation {evaluation.id}", self.session.reader.url))
            return
        self._told.tell()
        wanted = self.session.view.sample
        keys = {f"{split}/{name}" for split, name in table.rows}
        if wanted and wanted not in keys:
            self._draw_bar(evaluation, f"Sample {wanted} is not in this evaluation.")
        if self.viewer.source != evaluation.id:
            self.viewer.source = evaluation.id
            self.viewer.ask(wanted)
        self.viewer.catalog = catalogue(table)

    def _failed(self, wanted: tuple[str, str], sentence: str) -> None:
        if wanted == self._shown:
            self._shown = ("", "")  # so that the tab's clock asks again
            self._told.tell("The samples could not be read", sentence)

    def _draw_bar(self, chosen: Evaluation | None, warning: str = "") -> None:
        snapshot = self.session.snapshot
        ranked = sorted(
            snapshot.evals.values(),
            key=lambda e: (
                -((snapshot.trials[e.trial].miou or 0.0) if e.trial in snapshot.trials else -1.0),
                e.trial,
                -e.time,
            ),
        )
        items: list[dict[str, Any]] = [{"type": "title", "text": "Samples", "level": 1}]
        if ranked:
            options = [{"value": e.id, "label": evaluation_label(e)} for e in ranked[:300]]
            if chosen is None:
                options.insert(0, {"value": "", "label": "choose"})
            items.append(
                {
                    "type": "select",
                    "key": "model",
                    "aria": "model",
                    "value": chosen.id if chosen else "",
                    "options": options,
                }
            )
        if chosen is not None:
            items.append(
                {
                    "type": "segments",
                    "key": "order",
                    "value": self.session.view.order,
                    "options": [
                        {"value": word, "label": "worst first" if word == "worst" else word}
                        for word in ORDERS
                    ],
                }
            )
        if warning:
            items.append({"type": "note", "text": warning, "tone": "warn"})
        items += [
            {"type": "gap"},
            {
                "type": "keys",
                "keys": [["←→", "sample"], [["1–5"], "layer"], [["space"], "mask"]],
            },
            *([SAVE_CSV] if chosen is not None else []),
            copy_link(m=chosen.id if chosen else ""),
        ]
        self.bar.items = items

    def _on_bar(self, data: dict[str, Any]) -> None:
        key, value = data.get("key"), data.get("value")
        if key == "model" and value in self.session.snapshot.evals:
            self.session.change(evaluation=value)
        elif key == "order" and value in ORDERS:
            self.session.change(order=value)
        elif key == "csv":
            self.bar.hand(f"{self._shown[0]}.csv", to_csv(sample_rows(self._table)))

    def _on_view(self, before: View, now: View) -> None:
        if now.page != "samples":
            return
        self.viewer.follow(
            order=now.order, layer=now.layer, opacity=now.opacity, hidden=list(now.hidden)
        )
        if now.evaluation != before.evaluation:
            self.refresh()
        if self.viewer.source == self._shown[0]:  # else the one that is read now brings its sample
            self.viewer.follow(sample=now.sample)
        if now.order != before.order:
            self._draw_bar(self._evaluation())

    def _on_viewer(self, data: dict[str, Any]) -> None:
        kind = data.get("type")
        if kind == "want":
            supply(self.session, self.viewer, data, self._table.rows, self._asks)
        elif kind == "show" and (key := known(data.get("sample"), self._table.rows)):
            self.session.change(sample="/".join(key), evaluation=self._shown[0])
        elif kind == "layer" and data.get("layer") in LAYERS:
            self.session.change(layer=data["layer"])
        elif kind == "opacity":
            self.session.change(opacity=min(count(data.get("opacity")), 100))
        elif kind == "hidden":
            self.session.change(hidden=parse_hidden(sequence(data.get("hidden"))))

    def _asks(self, key: Key, sample: bool, past: bool) -> Ask:
        table, display, reader = self._table, self._display, self.session.reader

        def pictures() -> dict[str, Any]:
            row = table.rows[key]
            frame, steps = last_frame(reader, display, key)
            return {
                "frame": frame,
                "truth": truth_of(reader, display, key),
                "prediction": reader.picture(
                    table.layers, row.get("pred_offset"), row.get("pred_size")
                ),
                "confidence": reader.picture(
                    table.layers, row.get("conf_offset"), row.get("conf_size")
                ),
                "steps": steps,
                **sample_facts(row),
            }

        return lambda: clip_answer(
            pictures, lambda: past_of(reader, display, key), sample=sample, with_past=past
        )

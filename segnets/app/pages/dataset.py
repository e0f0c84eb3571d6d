"""Dataset: is the data sound, what is in it, and what does it look like."""

from functools import partial
from typing import Any

import panel as pn

from segnets.app.datasetparts import Checks, Frequency, Rows, Weights
from segnets.app.datasets import Facts, best_evaluation, class_scores, facts
from segnets.app.duel import NAMED_COLORS
from segnets.app.pages.datasetrows import (
    city_table,
    dataset_figures,
    display_catalogue,
    problem_note,
    problem_rows,
    truth_facts,
)
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
from segnets.app.pages.samplerows import evaluation_name
from segnets.app.pages.told import Told, not_whole
from segnets.app.parts import SAVE_CSV, Bar, Figures, Notice, copy_link
from segnets.app.read import Display
from segnets.app.records import Dataset, Evaluation
from segnets.app.state import Session, View
from segnets.app.takeaway import share_rows, to_csv
from segnets.app.theme import CARD, css
from segnets.app.viewer import WORDS, Viewer

MOST_OFFERED = 300
_NONE_SHOWN = ("", "", "")
_PROBLEM_COLUMNS = [
    {"title": "result", "kind": "tone"},
    {"title": "problem", "kind": "name"},
    {"title": "file", "kind": "file"},
    {"title": "cause", "kind": "text"},
]


class DatasetPage:
    """The page; `view` is its pane."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._shown = _NONE_SHOWN  # dataset, key of its view, key of its best evaluation
        self._chosen = ""  # by the page itself: a newer dataset comes with a new tab
        self._display = Display({}, None)
        self._facts = Facts()
        self.bar = Bar(kind="top", on_message=self._on_bar)
        self.figures = Figures()
        self.frequency, self.frequency_bar = Frequency(), Bar(on_message=self._on_bar)
        self.problems, self.problems_bar = Rows(columns=_PROBLEM_COLUMNS, stacked=True), Bar()
        self.whole_report = Notice(margin=(8, 0, 0, 0), visible=False)
        self.weights, self.checks, self.cities = Weights(), Checks(), Rows()
        self.viewer = Viewer(
            on_message=self._on_viewer,
            plain=True,
            layers=["frame", "truth"],
            words={**WORDS, "by": ""},
            layer="truth",
            order="name",
            sample=session.view.clip,
        )
        self.pictures = pn.Column(self.viewer, stylesheets=[css("stack")], margin=(12, 0, 0, 0))
        left = pn.Column(
            _card(self.frequency_bar, self.frequency),
            _card(self.problems_bar, self.problems, self.whole_report, top=12),
            _card(_titled("Class weights", "1 / log(1.10 + share)"), self.weights, top=12),
            stylesheets=[css("stack")],
            margin=0,
        )
        right = pn.Column(
            _card(_titled("Checks", ""), self.checks),
            _card(_titled("Cities", "clips by split"), self.cities, top=12),
            stylesheets=[css("stack")],
            margin=0,
        )
        self._told = Told(
            self.bar,
            self.figures,
            pn.Column(left, right, stylesheets=[css("columns")], margin=(12, 0, 0, 0)),
            self.pictures,
        )
        self.view = self._told.view
        session.listeners.append(self._on_view)

    def refresh(self) -> None:
        """Show what the snapshot now says; the dataset on show stays."""
        dataset = self._dataset()
        self._draw_bar(dataset)
        if dataset is None:
            self._shown = _NONE_SHOWN
            self._told.tell(*self._nothing())
            return
        best = best_evaluation(self.session.snapshot, dataset.id)
        wanted = (dataset.id, dataset.key, best.key if best else "")
        if wanted == self._shown:
            return
        if wanted[:2] != self._shown[:2]:
            self._told.tell(says="Reading the tables …")
        self._shown = wanted
        self.session.later(
            lambda: (
                facts(self.session.reader, dataset),
                self.session.reader.display(dataset.id),
                class_scores(self.session.reader, best),
            ),
            partial(self._have, dataset, best, wanted),
            partial(self._failed, wanted),
        )

    def recolor(self) -> None:
        """Style sheets do it all, but for the viewer's bars."""
        self.viewer.dark = self.session.dark

    def _dataset(self) -> Dataset | None:
        """The one of the address, else the newest at the time when the page first chose."""
        datasets = self.session.snapshot.datasets
        if wanted := self.session.view.dataset:
            return datasets.get(wanted)
        if self._chosen not in datasets:
            self._chosen = max(datasets, key=lambda one: (datasets[one].time, one), default="")
        return datasets.get(self._chosen)

    def _nothing(self) -> tuple[str, str, str]:
        snapshot, wanted = self.session.snapshot, self.session.view.dataset
        if snapshot.fault and not snapshot.datasets:
            says = "The store does not answer; what it holds appears here as soon as it does."
            return "No dataset", says, ""
        if not snapshot.looked:
            return "", "Looking at the store …", ""
        if wanted and snapshot.datasets:
            says = f"Dataset {wanted} is not in this store; choose another above."
            return "No dataset", says, ""
        command = f"python flows/preprocess.py --store {self.session.reader.url}"
        return "No dataset yet", "Street scenes are drawn if you have no data. Make one:", command

    def _have(
        self,
        dataset: Dataset,
        best: Evaluation | None,
        wanted: tuple[str, str, str],
        tables: tuple[Facts, Display, list[float | None]],
    ) -> None:
        if wanted != self._shown:
            return
        self._facts, self._display, ious = tables
        found = self._facts
        if not found.is_whole:
            self._told.tell(*not_whole(f"Dataset {dataset.id}", self.session.reader.url))
            return
        self._told.tell()
        self._draw_bar(dataset)
        self.figures.figures = dataset_figures(dataset, found)
        self.frequency.param.update(
            splits=[{"name": name, "shares": shares} for name, shares in found.shares.items()],
            ious=ious,
        )
        self.frequency_bar.items = [
            {"type": "title", "text": "Class frequency", "level": 2},
            {"type": "note", "text": "share of pixels" + _whose(best, ious)},
            {"type": "gap"},
            {"type": "note", "text": " · ".join(_shaded(list(found.shares))) or "no labels"},
            SAVE_CSV,
        ]
        self.problems.rows = problem_rows(found)
        url = self.session.reader.url
        self.whole_report.say(
            "All of the report, one row a file:" if found.problems else "",
            command=f"python -m segnets.store get {url} {dataset.id}/report.parquet --out FILE",
        )
        self.problems_bar.items = [
            {"type": "title", "text": "Problems", "level": 2},
            {"type": "note", "text": problem_note(found)},
        ]
        self.weights.param.update(
            rows=[
                {**color, "value": value}
                for color, value in zip(NAMED_COLORS, found.weights, strict=False)
            ],
            mean=found.mean,
            std=found.std,
        )
        self.checks.checks = [
            {"tone": one.tone, "title": one.title, "detail": one.detail} for one in found.checks
        ]
        columns, rows = city_table(found)
        self.cities.param.update(columns=columns, rows=rows)
        self.pictures.visible = bool(self._display.rows)
        if self.viewer.source != dataset.id:
            self.viewer.source = dataset.id
            self.viewer.ask(self.session.view.clip)
        self.viewer.catalog = display_catalogue(self._display)

    def _failed(self, wanted: tuple[str, str, str], says: str) -> None:
        if wanted == self._shown:
            self._shown = _NONE_SHOWN  # so that the tab's clock asks again
            self._told.tell("The tables could not be read", says)

    def _draw_bar(self, chosen: Dataset | None) -> None:
        datasets = sorted(self.session.snapshot.datasets.values(), key=lambda one: -one.time)
        items: list[dict[str, Any]] = [{"type": "title", "text": "Dataset", "level": 1}]
        if datasets:
            options = [
                {"value": one.id, "label": f"{one.id} · {one.name}" if one.name else one.id}
                for one in datasets[:MOST_OFFERED]
            ]
            if chosen is None:
                options.insert(0, {"value": "", "label": "choose"})
            items.append(
                {
                    "type": "select",
                    "key": "dataset",
                    "aria": "dataset",
                    "value": chosen.id if chosen else "",
                    "options": options,
                }
            )
        if chosen is not None:
            parts = [f"{chosen.clip_frames} frames a clip"] if chosen.clip_frames else []
            parts += [f"stride {self._facts.stride}"] if self._facts.stride else []
            parts += [f"{chosen.height}x{chosen.width}"]
            items.append({"type": "note", "text": " · ".join(parts)})
        self.bar.items = [*items, {"type": "gap"}, copy_link(d=chosen.id if chosen else "")]

    def _on_bar(self, data: dict[str, Any]) -> None:
        if data.get("key") == "dataset" and data.get("value") in self.session.snapshot.datasets:
            self.session.change(dataset=data["value"], clip="")
        elif data.get("key") == "csv":
            rows = share_rows(self._facts.shares)
            self.frequency_bar.hand(f"{self._shown[0]}-classes.csv", to_csv(rows))

    def _on_view(self, before: View, now: View) -> None:
        if now.page != "dataset":
            return
        if now.dataset != before.dataset:
            self.refresh()
        if self.viewer.source == self._shown[0]:  # else the one that is read now brings its sample
            self.viewer.follow(sample=now.clip)

    def _on_viewer(self, data: dict[str, Any]) -> None:
        rows = self._display.rows
        if data.get("type") == "want":
            supply(self.session, self.viewer, data, rows, self._asks)
        elif data.get("type") == "show" and (key := known(data.get("sample"), rows)):
            self.session.change(clip="/".join(key), dataset=self._shown[0])

    def _asks(self, key: Key, sample: bool, past: bool) -> Ask:
        display, reader = self._display, self.session.reader

        def pictures() -> dict[str, Any]:
            frame, steps = last_frame(reader, display, key)
            return {
                "frame": frame,
                "truth": truth_of(reader, display, key),
                "prediction": None,
                "confidence": None,
                "steps": steps,
                **truth_facts(display.rows[key]),
            }

        return lambda: clip_answer(
            pictures, lambda: past_of(reader, display, key), sample=sample, with_past=past
        )


def _titled(title: str, note: str) -> Bar:
    items = [{"type": "title", "text": title, "level": 2}]
    return Bar(items=[*items, {"type": "note", "text": note}] if note else items)


def _card(*parts: Any, top: int = 0) -> pn.Column:
    return pn.Column(*parts, stylesheets=[CARD], margin=(top, 0, 0, 0))


def _whose(best: Evaluation | None, ious: list[float | None]) -> str:
    """What the numbers behind the names are, or why there is none."""
    if best is None:
        return ""
    name = evaluation_name(best)
    return f"; numbers: IoU of {name}, the best" if ious else f"; the IoU of {name} is damaged"


def _shaded(splits: list[str]) -> list[str]:
    """How the bars of the splits are told apart."""
    return [
        f"{word} {name}" for word, name in zip(("solid", "pale", "paler"), splits, strict=False)
    ]

"""Predictions: did the night go well. Counts, bad frames by name, drift beside the masks that show it."""

from functools import partial
from typing import Any

import panel as pn

from segnets.app.nights import Frames, Night, read_frames, read_nights, read_training_share
from segnets.app.pages.drift import (
    failed_rows,
    frame_catalogue,
    night_bars,
    night_facts,
    night_figures,
    run_label,
    share_rows,
)
from segnets.app.pages.pictures import Ask, Key, known, supply
from segnets.app.pages.told import Told, not_whole
from segnets.app.parts import SAVE_CSV, Bar, Figures, NightCards, Nights, Notice, copy_link
from segnets.app.records import Run, class_values, count, number, sequence, text
from segnets.app.state import LAYERS, ORDERS, Session, View, parse_hidden
from segnets.app.takeaway import night_rows, to_csv
from segnets.app.theme import CARD
from segnets.app.viewer import Viewer
from segnets.labels import NUM_CLASSES

_LAYERS = ("frame", "prediction")
_WORDS = {
    "title": "Masks",
    "by": "confidence",
    "score": "confidence",
    "scores": "Share of its pixels",
    "order": "percent",
    "none": "No class was found in this frame.",
    "shares": True,
}
_NO_SHARE: tuple[float | None, ...] = (None,) * NUM_CLASSES

Answer = tuple[tuple[Night, ...], Frames, tuple[float | None, ...], str]


class PredictionsPage:
    """The page; `view` is its pane."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._shown: tuple[str, str, str] = ("", "", "")  # run, key of its view, wanted night
        self._nights: tuple[Night, ...] = ()
        self._frames = Frames({}, {})
        self._night = ""
        self._chosen = ""  # the run that the page chose by itself: a newer one comes with a new tab
        self._newest: dict[str, str] = {}  # a run's newest night when the page first showed it
        self._drawn = self._shown
        self.bar = Bar(kind="top", on_message=self._on_bar)
        self.figures = Figures()
        self.nights_bar = Bar()
        self.nights = Nights(on_message=self._on_nights)
        self.none = Notice(margin=(0, 0, 12, 0))
        view = session.view
        self.viewer = Viewer(
            on_message=self._on_viewer,
            words=_WORDS,
            layers=list(_LAYERS),
            layer=_layer(view),
            opacity=view.opacity,
            hidden=list(view.hidden),
            order=view.order,
            sample=view.frame,
            margin=(0, 0, 12, 0),
        )
        self.cards = NightCards()
        self._told = Told(
            self.bar,
            self.figures,
            pn.Column(self.nights_bar, self.nights, stylesheets=[CARD], margin=(12, 0)),
            self.none,
            self.viewer,
            self.cards,
        )
        self.view = self._told.view
        session.listeners.append(self._on_view)

    def refresh(self) -> None:
        """Show what the snapshot now says; the night on show stays."""
        run = self._run()
        self._draw_bar(run)
        if run is None:
            self._told.tell(*self._nothing())
            return
        wanted = (run.id, run.key, self.session.view.night or self._newest.get(run.id, ""))
        if wanted == self._shown:
            return
        self._shown = wanted
        if not self._nights:
            self._told.tell(says="Reading the nights …")
        self.session.later(
            lambda: self._ask(run.id, wanted[2]),
            lambda answer: self._have(wanted, answer),
            partial(self._failed, wanted),
        )

    def recolor(self) -> None:
        """The bars of the viewer are painted, not styled."""
        self.viewer.dark = self.session.dark

    def _run(self) -> Run | None:
        """The one of the address, else the newest at the time when the page first chose."""
        runs = self.session.snapshot.runs
        if wanted := self.session.view.run:
            return runs.get(wanted)
        if self._chosen not in runs:
            self._chosen = max(runs, key=lambda run: runs[run].time, default="")
        return runs.get(self._chosen)

    def _nothing(self) -> tuple[str, str, str]:
        snapshot, wanted = self.session.snapshot, self.session.view.run
        if snapshot.fault:
            sentence = "The store does not answer; its nights appear here as soon as it does."
            return "No predictions", sentence, ""
        if not snapshot.looked:
            return "", "Looking at the store …", ""
        if wanted and snapshot.runs:
            return "No predictions", f"Run {wanted} is not in this store; choose another above.", ""
        command = f"python flows/predict.py --trial best --store {self.session.reader.url}"
        return (
            "No predictions yet",
            "A night of predictions appears here; one can begin now:",
            command,
        )

    def _ask(self, run: str, wanted: str) -> Answer:
        reader = self.session.reader
        nights = read_nights(reader, run)
        if not nights:
            return (), Frames({}, {}), _NO_SHARE, ""
        night = next((one for one in nights if one.id == wanted), nights[-1])
        share = _NO_SHARE
        if night.dataset in reader.snapshot.datasets:  # no text of a table becomes a key unseen
            share = read_training_share(reader, night.dataset)
        return nights, read_frames(reader, run, night.id), share, night.id

    def _have(self, wanted: tuple[str, str, str], answer: Answer) -> None:
        if wanted != self._shown:
            return
        nights, self._frames, training, shown = answer
        self._nights, self._night = nights, shown
        if not wanted[2]:
            self._newest[wanted[0]] = shown
            self._shown = wanted = (*wanted[:2], shown)
        self._drawn = wanted
        if not nights:
            run = self.session.snapshot.runs.get(wanted[0])
            if run and run.nights:
                self._told.tell(*not_whole(f"Run {run.id}", self.session.reader.url))
            else:
                says = f"Run {wanted[0]} has recorded no whole night yet."
                self._told.tell("No night yet", says)
            return
        self._told.tell()
        night = next(one for one in nights if one.id == shown)
        self._draw_bar(self._run())
        self.figures.figures = night_figures(nights, night, training)
        self.nights.param.update(nights=night_bars(nights), chosen=shown)
        self._draw_nights_bar(wanted[2])
        self.cards.param.update(
            shares=share_rows(nights, night, training),
            failed=failed_rows(self._frames.rows),
            facts=night_facts(night),
        )
        self._show_frames(night)

    def _show_frames(self, night: Night) -> None:
        catalog = frame_catalogue(self._frames.rows)
        keys = {row["key"] for row in catalog}
        wanted = self.session.view.frame
        if not catalog:
            self.none.say(
                "No mask is new this night: what it found was written before. "
                "Choose a higher bar to see masks."
                if night.reused
                else "This night has no mask to show."
            )
        else:
            missing = wanted and wanted not in keys
            self.none.say(f"Frame {wanted} has no new mask this night." if missing else "")
        self.viewer.visible = bool(catalog)
        source = f"{self._shown[0]} {night.id}"
        if self.viewer.source != source:
            self.viewer.source = source
            self.viewer.ask(wanted)
        self.viewer.catalog = catalog

    def _failed(self, wanted: tuple[str, str, str], sentence: str) -> None:
        if wanted == self._shown:
            self._shown = ("", "", "")  # so that the tab's clock asks again
            self._told.tell("The predictions could not be read", sentence)

    def _draw_bar(self, chosen: Run | None) -> None:
        snapshot = self.session.snapshot
        items: list[dict[str, Any]] = [{"type": "title", "text": "Predictions", "level": 1}]
        runs = sorted(snapshot.runs.values(), key=lambda run: -run.time)[:200]
        if runs:
            options = [{"value": run.id, "label": run_label(run)} for run in runs]
            if chosen is None:
                options.insert(0, {"value": "", "label": "choose"})
            value = chosen.id if chosen else ""
            items.append(
                {"type": "select", "key": "run", "aria": "run", "value": value, "options": options}
            )
        if chosen is not None:
            words = {"worst": "look first", "best": "sure first", "name": "name"}
            options = [{"value": word, "label": words[word]} for word in ORDERS]
            items.append(
                {
                    "type": "segments",
                    "key": "order",
                    "value": self.session.view.order,
                    "options": options,
                }
            )
        items += [
            {"type": "gap"},
            {
                "type": "keys",
                "keys": [["←→", "frame"], [["1", "2"], "layer"], [["space"], "mask"]],
            },
            *([SAVE_CSV] if chosen is not None else []),
            copy_link(r=chosen.id if chosen else "", n=self._night),
        ]
        self.bar.items = items

    def _draw_nights_bar(self, wanted: str) -> None:
        num = len(self._nights)
        note = "height: masks written; amber: frames failed or it drifts; red: stopped; line: confidence"
        if wanted and wanted != self._night:
            note = f"{wanted} is not among them; the newest is shown"
        title = f"{num} nights" if num > 1 else "One night"
        self.nights_bar.items = [
            {"type": "title", "text": title, "level": 2},
            {
                "type": "note",
                "text": note,
                "tone": "warn" if wanted not in {"", self._night} else "",
            },
        ]

    def _on_bar(self, data: dict[str, Any]) -> None:
        key, value = data.get("key"), data.get("value")
        if key == "run" and value in self.session.snapshot.runs:
            self.session.change(run=value, night="", frame="")
        elif key == "order" and value in ORDERS:
            self.session.change(order=value)
        elif key == "csv":
            self.bar.hand(f"{self._shown[0]}.csv", to_csv(night_rows(self._nights)))

    def _on_nights(self, data: dict[str, Any]) -> None:
        night = data.get("night")
        if any(one.id == night for one in self._nights):
            self.session.change(night=night, run=self._shown[0], frame="")

    def _on_view(self, before: View, now: View) -> None:
        if now.page != "pred":
            return
        self.viewer.follow(
            order=now.order, layer=_layer(now), opacity=now.opacity, hidden=list(now.hidden)
        )
        if (now.run, now.night) != (before.run, before.night):
            self.refresh()
        if self._drawn == self._shown:  # else the night that is read now brings its frame
            self.viewer.follow(sample=now.frame)
        if now.order != before.order:
            self._draw_bar(self._run())

    def _on_viewer(self, data: dict[str, Any]) -> None:
        kind = data.get("type")
        if kind == "want":
            supply(self.session, self.viewer, data, self._frames.rows, self._asks)
        elif kind == "show" and (key := known(data.get("sample"), self._frames.rows)):
            self.session.change(frame="/".join(key), run=self._shown[0], night=self._night)
        elif kind == "layer" and data.get("layer") in LAYERS:
            self.session.change(layer=data["layer"])
        elif kind == "opacity":
            self.session.change(opacity=min(count(data.get("opacity")), 100))
        elif kind == "hidden":
            self.session.change(hidden=parse_hidden(sequence(data.get("hidden"))))

    def _asks(self, key: Key, _sample: bool, _past: bool) -> Ask:
        frames, reader, row = self._frames, self.session.reader, self._frames.rows[key]

        def ask() -> dict[str, Any]:
            pack = frames.packs.get(text(row.get("part")))
            return {
                "frame": reader.picture(pack, row.get("frame_offset"), row.get("frame_size")),
                "prediction": reader.picture(pack, row.get("pred_offset"), row.get("pred_size")),
                "truth": None,
                "confidence": None,
                "steps": 1,
                "iou": [share or None for share in class_values(row.get("share"))],
                "confusions": [],
                "labelled": False,
                "miou": number(row.get("confidence")),
                "accuracy": None,
            }

        return ask


def _layer(view: View) -> str:
    """The layer of the address; another page's, which masks have not, is no layer here."""
    return view.layer if view.layer in _LAYERS else "prediction"

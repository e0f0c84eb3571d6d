"""The curves of the two trials that Compare shows, read when their views change."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from segnets.app.pages.curves import Curves
from segnets.app.pages.leaderboard import short_name
from segnets.app.records import Trial
from segnets.app.state import Session
from segnets.app.theme import LIGHT

_COLORS = (LIGHT["a"], LIGHT["b"])  # strong enough for lines on light and on dark


class PairCurves:
    """A card of curves; `views` are its parts."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._trials: tuple[Trial | None, ...] = ()
        self._rows_of: dict[str, tuple[str, list[dict[str, Any]]]] = {}  # trial -> view key, epochs
        self._curves = Curves(session)
        self.views = self._curves.views

    def show(self, trials: Sequence[Trial | None]) -> None:
        """Show A and B; None where a trial is not in the store."""
        self._trials = tuple(trials)
        known = {trial.id: trial for trial in trials if trial is not None}
        self._rows_of = {one: held for one, held in self._rows_of.items() if one in known}
        for trial in known.values():
            key, rows = self._rows_of.get(trial.id, ("", []))
            if key == trial.key:
                continue
            self._rows_of[trial.id] = (trial.key, rows)
            self.session.later(
                partial(self.session.reader.curve, trial.id),
                partial(self._have, trial),
                partial(self._failed, trial),
            )
        self.draw()

    def draw(self) -> None:
        """Draw what is there, also after another choice of metric."""
        self._curves.show(
            [
                (f"{side}-{trial.id}", f"{side} {short_name(trial)}", color, rows)
                for side, color, trial in zip("AB", _COLORS, self._trials, strict=False)
                if trial is not None and (rows := self._rows_of.get(trial.id, ("", []))[1])
            ]
        )

    def _have(self, trial: Trial, rows: list[dict[str, Any]]) -> None:
        self._rows_of[trial.id] = (trial.key, rows)
        self.draw()

    def _failed(self, trial: Trial, _sentence: str) -> None:
        self._rows_of.pop(trial.id, None)  # the next news ask again

"""A reader of the results app that holds what a test gives it, and answers in the same thread."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from segnets.app.read import Reader, Snapshot
from segnets.app.records import Grid, Trial


class AtOnce:
    """A pool that has done it by the time that `submit` returns, or, on hold, when it is let go."""

    def __init__(self) -> None:
        self.on_hold = False
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, ask: Callable[[], Any]) -> "Future[Any]":
        """The answer, or the error, as a future."""
        future: Future[Any] = Future()
        self._waiting.append((future, ask))
        if not self.on_hold:
            self.let_go()
        return future

    def let_go(self) -> None:
        """Answer whatever was asked."""
        asked, self._waiting = self._waiting, []
        for future, ask in asked:
            try:
                future.set_result(ask())
            except Exception as error:  # noqa: BLE001  # raised by result()
                future.set_exception(error)


class StillReader(Reader):
    """`tell` sets what it has seen; `faults` (trial -> error) is what a read of a log then raises."""

    def __init__(self) -> None:
        super().__init__("folder", lambda: None)
        self.pool.shutdown()
        self.pool = AtOnce()
        self.faults: dict[str, Exception] = {}
        self.asked: list[str] = []

    def tell(self, trials: Sequence[Trial], grids: Sequence[Grid] = ()) -> None:
        """These are the trials and grids that the store holds now."""
        before = self.snapshot
        self.snapshot = Snapshot(
            version=before.version + 1,
            looked=1_700_000_000.0,
            trials={trial.id: trial for trial in trials},
            grids={grid.id: grid for grid in grids},
        )

    def curve(self, trial: str) -> list[dict[str, Any]]:
        """No epoch, or the fault of this trial."""
        self.asked.append(trial)
        if trial in self.faults:
            raise self.faults[trial]
        return []

"""One save in the background, never two: serialise, hash, put, commit; and which checkpoints stay.

The loop hands over a snapshot and goes on; before the next save it waits for this one. Nobody says
"epoch n saved" before `collect` has returned it, which is after the commit.

Each checkpoint is whole: its record in `live` names state, table, and the best weights as of then. So
whichever one is taken after damage, the weights that belong to its `best` are there too.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from segnets.store.entry import Live
from segnets.store.log import TrialLog
from segnets.training.checkpoint import (
    EPOCHS_FILE,
    MODEL_FILE,
    STATE_FILE,
    WEIGHTS_FILE,
    Resumed,
    state_bytes,
    weights_bytes,
)
from segnets.training.curves import epochs_table
from segnets.training.state import Snapshot, state_sha256


@dataclass(frozen=True, slots=True)
class Retention:
    """Which checkpoints stay: the newest `keep_last`, each `keep_every`-th epoch's, the best's weights."""

    keep_last: int
    keep_every: int
    steps_per_epoch: int

    def keep(
        self, checkpoints: Iterable[Live], best: Live | None, *, done: bool
    ) -> tuple[Live, ...]:
        """The inventory, oldest first, with the roles last, every, best, final.

        `best` holds the weights of the best epoch; it becomes a record of its own where that
        epoch's checkpoint does not stay.
        """
        ordered = sorted(checkpoints, key=_position)
        newest = ordered[-self.keep_last :]
        kept: list[Live] = []
        for live in ordered:
            roles = ["last"] if live in newest else []
            at_end = live.step == live.epoch * self.steps_per_epoch
            if self.keep_every and at_end and live.epoch and live.epoch % self.keep_every == 0:
                roles.append("every")
            if not roles:
                continue
            if best is not None and _position(live) == _position(best):
                roles.append("best")
                best = None
            if done and live is ordered[-1]:
                roles.append("final")
            kept.append(Live(live.epoch, live.step, tuple(roles), live.files))
        if best is not None:
            kept.append(Live(best.epoch, best.step, ("best",), best.files))
        return tuple(sorted(kept, key=_position))


@dataclass(frozen=True, slots=True)
class Save:
    """One save: the event, the snapshot, and what its entry and view say."""

    event: str
    taken: Snapshot
    metrics: Mapping[str, Any]
    view: Callable[[str | None], Mapping[str, Any]]
    """The trial's summary, from the digest of its best weights."""

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return int(self.taken["position"]["epoch"])

    @property
    def step(self) -> int:
        """Updates since the start of the trial."""
        return int(self.taken["position"]["step"])

    @property
    def best(self) -> dict[str, Any] | None:
        """The best epoch so far."""
        best: dict[str, Any] | None = self.taken["best"]
        return best


@dataclass(frozen=True, slots=True)
class Saved:
    """A save that is committed, with its digests."""

    event: str
    epoch: int
    step: int
    metrics: Mapping[str, Any]


class Saver:
    """Saves of one claimed trial. Only the loop's thread calls it; one thread of its own works."""

    def __init__(
        self, log: TrialLog, retention: Retention, model_json: bytes, resumed: Resumed | None
    ) -> None:
        """`resumed` is the checkpoint that the state came from, None at a first step."""
        self._log = log
        self._retention = retention
        self._model_json = model_json
        self._checkpoints = [] if resumed is None else list(resumed.stay)
        self._best_files = () if resumed is None else resumed.best_files
        self._best_bytes = {} if resumed is None else dict(resumed.best_bytes)
        self._thread: threading.Thread | None = None
        self._outcome: Saved | BaseException | None = None
        self.best: dict[str, Any] | None = None
        self.live: tuple[Live, ...] = ()
        self.position = (0, 0)
        self.seconds_blocking = 0.0
        self.seconds_background = 0.0

    @property
    def busy(self) -> bool:
        """Whether a save runs, or waits to be collected."""
        return self._thread is not None

    def begin_at(self, epoch: int, step: int, best: dict[str, Any] | None) -> None:
        """Take over position and inventory of the checkpoint that was put back."""
        self.position, self.best = (epoch, step), best
        best_record = self._best_record(best) if self._best_files else None
        self.live = self._retention.keep(self._checkpoints, best_record, done=False)

    def start(self, save: Save) -> None:
        """Begin a save; the one before must have been collected."""
        assert self._thread is None, "a save is in flight"
        self._outcome = None
        self._thread = threading.Thread(
            target=self._work, args=(save,), name=f"save-{save.step}", daemon=True
        )
        self._thread.start()

    def wait(self, timeout_s: float | None = None, check: Callable[[], None] | None = None) -> bool:
        """Wait for the save in flight; True if none is left running.

        `check` is called a few times a second and may raise, which leaves the save running.
        """
        began = time.monotonic()
        try:
            while self._thread is not None and self._thread.is_alive():
                waited = time.monotonic() - began
                if timeout_s is not None and waited >= timeout_s:
                    return False
                if check is not None:
                    check()
                self._thread.join(0.2 if timeout_s is None else min(0.2, timeout_s - waited))
            return True
        finally:
            self.seconds_blocking += time.monotonic() - began

    def collect(self) -> Saved | None:
        """The save that has been committed since, or None; raises what stopped it."""
        if self._thread is None or self._thread.is_alive():
            return None
        self._thread.join()
        self._thread = None
        outcome = self._outcome
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self, event: str, metrics: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        """Append `failed` or `stopped` with the inventory of the last commit and no new blob."""
        assert self._thread is None, "a save is in flight"
        epoch, step = self.position
        self._log.commit(
            event, epoch=epoch, step=step, files=(), live=self.live, metrics=metrics, view=view
        )

    @property
    def weights_sha256(self) -> str | None:
        """Digest of the best weights that were put."""
        return next((ref.sha256 for ref in self._best_files if ref.name == WEIGHTS_FILE), None)

    def _work(self, save: Save) -> None:
        began = time.monotonic()
        try:
            self._outcome = self._put_and_commit(save)
        except BaseException as error:  # noqa: BLE001  # raised again in the loop by collect
            self._outcome = error
        self.seconds_background = time.monotonic() - began

    def _put_and_commit(self, save: Save) -> Saved:
        taken = save.taken
        new = [
            self._log.put_file(STATE_FILE, state_bytes(taken)),
            self._log.put_file(EPOCHS_FILE, epochs_table(taken["rows"])),
        ]
        best = save.best
        improved = best is not None and (best["epoch"], best["step"]) == (save.epoch, save.step)
        best_bytes = self._best_bytes
        if improved:
            best_bytes = {WEIGHTS_FILE: weights_bytes(taken), MODEL_FILE: self._model_json}
        best_files = self._best_files
        if best_bytes:
            best_files = tuple(self._log.put_file(name, data) for name, data in best_bytes.items())
        metrics = dict(save.metrics)
        if save.event == "done":
            metrics["state_sha256"] = state_sha256(taken)
        self._best_files, self._best_bytes = best_files, {}
        metrics["weights_sha256"] = self.weights_sha256
        newest = Live(save.epoch, save.step, (), (*new, *best_files))
        live = self._retention.keep(
            [*self._checkpoints, newest],
            self._best_record(save.best),
            done=save.event == "done",
        )
        self._log.commit(
            save.event,
            epoch=save.epoch,
            step=save.step,
            files=(*new, *(best_files if best_bytes else ())),
            live=live,
            metrics=metrics,
            view=save.view(self.weights_sha256),
        )
        self.live, self.position, self.best = live, (save.epoch, save.step), save.best
        self._checkpoints = [one for one in live if any(f.name == STATE_FILE for f in one.files)]
        return Saved(save.event, save.epoch, save.step, metrics)

    def _best_record(self, best: Mapping[str, Any] | None) -> Live | None:
        if best is None:
            return None
        return Live(int(best["epoch"]), int(best["step"]), (), self._best_files)


def _position(live: Live) -> tuple[int, int]:
    return live.epoch, live.step

"""What one attempt at a trial saves and says, and when it may.

The loop asks for saves between steps and collects them between steps. Nothing is told before its
commit; after a fault one last entry names what was saved last, without new blobs, and where an append
may still be on its way there is no entry at all.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segnets.config.train import TrainConfig
from segnets.errors import Corrupt, NotFound, RankLost, StoreError, TakenOver
from segnets.store.log import TrialLog
from segnets.store.retry import at_most
from segnets.training.budget import SaveBudget
from segnets.training.curves import Row, trial_view
from segnets.training.outcome import reason_of, scores_of, sentence_of
from segnets.training.state import TrainState, snapshot
from segnets.training.uploader import Save, Saved, Saver

FINISH_S = 20.0
"""How long the end of a process waits for the upload in flight."""
STOP_S = 25.0
"""How long a stopped process waits for its own last save."""

OnEpoch = Callable[[dict[str, Any]], None]

logger = logging.getLogger("segnets.training")


class NoRecord:
    """In the place of a Record where another process keeps it: nothing is saved, nothing told."""

    def save(self, event: str, check: Callable[[], None] | None = None) -> None:
        """Save nothing."""

    def save_if_due(self, step_seconds: float) -> None:
        """Save nothing."""

    def finish(self, check: Callable[[], None] | None = None) -> None:
        """Wait for nothing."""

    def collect(self) -> None:
        """Tell nothing."""

    def take_seconds_blocking(self) -> float:
        """No time was lost."""
        return 0.0

    def pause(self, check: Callable[[], None] | None = None) -> None:
        """Say nothing."""


class Record:
    """The saves of one attempt; only the loop's thread calls it."""

    def __init__(
        self,
        config: TrainConfig,
        log: TrialLog,
        saver: Saver,
        state: TrainState,
        env: Mapping[str, Any],
        next_keys: Callable[[], Sequence[str]],
        on_epoch: OnEpoch,
    ) -> None:
        self._config, self._log, self._saver, self._state = config, log, saver, state
        self._env, self._next_keys, self._on_epoch = dict(env), next_keys, on_epoch
        self._began = time.monotonic()
        self._told_epoch = state.epoch
        self._budget = SaveBudget(since=self._began)

    def save(self, event: str, check: Callable[[], None] | None = None) -> None:
        """Begin to save the state as it is, as `checkpoint`, `stopped` or `done`.

        Waits for the save before; `check` is asked meanwhile and may raise.
        """
        self.finish(check)
        began = time.monotonic()
        taken = snapshot(self._state, self._next_keys(), self._env)
        best, rows, seconds = taken["best"], taken["rows"], taken["seconds"]
        status = "running" if event == "checkpoint" else event
        self._saver.start(
            Save(
                event,
                taken,
                {**scores_of(best, rows), "seconds": seconds},
                lambda weights: self._view(status, rows, best, weights),
            )
        )
        now = time.monotonic()
        self._saver.seconds_blocking += now - began
        self._budget.saved(now, blocking=now - began)

    def save_if_due(self, step_seconds: float) -> None:
        """In mid-epoch: save where the last save is long enough ago for what one costs.

        `step_seconds` is what the step before this call took. Never waits for a save in flight.
        """
        busy = self._saver.busy
        self._budget.stepped(step_seconds, saving=busy)
        if not busy and self._budget.due(time.monotonic()):
            self.save("checkpoint")

    def finish(self, check: Callable[[], None] | None = None) -> None:
        """Wait until nothing is in flight, and tell what was committed."""
        self._saver.wait(check=check)
        self.collect()

    def collect(self) -> None:
        """Tell what has been committed since; called between steps only. Raises a save's fault."""
        saved = self._saver.collect()
        if saved is None:
            return
        self._budget.put(self._saver.seconds_background)
        if saved.epoch > self._told_epoch:
            self._told_epoch = saved.epoch
            self._tell_epoch(saved)
        else:
            logger.info("step %d, in epoch %d, saved", saved.step, saved.epoch + 1)

    def take_seconds_blocking(self) -> float:
        """Seconds for which saving has held up the loop since the last call."""
        seconds, self._saver.seconds_blocking = self._saver.seconds_blocking, 0.0
        return seconds

    def pause(self, check: Callable[[], None] | None = None) -> None:
        """After an epoch that is to be the last for now: finish its save, and say so in the log."""
        self.finish(check)
        self._close("stopped", {"reason": "paused"})
        logger.info("paused after epoch %d of %d", self._state.epoch, self._config.epochs)

    def stop(self) -> None:
        """After a signal, between two steps: finish the save in flight, then save what is new."""
        self._log.hurry(FINISH_S)
        if not self._saver.wait(FINISH_S):
            logger.warning("the save in flight did not end in %.0f s and is left", FINISH_S)
            return
        self.collect()
        if self._log.head is not None and self._log.head.event == "done":
            return
        if self._saver.position == (self._state.epoch, self._state.step):
            self._close("stopped", {})
            return
        self._log.hurry(STOP_S)
        self.save("stopped")
        if not self._saver.wait(STOP_S):
            logger.warning("the last save did not end in %.0f s and is left", STOP_S)
            return
        self.collect()

    def tell_end(self, error: BaseException) -> None:
        """Append why this attempt ended, where the log may be written at all; never raises a fault.

        An Exception gives `failed`, anything else `stopped`.
        """
        if isinstance(error, (TakenOver, RankLost)):  # a kill leaves no word either
            return
        if isinstance(error, StoreError) and not isinstance(error, (Corrupt, NotFound)):
            return  # an append may be on its way still: no other entry is formed
        try:
            if not self._saver.wait(FINISH_S):
                return
            self.collect()
            if isinstance(error, Exception):
                failure = {
                    "exit_code": getattr(error, "exit_code", 1),
                    "reason": reason_of(error),
                    "sentence": sentence_of(error),
                }
                self._close("failed", failure)
            else:
                self._close("stopped", {})
        except Exception as second:  # noqa: BLE001  # the first fault is the one to raise
            logger.warning("the end of the trial was not written: %s", second)

    def _tell_epoch(self, saved: Saved) -> None:
        trained, scored = (
            next(r for r in self._state.rows if (r["epoch"], r["split"]) == (saved.epoch, split))
            for split in ("train", "val")
        )
        row = {
            "trial": self._log.id,
            "epoch": saved.epoch,
            "epochs": self._config.epochs,
            "step": saved.step,
            "steps": self._state.total_steps,
            "loss": trained["loss"],
            "val_loss": scored["loss"],
            "val_miou": scored["miou"],
            "pixel_accuracy": scored["pixel_accuracy"],
            "best_epoch": saved.metrics["best_epoch"],
            "best_miou": saved.metrics["val_miou"],
            "lr": trained["lr"],
            "clips_s": trained["clips_s"],
            "seconds": time.monotonic() - self._began,
        }
        logger.info(
            "epoch %(epoch)d of %(epochs)d saved: loss %(loss).4f, val loss %(val_loss).4f, "
            "val mIoU %(val_miou).4f (best %(best_miou).4f in epoch %(best_epoch)d), "
            "%(clips_s).1f clips/s",
            row,
        )
        self._on_epoch(row)

    def _close(self, event: str, failure: dict[str, Any]) -> None:
        """An entry without new blobs: what it says of the trial is what was saved last."""
        rows = [row for row in self._state.rows if row["epoch"] <= self._saver.position[0]]
        weights, best = self._saver.weights_sha256, self._saver.best
        reason = failure.get("reason")
        status = reason if reason in {"diverged", "paused"} else event
        scores = {**scores_of(best, rows), "seconds": self._state.seconds}
        view = self._view(status, rows, best, weights, failure.get("sentence"))
        with at_most(FINISH_S):
            self._saver.close(event, {**scores, "weights_sha256": weights, **failure}, view)

    def _view(
        self,
        status: str,
        rows: list[Row],
        best: dict[str, Any] | None,
        weights_sha256: str | None,
        sentence: str | None = None,
    ) -> dict[str, Any]:
        return trial_view(
            self._config,
            self._log.id,
            status=status,
            rows=rows,
            best_epoch=None if best is None else best["epoch"],
            attempts=self._log.attempt,
            seconds=self._state.seconds,
            error=sentence,
            weights_sha256=weights_sha256,
        )

"""Trials of a grid: start, watch, start again, stop; the same rules for processes and for flow runs.

0                complete, if the store says so too
1, 2, 3          failed; not launched again by this command
4                wait for the store, then as a death
5                somebody else trains it: watch head and beats; when they stand still, launch once
130, 143         stopped; not launched again
a death, or 137  launch again with --take-over, at most 3 in a row without a new checkpoint; one before
                 a process of the trial ran, at most 20 in a row
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from segnets.config.ids import trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.errors import RankLost, StoreError
from segnets.signals import catch_stop
from segnets.store.base import Store
from segnets.store.log import read_head
from segnets.store.retry import at_most
from tasks.signs import LOOK_S, beats_of

DEATHS = 3
"""Launches in a row that may die without a new checkpoint."""
FALSE_STARTS = 20
"""Launches in a row that may die before a process of the trial runs: a sick machine, a server with a fault."""

GAVE_UP = ("failed", "stopped")

logger = logging.getLogger("segnets.tasks")


@dataclass(frozen=True, slots=True)
class End:
    """How a launch ended: an exit code and a sentence, or killed from outside, or stopped.

    `begun` is False for one that died before a process of the trial ran.
    """

    code: int
    sentence: str = ""
    died: bool = False
    stopped: bool = False
    begun: bool = True

    @property
    def was_killed(self) -> bool:
        """Whether the trial, or one of its ranks, was killed from outside."""
        return self.died or self.code == RankLost.exit_code


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that did not become complete; `died` if its last launch was killed from outside."""

    trial: str
    exit_code: int
    sentence: str
    died: bool = False

    @property
    def status(self) -> str | None:
        """How a leaderboard calls it where its log does not say; None if another process has it."""
        if self.died:
            return "crashed"
        if self.exit_code in {130, 143}:
            return "stopped"
        return None if self.exit_code == 5 else "failed"


class Starter(Protocol):
    """Starts trials somewhere and watches them."""

    slots: int
    """How many may run at a time."""
    poll_s: float
    """Pause between two looks."""

    def start(self, config: TrainConfig, launch: int) -> Any:
        """Start a trial; whatever is returned is handed to `poll` and `stop`."""

    def poll(self, handle: Any) -> End | None:
        """How it ended, or None while it runs."""

    def stop(self, handles: Sequence[Any]) -> None:
        """Ask all of them to save and stop; return when they are gone."""


@dataclass(slots=True)
class _Trial:
    """One trial of the grid while this command looks after it."""

    config: TrainConfig
    id: str
    launches: int = 0
    deaths: int = 0
    false_starts: int = 0
    take_over: bool = False
    position: tuple[int, int] = (0, 0)
    handle: Any = None
    look_at: float = 0.0
    wait_until: float = 0.0
    beats: tuple[Any, ...] | None = None
    still: int = 0
    head_before: Any = None
    relaunched: bool = False
    last: End | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Launched:
    """What launching came to: complete by us, complete by others, not complete."""

    ran: tuple[str, ...]
    reused: tuple[str, ...]
    failed: tuple[Failure, ...]


def launch_all(
    store: Store,
    configs: Sequence[TrainConfig],
    starter: Starter,
    *,
    is_complete: Callable[[Store, TrainConfig], bool],
    on_failure: Callable[[Failure], None] = lambda _: None,
) -> Launched:
    """Launch every trial and look after it to its end, whatever happens to the others.

    SIGINT and SIGTERM stop all that run, let them save, and raise Stopped. `on_failure` is called once for each trial that did not become complete. Called from
    the main thread: a child's parent-death signal fires when the thread ends that spawned it.
    """
    grid = _Grid(store, starter, is_complete, on_failure)
    waiting = [_Trial(config, trial_id(config)) for config in configs]
    running: list[_Trial] = []
    watched: list[_Trial] = []
    with catch_stop(store.patience.hurry) as stop:
        try:
            while waiting or running or watched:
                stop.raise_if_requested()
                while waiting and len(running) < starter.slots:
                    stop.raise_if_requested()  # a start through Prefect takes a while, and there may be hundreds
                    trial = waiting.pop(0)
                    running.append(trial)
                    grid.start(trial)
                for trial in list(running):
                    end = starter.poll(trial.handle)
                    if end is not None:
                        running.remove(trial)
                        {"again": waiting, "watch": watched}.get(grid.ended(trial, end), []).append(
                            trial
                        )
                for trial in list(watched):
                    if time.monotonic() >= trial.look_at:
                        verdict = grid.look(trial)
                        if verdict != "watch":
                            watched.remove(trial)
                        if verdict == "again":
                            waiting.append(trial)
                time.sleep(starter.poll_s)
        finally:  # of a grid that ended by itself nothing runs
            starter.stop([trial.handle for trial in running if trial.handle is not None])
    return Launched(tuple(grid.ran), tuple(grid.reused), tuple(grid.failed))


class _Grid:
    """The table at the head of this file."""

    def __init__(
        self,
        store: Store,
        starter: Starter,
        is_complete: Callable[[Store, TrainConfig], bool],
        on_failure: Callable[[Failure], None],
    ) -> None:
        self.store, self.starter, self.is_complete = store, starter, is_complete
        self.on_failure = on_failure
        self.ran: list[str] = []
        self.reused: list[str] = []
        self.failed: list[Failure] = []

    def start(self, trial: _Trial) -> None:
        head = read_head(self.store, trial.id, trial_sha256(trial.config))
        trial.head_before = head and head.rank
        trial.position = (head.epoch, head.step) if head else (0, 0)
        trial.launches += 1
        config = replace(trial.config, take_over=trial.take_over or trial.config.take_over)
        trial.handle = self.starter.start(config, trial.launches)

    def ended(self, trial: _Trial, end: End) -> str:
        """What to do after this end: "again", "watch" or "" for nothing more."""
        trial.handle, trial.last = None, end
        if end.stopped or end.code in {130, 143}:
            return self._fail(trial, end.code or 143, end.sentence or "it was stopped")
        if end.code == 4:
            logger.warning("%s: %s", trial.id, end.sentence)
            trial.wait_until = time.monotonic() + 60 * trial.config.store_wait
            trial.look_at = time.monotonic()
            return "watch"
        if end.code == 5:
            logger.info("%s is trained by another process; waiting for it", trial.id)
            trial.look_at, trial.beats, trial.still = time.monotonic(), None, 0
            return "watch"
        if end.was_killed:
            return self._died(trial, end)
        complete = self.is_complete(self.store, trial.config)
        if end.code != 0 and not complete:
            return self._fail(trial, end.code, end.sentence)
        if complete:  # also where the report of it was lost
            self.ran.append(trial.id)
            pause = trial.config.pause_at
            done = "is complete" if pause is None else f"has epoch {pause}"
            logger.info("%s %s", trial.id, done)
            return ""
        return self._fail(trial, 1, "it ended without a fault, but the store has no result of it")

    def look(self, trial: _Trial) -> str:
        """What to do with a trial that waits for the store or for another process."""
        assert trial.last is not None
        trial.look_at = time.monotonic() + LOOK_S
        try:
            with at_most(5):
                head = read_head(self.store, trial.id)
                if trial.last.code == 5 and self.is_complete(self.store, trial.config):
                    self.reused.append(trial.id)
                    return ""
                beats = beats_of(self.store, trial.id)
        except StoreError as error:
            if time.monotonic() > max(trial.wait_until, 0.0) and trial.last.code == 4:
                return self._fail(trial, 4, str(error))
            logger.info("%s waits for the store: %s", trial.id, error)
            return "watch"
        if trial.last.code == 4:
            return self._died(trial, trial.last)
        moved = trial.beats is not None and beats != trial.beats
        first, trial.beats = trial.beats is None, beats
        trial.still = 0 if moved or first else trial.still + 1
        stands = trial.still >= 2
        others = head is not None and head.rank != trial.head_before  # not one we launched upon
        if head is not None and others and (stands or not beats) and head.event in GAVE_UP:
            if head.metrics.get("reason") == "paused":  # by a search that may never go on with it
                return "again"
            code = int(head.metrics.get("exit_code") or (143 if head.event == "stopped" else 1))
            return self._fail(trial, code, str(head.metrics.get("sentence") or head.event))
        if not stands:
            return "watch"
        if trial.relaunched:
            return self._fail(trial, 5, trial.last.sentence)
        trial.relaunched, trial.take_over = True, False
        return "again"

    def _died(self, trial: _Trial, end: End) -> str:
        head = read_head(self.store, trial.id)
        position = (head.epoch, head.step) if head else (0, 0)
        if end.begun:
            trial.deaths = trial.deaths + 1 if position <= trial.position else 1
            trial.false_starts = 0
        else:  # nothing that the trial could have done
            trial.false_starts += 1
        if trial.deaths > DEATHS or trial.false_starts > FALSE_STARTS:
            times = trial.deaths if end.begun else trial.false_starts
            return self._fail(trial, end.code, f"{end.sentence}, {times} times in a row")
        logger.warning("%s: %s; it is started again", trial.id, end.sentence)
        trial.take_over = True
        return "again"

    def _fail(self, trial: _Trial, code: int, sentence: str) -> str:
        logger.warning("%s did not complete (exit %d): %s", trial.id, code, sentence)
        died = trial.last is not None and trial.last.was_killed
        self.failed.append(Failure(trial.id, code, sentence, died))
        self.on_failure(self.failed[-1])
        return ""

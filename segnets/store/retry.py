"""Deadlines, waits, and which fault is worth another try.

Only `Unavailable` is: no answer, or an answer that says "later". An operation is tried until it works
or its deadline has passed, with full jitter between tries, and a line every 10 s that says what is
waited for. Attempts are not counted: what a user can judge is time.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from segnets.errors import Unavailable

T = TypeVar("T")

WAIT_S = 1800.0
"""How long an operation waits for a store, unless told otherwise (--store-wait)."""
SAY_EVERY_S = 10.0
SHORTEST_PAUSE_S = 0.05
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0

logger = logging.getLogger("segnets.store")
_of_thread = threading.local()
_chance = random.SystemRandom()


def jitter(low: float, high: float) -> float:
    """A random number for a pause; Python's own generator stays as it is, a trial's state holds it."""
    return _chance.uniform(low, high)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let no store operation of this thread wait longer than this, all of them together."""
    before: float | None = getattr(_of_thread, "until", None)
    until = time.monotonic() + seconds
    _of_thread.until = until if before is None else min(before, until)
    try:
        yield
    finally:
        _of_thread.until = before


def side_by_side(actions: Sequence[Callable[[], T]], at_once: int) -> list[T]:
    """The results of all actions, so many at a time, under the deadline of this thread.

    The first fault ends it: no further action begins, and it is raised when the others have ended. The
    threads are daemons, so that no end of a process waits for a store.
    """
    todo = iter(enumerate(actions))
    results: dict[int, T] = {}
    faults: list[BaseException] = []
    lock = threading.Lock()
    until: float | None = getattr(_of_thread, "until", None)

    def work() -> None:
        _of_thread.until = until
        while not faults:
            with lock:
                index, action = next(todo, (-1, None))
            if action is None:
                return
            try:
                results[index] = action()
            except BaseException as error:  # noqa: BLE001  # raised again below
                faults.append(error)

    others = [
        threading.Thread(target=work, name="side-by-side", daemon=True)
        for _ in range(min(at_once, len(actions)) - 1)
    ]
    for thread in others:
        thread.start()
    work()
    for thread in others:
        thread.join()
    if faults:
        raise faults[0]
    return [results[index] for index in range(len(actions))]


class Patience:
    """How long one store's operations wait, and what they have waited so far."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self.wait_s = wait_s
        self._hurried_until: float | None = None
        self._changed = threading.Condition()
        self._waits: list[str] = []

    def hurry(self, seconds: float) -> None:
        """From now on no operation waits longer than this, in any thread (after a SIGTERM)."""
        with self._changed:
            self._hurried_until = time.monotonic() + seconds
            self._changed.notify_all()

    def take_waits(self) -> list[str]:
        """Sentences about the waits since the last call, for the notes of an entry."""
        waits, self._waits = self._waits, []
        return waits

    def run(self, action: Callable[[], T], what: str) -> T:
        """The result of `action`, tried again while it raises Unavailable and time is left.

        Other errors pass at once. `what` names the operation for the line that people read.
        """
        started = time.monotonic()
        said: float | None = None
        tries = 0
        while True:
            try:
                result = action()
            except Unavailable as error:
                waited = time.monotonic() - started
                left = self._until(started) - time.monotonic()
                if left <= 0:
                    if tries == 0:
                        raise
                    raise Unavailable(
                        f"{error.what} (tried for {waited:.0f} s)", error.where, error.next_step
                    ) from error
                if said is None or time.monotonic() - said >= SAY_EVERY_S:
                    said = time.monotonic()
                    logger.info(
                        "waiting for the store to %s: %s: %s (for %.0f s, %.0f s left)",
                        what,
                        error.what,
                        error.where,
                        waited,
                        left,
                    )
                pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries, 10))
                self._sleep(min(left, max(SHORTEST_PAUSE_S, jitter(0, pause))))
                tries += 1
            else:
                if said is not None:
                    waited = time.monotonic() - started
                    logger.info("the store is back after %.1f s", waited)
                    self._waits.append(f"waited {waited:.1f} s for the store to {what}")
                return result

    def _until(self, started: float) -> float:
        limits = [
            started + self.wait_s,
            getattr(_of_thread, "until", None),
            self._hurried_until,
        ]
        return min(limit for limit in limits if limit is not None)

    def _sleep(self, seconds: float) -> None:
        """Sleep, but wake when somebody hurries."""
        with self._changed:
            self._changed.wait(seconds)


def hurry_all(*places: Patience) -> Callable[[float], None]:
    """A function of seconds that hurries all of these, for a loop that is to stop."""

    def hurry(seconds: float) -> None:
        for patience in places:
            patience.hurry(seconds)

    return hurry

"""What the store says of a trial whose flow run says nothing any more.

A machine that vanished leaves its runs Running for ever on a server without the automation of
deployments/automations.yaml, and a run that ended while the server was away may never be reported. The
store knows better: a process that trains renews its beat every 15 s, and a trial that is complete needs
nobody.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from segnets.config.ids import trial_id
from segnets.config.train import TrainConfig
from segnets.errors import StoreError
from segnets.store.base import Store
from segnets.store.log import read_head
from segnets.store.retry import at_most

LOOK_S = 15.0
"""Seconds between two looks at a trial: one beat."""
STILL_S = 120.0
"""A trial in whose log and beats nothing has moved for so long is trained by nobody."""
NEVER_S = 1800.0
"""Nor one that has had no beat for so long; a process may read a large dataset before its first."""

Sign = Literal["lives", "complete", "gone"]

logger = logging.getLogger("segnets.tasks")


class Signs:
    """One trial, looked at again and again while somebody is said to train it."""

    def __init__(
        self, store: Store, config: TrainConfig, is_complete: Callable[[Store, TrainConfig], bool]
    ) -> None:
        self._store, self._config, self._is_complete = store, config, is_complete
        self._seen: Any = None
        self.still_s = 0.0
        self._since = self._look_at = time.monotonic()

    def look(self) -> Sign:
        """Whether it moves; "lives" also where nothing can be said yet, as before its first beat."""
        now = time.monotonic()
        if now < self._look_at:
            return "lives"
        self._look_at = now + LOOK_S
        trial = trial_id(self._config)
        try:
            with at_most(5):
                beats = beats_of(self._store, trial)
                head = read_head(self._store, trial)
                seen = (beats, head and head.rank)
                if seen != self._seen:
                    self._seen, self._since = seen, now
                self.still_s = now - self._since
                if self.still_s < STILL_S:
                    return "lives"
                if self._is_complete(self._store, self._config):
                    return "complete"
        except StoreError as error:
            logger.debug("no look at %s: %s", trial, error)
            self._seen = None  # what a trial does while its store is away nobody sees
            return "lives"
        return "gone" if beats or self.still_s >= NEVER_S else "lives"


def beats_of(store: Store, trial: str) -> tuple[Any, ...]:
    """The beats of those that hold a trial or held it, and when each was renewed."""
    return tuple((found.key, found.modified) for found in store.list(f"beat/trial/{trial}."))

"""Every fault we can explain, as a tree, with the exit code of the process that meets it.

SegnetsError            1  a fault with a sentence: what happened, where, what to do next
  ConfigError           2  a flag or setting that cannot be (also a ValueError, so Prefect refuses it)
  DatasetError          3  data wrong or not there
    NotInStore          3  an id (dataset, trial, ...) that this store does not hold
  StoreError            4  the store cannot be used
    NotFound            4  a key is not there (callers turn it into what it means)
    Conflict            4  somebody else holds this key
    Corrupt             4  bytes that are not what was sealed
    Denied              4  refused: keys, signature, rights
    Misconfigured       4  wrong bucket, region, clock, TLS
    OutOfSpace          4  disk or quota full
    Unavailable         4  no answer, or only transient errors, until the deadline
  ServerAway            4  a Prefect server that is named and does not answer
  TakenOver             5  another process took the trial
  Diverged              1  the loss is not finite
  RankLost            137  a process of a trial on several ranks was killed: as if the trial had been
  TrialsFailed          1  trials of a grid that did not complete
Stopped                    SIGINT or SIGTERM after saving (130, 143); a KeyboardInterrupt, not an Exception
"""

import signal
from typing import Any


class SegnetsError(Exception):
    """A fault we can explain: what happened, where, what to do next."""

    exit_code = 1

    def __init__(self, what: str, where: object, next_step: str) -> None:
        super().__init__(what, str(where), next_step)  # all in args, so that it pickles
        self.what, self.where, self.next_step = self.args
        self.summary: dict[str, Any] = {}  # what a command says all the same, besides the error

    def __str__(self) -> str:
        return f"{self.what}: {self.where}. {self.next_step}"


class ConfigError(SegnetsError, ValueError):
    """A flag or setting that cannot be."""

    exit_code = 2


class DatasetError(SegnetsError):
    """Data that is wrong or not there."""

    exit_code = 3


class NotInStore(DatasetError):
    """An id that the store does not hold."""


class StoreError(SegnetsError):
    """The store cannot be used."""

    exit_code = 4


class NotFound(StoreError):
    """A key is not in the store."""


class Conflict(StoreError):
    """The key exists already: somebody else holds it."""


class Corrupt(StoreError):
    """Bytes that are not what was sealed."""


class Denied(StoreError):
    """The store refuses: unknown key id, wrong signature, missing rights, expired token."""


class Misconfigured(StoreError):
    """The store cannot be meant: missing bucket, wrong region, skewed clock, TLS."""


class OutOfSpace(StoreError):
    """A disk or quota is full, or read-only."""


class Unavailable(StoreError):
    """No answer, or only transient errors, until the deadline."""


class ServerAway(SegnetsError):
    """A Prefect server that is named and does not answer."""

    exit_code = 4


class TakenOver(SegnetsError):
    """Another process has taken the trial; this one stops without a word in the log."""

    exit_code = 5


class Diverged(SegnetsError):
    """The loss is not finite: the trial failed, the program did not."""


class RankLost(SegnetsError):
    """A process of a trial on several ranks is gone; the trial counts as killed."""

    exit_code = 137


class TrialsFailed(SegnetsError):
    """Some trials of a grid did not complete; `exit_code` is 4 if the store was the only cause."""

    def __init__(self, what: str, where: object, next_step: str, exit_code: int = 1) -> None:
        super().__init__(what, where, next_step)
        self.args = (*self.args, exit_code)
        self.exit_code = exit_code


class Stopped(KeyboardInterrupt):
    """Stopped by a signal, after everything acknowledged was saved.

    A KeyboardInterrupt, so that nothing takes it for a fault of the program and Prefect reports
    an interrupt instead of an unexpected exception.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """128 + signal number: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signum

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.signum).name}"

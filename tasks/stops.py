"""How a command or a flow run is told to end: by a signal, by the grid that started it, by its worker."""

import ctypes
import os
import signal
import sys
from types import FrameType

from segnets.errors import Stopped
from segnets.signals import STOP_SIGNALS

PARENT = "SEGNETS_PARENT"
"""Environment variable in which a grid tells a trial its own pid."""


def signals_stop() -> None:
    """Let SIGINT and SIGTERM raise Stopped; then a SIGINT kills, and a SIGTERM changes nothing more.

    Why: segnets/signals.py. A SIGINT that was inherited as ignored (nohup, a background job of a script) stays ignored.
    """

    def stop(signum: int, _frame: FrameType | None) -> None:
        if signal.getsignal(signal.SIGINT) is stop:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, nothing_more)
        raise Stopped(signum)

    def nothing_more(_signum: int, _frame: FrameType | None) -> None:
        """Handled, not ignored: an ignored signal would stay so in processes that we start."""

    for signum in STOP_SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, stop)


def as_stopped(error: BaseException) -> Stopped | None:
    """The Stopped that an interrupt stands for, whoever raised it; None for anything else."""
    if isinstance(error, Stopped):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Stopped(signal.SIGINT)
    if type(error).__name__ == "TerminationSignal":  # Prefect's, when it was quicker than we
        return Stopped(signal.SIGTERM)
    return None


def die_with_parent(signum: int = signal.SIGTERM) -> None:
    """Ask for SIGTERM, or `signum`, when the grid that started this process dies; nothing without a grid.

    The signal comes when the *thread* that spawned us ends, so a grid spawns from its main thread.
    """
    parent = os.environ.pop(PARENT, None)  # not for our own children
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(1, signum)  # PR_SET_PDEATHSIG
    if os.getppid() != int(parent):  # it died before the line above
        raise SystemExit(128 + signum)


def leave_with_worker() -> None:
    """In a flow process that a worker started: a dead worker counts as SIGTERM.

    Its console is a broken pipe by then, which would end Prefect's own report of the crash, so
    /dev/null takes its place first.
    """
    if sys.platform != "linux":
        return

    def leave(_signum: int, _frame: FrameType | None) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.kill(os.getpid(), signal.SIGTERM)  # whoever handles SIGTERM now takes it from here

    try:
        signal.signal(signal.SIGHUP, leave)
    except ValueError:  # not the main thread: nobody can handle signals here
        return
    ctypes.CDLL(None).prctl(1, signal.SIGHUP)

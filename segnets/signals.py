"""SIGINT and SIGTERM as a question asked at safe points.

A long loop runs inside `catch_stop()` and calls `raise_if_requested()` where saving is allowed. The
first signal only sets a flag. After it a SIGINT kills: somebody at a keyboard has pressed Ctrl-C twice. A
second SIGTERM changes nothing: several may send one (`make down`, a grid's parent, its worker), each of
them waits, and whoever has no more patience sends SIGKILL. A signal that came after the last question is
sent again when the loop is over: none is swallowed.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from segnets.errors import Stopped, Unavailable

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
HURRY_S = 12.0
"""How long a store that does not answer is waited for once a stop is asked for."""


class StopRequest:
    """Whether a signal has asked this loop to stop."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.told = False
        """Whether Stopped was raised for it."""

    def raise_if_requested(self) -> None:
        """Raise Stopped if a signal came in; call it where the state is whole."""
        if self.signum is not None:
            self.told = True
            raise Stopped(self.signum)


@contextmanager
def catch_stop(hurry: Callable[[float], None] | None = None) -> Iterator[StopRequest]:
    """Handle SIGINT and SIGTERM by a flag for the time of a loop; handlers are put back after it.

    `hurry` is called from the handler with HURRY_S: let nothing wait longer than that from then on.
    A store that is Unavailable then counts as the stop that it is.
    Outside the main thread no handler can be set: the flag then never rises. A SIGINT that the
    process inherited as ignored (nohup, a background job of a script) stays ignored.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
    caught = [signum for signum in STOP_SIGNALS if before[signum] is not signal.SIG_IGN]

    def remember(signum: int, _frame: FrameType | None) -> None:
        if request.signum is None:
            request.signum = signum
            if signal.SIGINT in caught:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
            if hurry is not None:
                hurry(HURRY_S)

    try:
        for signum in caught:
            signal.signal(signum, remember)
        yield request
    except Unavailable:  # waited for no longer than HURRY_S, since it shall stop
        request.raise_if_requested()
        raise
    finally:
        for signum in caught:
            signal.signal(signum, before[signum])
    if request.signum is not None and not request.told:
        signal.raise_signal(request.signum)

"""SIGINT and SIGTERM as a question asked at safe points.

A long loop runs inside `catch_stop()` and calls `raise_if_requested()` where saving is allowed. The
first signal only sets a flag. After it a SIGINT kills: somebody at a keyboard has pressed Ctrl-C twice. A
second SIGTERM changes nothing: several may send one (`make down`, a grid's parent, its worker), each of
them waits, and whoever has no more patience sends SIGKILL.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from segnets.errors import Stopped

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether a signal has asked this loop to stop."""

    def __init__(self) -> None:
        self.signum: int | None = None

    def raise_if_requested(self) -> None:
        """Raise Stopped if a signal came in; call it where the state is whole."""
        if self.signum is not None:
            raise Stopped(self.signum)


@contextmanager
def catch_stop() -> Iterator[StopRequest]:
    """Handle SIGINT and SIGTERM by a flag for the time of a loop; handlers are put back after it.

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

    try:
        for signum in caught:
            signal.signal(signum, remember)
        yield request
    finally:
        for signum in caught:
            signal.signal(signum, before[signum])

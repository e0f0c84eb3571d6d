"""Functions in forked children: what they return, or how they died."""

import json
import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from segnets.errors import SegnetsError

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Ended:
    """How a child ended: `value` if it returned; a fault's class name, sentence, exit code; a signal."""

    value: Any = None
    fault: str = ""
    sentence: str = ""
    exit_code: int = 0
    signum: int = 0
    explained: bool = True

    @property
    def returned(self) -> bool:
        return not self.fault and not self.signum


class Child:
    """A child that runs `body`; its plain return value comes back as JSON."""

    def __init__(self, body: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fork beside threads that only wait
            self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reader)
            _run(body, writer)
        os.close(writer)

    def end(self, timeout_s: float = TIMEOUT_S) -> Ended:
        """Wait for its end; one that takes too long is killed, which counts as SIGXCPU."""
        data, until, late = b"", time.monotonic() + timeout_s, False
        while True:
            ready, _, _ = select.select([self._reader], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                late = True
                os.kill(self.pid, signal.SIGKILL)
                break
            part = os.read(self._reader, 1 << 16)
            if not part:
                break
            data += part
        os.close(self._reader)
        _, status = os.waitpid(self.pid, 0)
        if late:
            return Ended(signum=signal.SIGXCPU)
        if os.WIFSIGNALED(status):
            return Ended(signum=os.WTERMSIG(status))
        return Ended(**json.loads(data))


def in_child(body: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Ended:
    """Run it in a child and wait for its end."""
    return Child(body).end(timeout_s)


def _run(body: Callable[[], Any], writer: int) -> None:
    """The whole life of a child; no handler, no buffer of the parent is run or flushed."""
    try:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_DFL)
        try:
            said: dict[str, Any] = {"value": body()}
        except BaseException as error:  # noqa: BLE001  # all of it is the parent's to judge
            said = {
                "fault": type(error).__name__,
                "sentence": str(error),
                "exit_code": getattr(error, "exit_code", 1),
                "explained": isinstance(error, SegnetsError),
            }
            if not said["explained"]:
                said["sentence"] = "".join(traceback.format_exception(error))[-2000:]
        os.write(writer, json.dumps(said).encode())
    finally:
        os._exit(0)

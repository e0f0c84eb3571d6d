"""What is done to a run at its k-th operation: kill, torn write, error once, error from then on."""

import errno
import http.client
import os
import signal
import urllib.parse
from collections.abc import Callable
from typing import Any, NoReturn

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError

from crash.taps import Injector, Op, Proceed

READS = {"GET", "HEAD"}
GROWS = {"create", "write", "mkdir", "link"}


def die() -> NoReturn:
    """SIGKILL for this process, all threads."""
    os.kill(os.getpid(), signal.SIGKILL)
    while True:
        signal.pause()


def kill_before(k: int) -> Injector:
    def inject(op: Op, proceed: Proceed) -> Any:
        if op.index == k:
            die()
        return proceed()

    return inject


def kill_after(k: int) -> Injector:
    def inject(op: Op, proceed: Proceed) -> Any:
        try:
            return proceed()
        finally:  # also after one that failed: mkdir of what is there
            if op.index == k:
                die()

    return inject


def torn(k: int) -> Injector:
    """Half of the bytes arrive, then the process is gone; a call without bytes is a kill before it."""

    def inject(op: Op, proceed: Proceed) -> Any:
        if op.index != k:
            return proceed()
        half = op.data[: len(op.data) // 2]
        if op.call == "write":
            with open(op.fd, "wb", buffering=0, closefd=False) as file:
                file.write(half)
        elif op.request is not None and op.request.method in {"PUT", "POST"}:
            _send_part(op.request, half, len(op.data))
        return die()

    return inject


def error_once(k: int, kind: str) -> Injector:
    """One operation fails and did nothing."""

    def inject(op: Op, proceed: Proceed) -> Any:
        return _fail(op, kind) if op.index == k else proceed()

    return inject


def lost_reply(k: int) -> Injector:
    """One operation works and looks as if it had failed."""

    def inject(op: Op, proceed: Proceed) -> Any:
        result = proceed()
        return _fail(op, "connection") if op.index == k else result

    return inject


def error_from(k: int, kind: str) -> Injector:
    """From its k-th operation on the store fails in this way."""
    number = getattr(errno, kind, 0)

    def inject(op: Op, proceed: Proceed) -> Any:
        if op.index < k:
            return proceed()
        if op.request is None and number in {errno.ENOSPC, errno.EDQUOT} and op.call not in GROWS:
            return proceed()  # a full disk still deletes and syncs
        return _fail(op, kind)

    return inject


def _fail(op: Op, kind: str) -> Any:
    if op.request is None:
        number = getattr(errno, kind)
        raise OSError(number, os.strerror(number), op.path)
    if kind == "503":
        return AWSResponse(op.request.url, 503, {}, _Empty())
    if kind == "full":
        return AWSResponse(op.request.url, 500, {}, _Full())
    raise ConnectionClosedError(endpoint_url=op.request.url)


class _Empty:
    body = b""

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.body


class _Full(_Empty):
    """What rclone answers when its disk is full."""

    body = (
        b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code>'
        b"<Message>write part: no space left on device</Message></Error>"
    )


def _send_part(request: Any, half: bytes, size: int) -> None:
    """A request with all of its headers and some of its body; the line breaks with the process."""
    url = urllib.parse.urlsplit(request.url)
    line = http.client.HTTPConnection(url.hostname or "", url.port, timeout=5)
    line.putrequest(
        request.method,
        f"{url.path}?{url.query}" if url.query else url.path,
        skip_host="Host" in request.headers,
        skip_accept_encoding=True,
    )
    for name, value in request.headers.items():
        if name.lower() not in {"content-length", "expect"}:
            text = value.decode() if isinstance(value, bytes) else str(value)
            line.putheader(name, text)
    line.putheader("Content-Length", str(size))
    line.endheaders()
    line.send(half)
    line.close()


FOLDER: dict[str, Callable[[int], Injector]] = {
    "kill": kill_before,
    "kill_after": kill_after,
    "torn": torn,
    "error_once_eio": lambda k: error_once(k, "EIO"),
    "error_once_enospc": lambda k: error_once(k, "ENOSPC"),
    "full_enospc": lambda k: error_from(k, "ENOSPC"),
    "full_edquot": lambda k: error_from(k, "EDQUOT"),
    "full_erofs": lambda k: error_from(k, "EROFS"),
    "broken_eio": lambda k: error_from(k, "EIO"),
}
S3: dict[str, Callable[[int], Injector]] = {
    "kill": kill_before,
    "kill_after": kill_after,
    "torn": torn,
    "error_once_503": lambda k: error_once(k, "503"),
    "error_once_cut": lambda k: error_once(k, "connection"),
    "lost_reply": lost_reply,
    "away_503": lambda k: error_from(k, "503"),
    "away_cut": lambda k: error_from(k, "connection"),
    "full": lambda k: error_from(k, "full"),
}
"""Name -> injector of a point."""

FAULTS = {
    "full_enospc": {"OutOfSpace"},
    "full_edquot": {"OutOfSpace"},
    "full_erofs": {"OutOfSpace"},
    "broken_eio": {"Unavailable"},
    "error_once_eio": {"Unavailable"},
    "error_once_enospc": {"OutOfSpace"},
    "error_once_503": set[str](),
    "error_once_cut": set[str](),
    "lost_reply": set[str](),
    "away_503": {"Unavailable"},
    "away_cut": {"Unavailable"},
    "full": {"OutOfSpace"},
}
"""What a run may say if it does not get to its end all the same."""

"""Every call underneath a store that changes something: counted, and handed to an injector.

The points of the harness are found here and nowhere else: functions of `os` that change files below a
folder, and the one function through which boto3 sends requests. An injector gets the operation and
`proceed`, which makes the call.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.httpsession import URLLib3Session

Proceed = Callable[[], Any]


@dataclass(frozen=True)
class Op:
    """One call; `path` relative to the folder (of a request: its path and query)."""

    index: int
    call: str
    path: str
    data: bytes = b""
    target: str = ""
    fd: int = -1
    request: Any = None

    @property
    def place(self) -> str:
        """Where it is, without what differs from run to run: rename obj/trial, PUT log/trial."""
        parts = [part for part in self.path.split("?")[0].split("/") if part]
        kinds = {"obj", "log", "view", "beat", "probe", "masks"}
        at = next((index for index, part in enumerate(parts) if part in kinds), None)
        if at is None:
            return f"{self.call} ."
        return f"{self.call} {'/'.join(parts[at : at + (1 if parts[at] == 'probe' else 2)])}"


Injector = Callable[[Op, Proceed], Any]


def proceed_always(_: Op, proceed: Proceed) -> Any:
    """The injector that injects nothing."""
    return proceed()


class Taps:
    """Wraps the calls for the time of a `with`; operations of all threads are numbered in order."""

    def __init__(self, folder: Path, injector: Injector) -> None:
        self.count = 0
        self.places: list[str] = []
        self._folder = f"{folder}/"
        self._injector = injector
        self._paths: dict[int, str] = {}
        self._lock = threading.RLock()
        self._real: dict[str, Any] = {}

    def below(self, path: Any) -> str | None:
        """The path relative to the folder, or None for one that lies elsewhere."""
        if isinstance(path, int):
            return self._paths.get(path)
        text = os.fspath(path)
        if not isinstance(text, str) or not text.startswith(self._folder):
            return None
        return text[len(self._folder) :]

    def hand_over(
        self, call: str, path: str, proceed: Proceed, *, counts: bool = True, **more: Any
    ) -> Any:
        """Number an operation and let the injector have it."""
        if not counts:
            return proceed()
        with self._lock:
            op = Op(self.count, call, path, **more)
            self.count += 1
            self.places.append(op.place)
        return self._injector(op, proceed)

    # ---- files

    def _open(self, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        below = self.below(path)
        real = self._real["open"]
        if below is None:
            return int(real(path, flags, *args, **kwargs))

        def proceed() -> int:
            descriptor = int(real(path, flags, *args, **kwargs))
            self._paths[descriptor] = below
            return descriptor

        counts = bool(flags & (os.O_CREAT | os.O_TRUNC))
        return int(self.hand_over("create", below, proceed, counts=counts))

    def _close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        self._real["close"](descriptor)

    def _one_path(self, call: str) -> Callable[..., Any]:
        real = self._real[call]

        def tapped(path: Any, *args: Any, **kwargs: Any) -> Any:
            below = self.below(path)
            if below is None:
                return real(path, *args, **kwargs)
            data = bytes(args[0]) if call == "write" else b""
            fd = path if isinstance(path, int) else -1
            name = "unlink" if call == "remove" else call
            return self.hand_over(
                name, below, lambda: real(path, *args, **kwargs), data=data, fd=fd
            )

        return tapped

    def _two_paths(self, call: str) -> Callable[..., Any]:
        real = self._real[call]

        def tapped(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            below, other = self.below(source), self.below(target)
            if below is None or other is None:
                return real(source, target, *args, **kwargs)
            name = "rename" if call == "replace" else call
            proceed = lambda: real(source, target, *args, **kwargs)  # noqa: E731
            return self.hand_over(name, below, proceed, target=other)

        return tapped

    # ---- requests

    def _send(self, session: Any, request: Any) -> Any:
        real = self._real["send"]
        path = request.url.partition("://")[2].partition("/")[2]
        body = request.body or b""
        if isinstance(body, bytes | bytearray):
            data = bytes(body)
        else:
            data = bytes(body.read())
            body.seek(0)
        return self.hand_over(
            request.method, path, lambda: real(session, request), data=data, request=request
        )

    @contextmanager
    def installed(self) -> Iterator["Taps"]:
        """Wrap the calls; a forked child may simply never leave."""
        one = ("write", "fsync", "fdatasync", "unlink", "remove", "mkdir", "rmdir", "ftruncate")
        two = ("rename", "replace", "link")
        self._real = {name: getattr(os, name) for name in ("open", "close", *one, *two)}
        self._real["send"] = URLLib3Session.send
        taps: dict[str, Any] = {"open": self._open, "close": self._close}
        taps |= {name: self._one_path(name) for name in one}
        taps |= {name: self._two_paths(name) for name in two}
        untold = ("pwrite", "writev", "pwritev", "symlink", "truncate", "sendfile")
        self._real |= {name: getattr(os, name) for name in untold}
        taps |= {name: self._refuse(name) for name in untold}
        for name, tapped in taps.items():
            setattr(os, name, tapped)
        tap = self

        def send(session: URLLib3Session, request: Any) -> Any:
            return tap._send(session, request)

        URLLib3Session.send = send
        try:
            yield self
        finally:
            URLLib3Session.send = self._real.pop("send")
            for name, real in self._real.items():
                setattr(os, name, real)

    def _refuse(self, call: str) -> Callable[..., Any]:
        """A call that the harness does not know yet must not pass unseen."""
        real = self._real[call]

        def refuse(*args: Any, **kwargs: Any) -> Any:
            if any(self.below(one) is not None for one in args[:2] if isinstance(one, (int, str))):
                raise OSError(errno.ENOSYS, f"the harness does not know os.{call}: teach it")
            return real(*args, **kwargs)

        return refuse

"""A server that misbehaves: a proxy on the loopback in front of a real S3 server.

    with rclone_server(tmp_path) as server, FaultProxy(server.endpoint) as proxy:
        os.environ.update(server.env | {"AWS_ENDPOINT_URL": proxy.endpoint})
        with proxy.fault("lost", "POST", "uploadId=") as fault:
            ...  # the server completes the upload, its reply never comes
        assert fault.hits == 1

Every request goes through as it came, its Host header too, so that signatures still fit. A fault is
chosen by method, by a pattern over path and query, and by which of the matching requests it meets;
`at` is an offset in the body. `proxy.refuse()` closes the port, `proxy.accept()` opens the same one.
"""

import contextlib
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, Self
from urllib.parse import urlsplit

Kind = Literal[
    "reset",  # the connection is reset before the server sees the request
    "cut",  # the connection ends behind `at` bytes of the request or the response
    "corrupt",  # three bits of the byte at `at` of the body are flipped
    "stall",  # nothing comes for `seconds` behind `at` bytes of the response; then the line ends
    "slow",  # a response of `rate` bytes a second
    "delayed",  # the whole response, `seconds` later
    "busy",  # 503 SlowDown, the server sees nothing
    "broken",  # 500 InternalError, the server sees nothing
    "lost",  # the server has done it, the reply is dropped
    "late",  # the line ends at once, the server sees the request `seconds` later
    "expired",  # 403 ExpiredToken, the server sees nothing
]
REFUSALS = {
    "busy": (503, "SlowDown", "Please reduce your request rate."),
    "broken": (500, "InternalError", "We encountered an internal error. Please try again."),
    "expired": (403, "ExpiredToken", "The provided token has expired."),
}


@dataclass
class Fault:
    """What happens to which requests; `hits` counts those that it met."""

    kind: Kind
    method: str = ""
    """GET, PUT, POST or DELETE; empty for all."""
    path: str = ""
    """Regular expression, searched in path and query."""
    nth: int = 1
    """The first matching request that is met."""
    times: int | None = 1
    """How many are met; None for all from the nth on."""
    at: int = 0
    """Offset in the body; a negative one counts from its end."""
    way: Literal["request", "response"] = "response"
    """Whose body is cut or corrupted."""
    seconds: float = 60.0
    rate: float = 20_000.0
    seen: int = 0
    hits: int = 0

    def meets(self, method: str, target: str) -> bool:
        """Whether this request is one of those."""
        if self.method not in {"", method} or not re.search(self.path, target):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


@dataclass
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Reply:
    """One answer as it goes."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    to_head: bool = False

    def head(self) -> bytes:
        """Status line and headers."""
        hop = {"transfer-encoding", "connection", "keep-alive"}
        length = {"content-length"} if not self.to_head else set()
        kept = [(name, text) for name, text in self.headers if name.lower() not in hop | length]
        if not self.to_head and self.status != 204:
            kept.append(("Content-Length", str(len(self.body))))
        lines = [f"HTTP/1.1 {self.status} {self.reason}", *(f"{n}: {t}" for n, t in kept), "", ""]
        return "\r\n".join(lines).encode("latin-1")


class _LineEnds(Exception):
    """This connection is over; `reset` says how."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__(reset)
        self.reset = reset


@dataclass
class FaultProxy:
    """The proxy; a context that listens on a free port."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """METHOD and path with query of every request, in order."""

    def __post_init__(self) -> None:
        self._port = 0
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.refuse()

    @property
    def endpoint(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self._port}"

    @contextlib.contextmanager
    def fault(
        self, kind: Kind, method: str = "", path: str = "", **more: object
    ) -> Iterator[Fault]:
        """Let this fault happen inside the block."""
        one = Fault(kind, method, path, **more)  # type: ignore[arg-type]
        with self._lock:
            self.faults.append(one)
        try:
            yield one
        finally:
            with self._lock:
                self.faults.remove(one)

    def accept(self) -> None:
        """Listen, on the same port as before."""
        listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
        self._port = int(listener.getsockname()[1])
        self._listener = listener
        threading.Thread(target=self._accept_all, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Close the port and every connection: who asks is refused."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # close alone leaves accept() listening
            listener.close()
        with self._lock:
            open_now = list(self._open)
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection, one after the other."""
        stream = connection.makefile("rb")
        try:
            while (request := _read_request(stream, connection)) is not None:
                with self._lock:
                    self.requests.append(f"{request.method} {request.target}")
                    fault = next(
                        (one for one in self.faults if one.meets(request.method, request.target)),
                        None,
                    )
                self._answer(connection, request, fault)
        except _LineEnds as end:
            if end.reset:  # closing with a linger of 0 s sends RST
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, http.client.HTTPException):
            pass  # one of the two sides is gone
        finally:
            with self._lock:
                self._open.discard(connection)
            stream.close()
            connection.close()

    def _answer(self, connection: socket.socket, request: Request, fault: Fault | None) -> None:
        kind = None if fault is None else fault.kind
        if fault is not None and kind == "reset":
            raise _LineEnds(reset=True)
        if kind in REFUSALS:
            connection.sendall(_refusal(request, *REFUSALS[kind]))
            return
        if fault is not None and kind == "late":
            timer = threading.Timer(fault.seconds, _ignore_faults, (self._forward, request))
            timer.daemon = True
            timer.start()
            raise _LineEnds
        if fault is not None and fault.way == "request":
            assert kind in {"cut", "corrupt"}, kind
            if kind == "cut":
                self._forward(request, sent=_offset(fault.at, request.body))
                raise _LineEnds
            request.body = _flipped(request.body, fault.at)
        reply = self._forward(request)
        if kind == "lost":
            raise _LineEnds
        if fault is None or fault.way == "request":
            connection.sendall(reply.head() + reply.body)
            return
        self._send_badly(connection, reply, fault)

    def _send_badly(self, connection: socket.socket, reply: Reply, fault: Fault) -> None:
        head, body, at = reply.head(), reply.body, _offset(fault.at, reply.body)
        if fault.kind == "corrupt":
            connection.sendall(head + _flipped(body, fault.at))
        elif fault.kind == "cut":
            connection.sendall(head + body[:at])
            raise _LineEnds
        elif fault.kind == "stall":
            connection.sendall(head + body[:at] if at else b"")
            self._ended.wait(fault.seconds)
            raise _LineEnds
        elif fault.kind == "delayed":
            self._ended.wait(fault.seconds)
            connection.sendall(head + body)
        else:
            assert fault.kind == "slow", fault.kind
            connection.sendall(head)
            for start in range(0, len(body), 1000):
                connection.sendall(body[start : start + 1000])
                time.sleep(1000 / fault.rate)

    def _forward(self, request: Request, sent: int | None = None) -> Reply:
        """The server's answer; with `sent`, only so many bytes of the body go out and no more."""
        address = urlsplit(self.upstream)
        server = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        try:
            server.putrequest(
                request.method, request.target, skip_host=True, skip_accept_encoding=True
            )
            for name, text in request.headers:
                if name.lower() not in {"expect", "connection"}:
                    server.putheader(name, text)
            server.endheaders()
            if sent is not None:
                server.send(request.body[:sent])
                time.sleep(0.05)  # let the server begin with it
                return Reply(0, "", [])
            server.send(request.body)
            answer = server.getresponse()
            body, to_head = answer.read(), request.method == "HEAD"
            return Reply(answer.status, answer.reason, answer.getheaders(), body, to_head)
        finally:
            server.close()


def _read_request(stream: BinaryIO, connection: socket.socket) -> Request | None:
    """The next request of a connection, or None at its end."""
    line = stream.readline(65537)
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    message = http.client.parse_headers(stream)
    if "100-continue" in message.get("Expect", ""):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    size = int(message.get("Content-Length", "0"))
    body = stream.read(size)
    return None if len(body) < size else Request(method, target, message.items(), body)


def _refusal(request: Request, status: int, code: str, message: str) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    headers = [("Content-Type", "application/xml")]
    if request.method == "HEAD":
        return Reply(status, code, headers, to_head=True).head()
    reply = Reply(status, code, headers, body.encode())
    return reply.head() + reply.body


def _ignore_faults(forward: object, request: Request) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        forward(request)  # type: ignore[operator]


def _offset(at: int, body: bytes) -> int:
    return max(0, min(len(body), at if at >= 0 else len(body) + at))


def _flipped(body: bytes, at: int) -> bytes:
    """The body with three bits of one byte changed; printable text stays printable."""
    if not body:
        return body
    index = min(_offset(at, body), len(body) - 1)
    return body[:index] + bytes([body[index] ^ 0x07]) + body[index + 1 :]

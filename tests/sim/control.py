"""Clocks, sleep, random numbers and threads of the code under test, in the schedule's hands."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from segnets.store import bag, beat, keys, log, retry, s3
from segnets.store.retry import Patience
from segnets.store.s3 import S3Store
from sim.schedule import Process, Task, World
from sim.server import Client, Server

_world: World | None = None


def world() -> World:
    """The history that runs now."""
    assert _world is not None
    return _world


class _Time:
    """What the code takes for the time module."""

    @staticmethod
    def time() -> float:
        return world().now

    monotonic = time

    @staticmethod
    def sleep(seconds: float) -> None:
        world().sleep(seconds)


class _Event:
    """threading.Event of the simulation."""

    def __init__(self) -> None:
        self._flag = False

    def is_set(self) -> bool:
        return self._flag

    def set(self) -> None:
        self._flag = True

    def wait(self, timeout: float) -> bool:
        world().sleep(timeout, self.is_set)
        return self._flag


class _Thread:
    """threading.Thread of the simulation: one more task of the process that makes it."""

    def __init__(self, *, target: Callable[[], None], name: str, daemon: bool) -> None:  # noqa: ARG002
        self._target = target
        self._task: Task | None = None

    def start(self) -> None:
        if not world().quiet:
            self._task = world().start(_here(), self._target)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done

    def join(self, timeout: float) -> None:
        world().sleep(timeout, lambda: not self.is_alive())


def _here() -> Process:
    running = world().running
    if running is None:
        return Process("quiet", "host-q", 999)
    return running.process


def _this_process() -> dict[str, Any]:
    here = _here()
    return {
        "host": here.host,
        "boot": f"boot-{here.host}",
        "namespace": "one",
        "pid": here.number,
        "start": f"start-{here.number}",
    }


def _start_time(pid: int) -> str:
    there = [one for one in world().processes if one.host == _here().host and not one.dead]
    return f"start-{pid}" if any(one.number == pid for one in there) else ""


def _urandom(size: int) -> bytes:
    drawn = world().draw.randbytes(size)
    _here().writers.add(drawn.hex())
    return drawn


def _uniform(low: float, high: float) -> float:
    return world().draw.uniform(low, high)


def _pause(_patience: Patience, seconds: float) -> None:
    world().sleep(seconds)


def _dated(made: Callable[..., Any]) -> Callable[..., Any]:
    """An entry or a line of a bag, by the clock of the simulation."""

    def make(**fields: Any) -> Any:
        return made(**{"time": world().now, **fields})

    return make


_SWAPS: tuple[tuple[Any, str, Any], ...] = (
    (retry, "time", _Time),
    (log, "time", _Time),
    (beat, "time", _Time),
    (s3, "time", _Time),
    (retry, "jitter", _uniform),
    (log, "jitter", _uniform),
    (keys, "os", SimpleNamespace(urandom=_urandom)),
    (beat, "threading", SimpleNamespace(Event=_Event, Thread=_Thread)),
    (beat, "this_process", _this_process),
    (beat, "_start_time", _start_time),
    (Patience, "_sleep", _pause),
    (log, "Entry", _dated(log.Entry)),
    (bag, "Item", _dated(bag.Item)),
)


@contextlib.contextmanager
def under_simulation() -> Iterator[None]:
    """Swap clocks and the like in the store's modules; histories may be run inside."""
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in _SWAPS]
    logger = logging.getLogger("segnets.store")
    disabled, stack = logger.disabled, threading.stack_size(256 * 1024)
    logger.disabled = True
    try:
        for owner, name, stand_in in _SWAPS:
            setattr(owner, name, stand_in)
        yield
    finally:
        for owner, name, value in kept:
            setattr(owner, name, value)
        logger.disabled = disabled
        threading.stack_size(stack)


@contextlib.contextmanager
def in_world(one: World) -> Iterator[World]:
    """Make this the history that runs."""
    global _world  # noqa: PLW0603  # the code under test has no way to be handed it
    before, _world = _world, one
    try:
        yield one
    finally:
        _world = before


def open_sim(server: Server, process: Process, *, wait_s: float) -> S3Store:
    """The real S3Store of one process, over a client of the simulation."""
    store = S3Store("s3://sim", wait_s=wait_s)
    store._clients[os.getpid()] = Client(server, process)  # in place of boto3's
    store.conditional = server.exclusive
    if server.world.profile.mode == "M" and process.number % 2:
        store.conditional = False  # as with SEGNETS_S3_CONDITIONAL=off, or a probe that a 501 met
    return store

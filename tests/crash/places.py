"""Where trials of a proof are kept, and the processes that train them: real stores, real forks.

A child is forked from this process, which has torch loaded, so it trains after a few milliseconds. How
it ended is its exit code: 0, that of a fault we can explain (5 for TakenOver), 128 + n for a polite stop;
a signal that killed it is negative, as subprocess has it. Anything else leaves its traceback in a file.
"""

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from support.servers import ministack_server, rclone_server

from segnets.errors import SegnetsError, Stopped
from segnets.store.base import Store
from segnets.store.names import list_subjects
from segnets.store.verify import Found, verify

Fresh = Callable[[], str]
"""Gives the URL of a store that is empty."""


@contextlib.contextmanager
def place(kind: str, folder: Path) -> Iterator[Fresh]:
    """Empty stores in a folder, or on an rclone or ministack server of this block."""
    numbers = iter(range(1_000_000))
    if kind == "folder":
        yield lambda: str(folder / f"store-{next(numbers)}")
        return
    start = {"rclone": rclone_server, "ministack": ministack_server}[kind]
    with start(folder) as server, environment(server.env):
        yield lambda: f"s3://{server.bucket}/p{next(numbers)}"


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Let these variables, and no profile of the user's, count for the time of the block."""
    before = dict(os.environ)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def fork(work: Callable[[], object], faults: Path) -> int:
    """Do this work in a child; its pid. What nobody expected is told in `faults`."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except Stopped as stopped:
        code = stopped.exit_code
    except SegnetsError as error:
        code = error.exit_code
        if code != 5:
            _tell(faults)
    except BaseException:  # noqa: BLE001  # told in the file, since nothing is above it
        _tell(faults)
    finally:
        os._exit(code)


def wait(pid: int) -> int:
    """The exit code of a child, negative for the signal that killed it; waits for it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def ended(pid: int) -> int | None:
    """The same if it has ended, else None at once."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def damage(store: Store) -> list[str]:
    """Everything that counts in a store and is not as it was sealed, one sentence each."""
    found = Found()
    for kind, subjects in list_subjects(store).items():
        for subject in subjects:
            verify(store, kind, subject, found)
    return found.faults


def share(number: int, part: int, parts: int) -> int:
    """How many of `number` tries belong to part `part` of `parts` (from 1 on)."""
    return number // parts + (part <= number % parts)


def _tell(path: Path) -> None:
    with path.open("a") as file:
        traceback.print_exc(file=file)

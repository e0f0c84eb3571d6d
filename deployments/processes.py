"""Processes that still are the ones we mean: found in /proc, ended without touching anybody else's."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A pid with its start time: a pid alone may be somebody else's after a while."""

    pid: int
    start: int
    """Clock ticks since boot, field 22 of /proc/PID/stat; -1 if it was gone when we looked."""
    run: str = ""
    """Flow run that it works at, if it is a process of one."""

    def lives(self) -> bool:
        """True if it is there, no zombie, and not another process with the same pid."""
        return self.start >= 0 and started_at(self.pid) == self.start

    def send(self, signum: signal.Signals) -> None:
        """Signal this process alone; nothing happens if it has gone."""
        if self.lives():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def send_group(self, signum: signal.Signals) -> None:
        """Signal it with its own children, if it leads a process group, else alone."""
        with contextlib.suppress(ProcessLookupError):
            if self.lives() and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signum)
            else:
                self.send(signum)


def started_at(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None if it is gone or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def children(pid: int) -> list[Process]:
    """The living children of a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields is not None and int(fields[1]) == pid and fields[0] != "Z":
            found.append(Process(int(folder.name), int(fields[19])))
    return found


def run_processes(api_url: str) -> list[Process]:
    """The processes of flow runs that report to this API, known by their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            entries = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # gone, or another user's
        run = [entry.partition("=")[2] for entry in entries if entry.startswith(RUN_ID)]
        start = started_at(int(path.parent.name))
        if run and start is not None and f"PREFECT_API_URL={api_url}" in entries:
            found.append(Process(int(path.parent.name), start, run[0]))
    return found


RUN_ID = "PREFECT__FLOW_RUN_ID="


def end(processes: Iterable[Process], wait_s: float) -> None:
    """SIGTERM to each process itself, then SIGKILL to its group; returns when all are gone."""
    ending = list(processes)
    for process in ending:
        process.send(signal.SIGTERM)
    deadline = time.monotonic() + wait_s
    while any(process.lives() for process in ending):
        if time.monotonic() > deadline:
            for process in ending:
                process.send_group(signal.SIGKILL)
        time.sleep(0.05)


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on; None if the process is gone."""
    try:
        # the second field is the program's name in brackets, which may hold brackets itself
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None

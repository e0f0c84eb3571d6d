"""One folder's Prefect on this machine: its processes, logs, settings and its server's API.

The folder holds prefect.yaml; `.prefect/` in it holds the database, the logs, a lock, and local.json:
which processes were started, by pid and start time, since which boot, and on which port.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processes import Process, started_at

LOOPBACK = "127.0.0.1"
NEAR = frozenset({LOOPBACK, "localhost", "::1"})
"""Names of this machine to itself."""
PORT = 4200
BUSY_S = 60.0


class Fault(Exception):
    """What happened, where, what to do next: one sentence, exit code 1."""


class Place:
    """A folder with prefect.yaml: what runs in it, where its logs are, how to call its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / ".prefect"
        self.state_file = self.logs / "local.json"
        if not (folder / "prefect.yaml").is_file():
            raise SystemExit(f"error: there is no prefect.yaml: {folder}. Say --folder.")
        self.logs.mkdir(exist_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One `up` or `down` at a time."""
        with (self.logs / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another make up or make down is at work here: waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def port(self) -> int:
        """Port of the server, or of the last one."""
        return int(self._state()["port"])

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def api(self) -> str:
        """Address of the server's API."""
        return f"{self.url}/api"

    def _state(self) -> dict[str, Any]:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        empty = {"boot": boot, "port": PORT, "processes": {}}
        try:
            state = json.loads(self.state_file.read_text())
        except (OSError, ValueError):
            return empty
        return state if state.get("boot") == boot else empty  # pids of before a reboot mean nothing

    def keep(self, name: str, value: object) -> None:
        """Remember one thing in the state file, atomically."""
        state = {**self._state(), name: value}
        beside = self.state_file.with_suffix(".tmp")
        beside.write_text(json.dumps(state, indent=1))
        beside.rename(self.state_file)

    def processes(self) -> dict[str, Process]:
        """Name -> process, of those of ours that live."""
        found = {name: Process(*pair) for name, pair in self._state()["processes"].items()}
        return {name: process for name, process in found.items() if process.lives()}

    def start(self, name: str, command: list[str]) -> None:
        """Start a process of its own session, its output in .prefect/NAME.log."""
        with self.log(name) as log:
            child = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment() | ({} if name == "server" else self.worker_environment()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        start = started_at(child.pid)
        known = self._state()["processes"]
        self.keep("processes", {**known, name: [child.pid, -1 if start is None else start]})

    def log(self, name: str) -> Any:
        """Log file of a process, opened to append, so that logs.py may cut it."""
        return (self.logs / f"{name}.log").open("ab")

    def environment(self) -> dict[str, str]:
        """The caller's environment without PREFECT_* and SEGNETS_HOME, with this folder's server."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PREFECT_") and name != "SEGNETS_HOME"
        }
        ours = {
            "DO_NOT_TRACK": "1",
            "PREFECT_HOME": str(self.logs),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_API_URL": self.api,
            "PYTHONUNBUFFERED": "1",
        }
        return kept | ours

    def worker_environment(self) -> dict[str, str]:
        """What a worker and its runs need besides: how often to ask, and where the flows are."""
        return {"SEGNETS_HOME": str(self.folder), "PREFECT_WORKER_QUERY_SECONDS": "2"}

    def runs(self, states: list[str], until: str | None = None) -> list[dict[str, Any]]:
        """Runs of deployments in these states, due before `until` if it is given; 200 at most."""
        chosen: dict[str, Any] = {"state": {"type": {"any_": states}}}
        chosen["deployment_id"] = {"is_null_": False}
        if until is not None:
            chosen["expected_start_time"] = {"before_": until}
        found = self.call("POST", "/flow_runs/filter", {"flow_runs": chosen})
        assert isinstance(found, list)
        return found

    def set_state(self, run: dict[str, Any], state: str, why: str) -> None:
        """Move a run to a state, whatever Prefect's rules say about the step."""
        new = {"type": state, "name": state.capitalize(), "message": why}
        self.call("POST", f"/flow_runs/{run['id']}/set_state", {"state": new, "force": True})

    def call(self, method: str, path: str, content: object = None) -> Any:
        """One request to the server's API; OSError if it is refused or not answered.

        503 is asked again for BUSY_S: the server says it when SQLite's one writer was somebody else.
        """
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(  # noqa: S310  # the URL is ours
            f"{self.api}{path}", body, {"Content-Type": "application/json"}, method=method
        )
        # no proxy: a proxy of the environment would be asked for 127.0.0.1
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                with opener.open(request, timeout=90) as answer:  # a locked SQLite waits 60 s
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as refusal:
                if refusal.code != 503 or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)


def say(text: str) -> None:
    """One line for people on stderr."""
    print(text, file=sys.stderr, flush=True)

"""A Prefect server as a process that may die and come back, deployments on it, machines with workers."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.commands import ROOT, answers
from support.servers import free_port

UP_S = 180.0


class Server:
    """A Prefect server on a free port of the loopback, which it keeps; `database` None is SQLite in `home`."""

    def __init__(self, home: Path, env: Mapping[str, str], database: str | None = None) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._env = {
            **{name: text for name, text in env.items() if name != "PREFECT_API_URL"},
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
            "PREFECT_SERVER_UI_API_URL": "/api",
        }
        if database is not None:
            self._env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        """What its clients need."""
        return {
            "PREFECT_API_URL": self.url,
            "PREFECT_HOME": str(self.home),
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        }

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def start(self) -> None:
        """Start it, again on its port, and wait until it is healthy."""
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=self._env,
                start_new_session=True,
            )
        until = time.monotonic() + UP_S
        while not answers(f"{self.url}/health"):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """As a service manager does it: SIGTERM, and SIGKILL to what is left after 20 s."""
        if self.process is None:
            return
        for signum in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
                return


def deploy(env: Mapping[str, str]) -> None:
    """The pool with both queues and the five deployments."""
    for words in (
        ["work-pool", "create", "segnets", "--type", "process"],
        ["work-queue", "create", "default", "-p", "segnets"],
        ["work-queue", "create", "gpu", "-p", "segnets"],
        ["deploy", "--all"],
    ):
        command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
        done = subprocess.run(command, env=dict(env), cwd=ROOT, capture_output=True, text=True)
        # the pool may bring its queue default
        assert done.returncode == 0 or words[1] == "create", done.stdout + done.stderr


@dataclass
class Machine:
    """One machine: a home, and workers of ours, each a session of its own."""

    folder: Path
    env: dict[str, str]
    workers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, queue: str, limit: int = 1) -> None:
        """Start the worker of a queue, as after the boot of the machine."""
        words = [str(ROOT / "deployments" / "worker.py"), "--queue", queue, "--gpu", ""]
        words += ["--limit", str(limit), "--name", f"{self.folder.name}-{queue}-{time.time_ns()}"]
        with (self.folder / f"{queue}.log").open("ab") as log:
            self.workers[queue] = subprocess.Popen(
                [sys.executable, *words],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Let the workers leave as they like to."""
        for worker in self.workers.values():
            with contextlib.suppress(ProcessLookupError):
                worker.terminate()
        for worker in self.workers.values():
            worker.wait(60)

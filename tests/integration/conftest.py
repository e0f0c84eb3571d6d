"""A tiny world for commands, and one Prefect server a session."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.commands import QUICK, ROOT, SMALL, PrefectServer, World, clean_env, new_world
from support.machines import Server, deploy


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty world."""
    return new_world(tmp_path / "world")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with a synthetic dataset of 9 clips at 32x64 and a done trial; do not change it."""
    world = new_world(tmp_path_factory.mktemp("made"))
    dataset = world.run("preprocess", *SMALL)
    assert dataset.code == 0, dataset.err
    grid = ["--dataset", dataset.json["dataset"], *QUICK, "--grid", "lr=0.003"]
    result = world.run("train_grid", *grid)
    assert result.code == 0, result.err
    (world.root / "made.json").write_text(
        json.dumps({"dataset": dataset.json, "grid": result.json, "flags": grid})
    )
    return world


@pytest.fixture(scope="session")
def facts(made: World) -> dict[str, Any]:
    """What the commands of `made` said."""
    content: dict[str, Any] = json.loads((made.root / "made.json").read_text())
    return content


@pytest.fixture
def copied(made: World, tmp_path: Path) -> World:
    """A copy of `made` that a test may change."""
    world = new_world(tmp_path / "copied")
    shutil.copytree(made.root, world.root, dirs_exist_ok=True)
    return world


@pytest.fixture
def streets(made: World, tmp_path: Path) -> Path:
    """A copy of the street scenes of `made`: a Cityscapes folder that a test may damage."""
    (source,) = (made.root / "data").iterdir()
    return Path(shutil.copytree(source, tmp_path / "streets"))


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory):
    """A Prefect server on a free port, its database in a folder of its own."""
    server = Server(tmp_path_factory.mktemp("prefect"), clean_env())
    try:
        server.start()
        yield PrefectServer(server.url, server.env)
    finally:
        server.stop()


@dataclass
class Workers:
    """The workers of a pool by their queue, each a session of its own, and how to start one."""

    folder: Path
    env: dict[str, str]
    started: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, queue: str) -> None:
        """Start the worker of a queue; its log lies in the folder."""
        words = ["worker", "start", "-p", "segnets", "-q", queue, "--limit", "2"]
        with (self.folder / f"{queue}.log").open("a") as log:
            self.started[queue] = subprocess.Popen(
                [sys.executable, "-m", "prefect", "--no-prompt", *words],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Stop those that live."""
        for worker in self.started.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGTERM)
        for worker in self.started.values():
            worker.wait(60)


@pytest.fixture(scope="module")
def workers(prefect_server, made, tmp_path_factory):
    """A pool with both queues, the five deployments, and a worker for each queue."""
    env = {**made.env, **prefect_server.env}
    deploy(env)
    env |= {
        "SEGNETS_HOME": str(ROOT),
        "SEGNETS_STORE": str(made.store),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    found = Workers(tmp_path_factory.mktemp("workers"), env)
    for queue in ("default", "gpu"):
        found.start(queue)
    yield found
    found.stop()

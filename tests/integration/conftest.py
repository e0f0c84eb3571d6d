"""A tiny world for commands, and one Prefect server a session."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.commands import QUICK, ROOT, SMALL, PrefectServer, World, clean_env, new_world
from support.machines import Machine, Server, deploy


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
    machine = Machine(tmp_path_factory.mktemp("workers"), env)
    for queue in ("default", "gpu"):
        machine.start(queue, limit=2)
    yield machine
    machine.stop()

"""Fixtures that everybody uses."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.servers import S3Server, ministack_server, rclone_server
from support.stores import open_s3_store

from segnets.store.base import Store
from segnets.store.open import open_store

# The same examples in every run, and no deadline: a shared machine is slow at times.
settings.register_profile(
    "segnets", derandomize=True, deadline=None, max_examples=60, database=None
)
settings.load_profile("segnets")

# A command in the background of a script is started with SIGINT ignored, and so are its children: here
# SIGINT is sent on purpose.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """rclone: real signatures, no conditional writes, and a disk that can be looked at."""
    with rclone_server(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def conditional_s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """ministack: conditional writes, unchecked signatures."""
    with ministack_server(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(
    params=[
        "folder",
        pytest.param("rclone", marks=pytest.mark.s3),
        pytest.param("ministack", marks=pytest.mark.s3),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store, opened for writing: a folder, and a prefix of each S3 server."""
    if request.param == "folder":
        return open_store(str(tmp_path / "store"), write=True, wait_s=10)
    return open_s3_store(request.param, request, monkeypatch)

"""Stores for tests, on the servers that the session has started."""

import os

import pytest
from support.servers import S3Server

from segnets.store.base import Store
from segnets.store.open import open_store


def open_s3_store(
    server_name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """An empty store on the running server of this name (rclone or ministack)."""
    names = {"rclone": "s3_server", "ministack": "conditional_s3_server"}
    server: S3Server = request.getfixturevalue(names[server_name])
    use_server(server, monkeypatch)
    return open_store(f"s3://{server.bucket}/t{os.urandom(6).hex()}", write=True, wait_s=10)


def use_server(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3's own variables name this server for the time of a test."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, text in server.env.items():
        monkeypatch.setenv(name, text)

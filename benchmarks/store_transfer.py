"""Objects of 64 MB to and from a real S3 server, beside every way that boto3 offers."""

import io
import os
import sys
import time
from collections.abc import Callable

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from segnets.store.s3 import S3Store

SIZE = 64 * 10**6
MB = 2**20
ONE_THREAD = TransferConfig(use_threads=False)
FOUR_THREADS = TransferConfig(max_concurrency=4)


def measure(store: S3Store, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each way up, and of each way down, in every round; the order turns."""
    data = os.urandom(SIZE)
    up, down = _Ways(store, data).rivals()
    return _turns("upload", up, rounds, data), _turns("download", down, rounds, data)


class _Ways:
    """Ours and boto3's: its own settings, and those that its documents name for speed."""

    def __init__(self, store: S3Store, data: bytes) -> None:
        self._store, self._data = store, data
        session = boto3.session.Session()
        plain = {"signature_version": "s3v4", "max_pool_connections": 16}
        path_style = {"addressing_style": "path"}
        self._defaults = session.client("s3", config=Config(**plain, s3=path_style))
        quiet = {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        self._no_sums = session.client("s3", config=Config(**plain, **quiet, s3=path_style))
        unsigned = {**path_style, "payload_signing_enabled": False}
        self._unsigned = session.client("s3", config=Config(**plain, **quiet, s3=unsigned))

    def rivals(self) -> tuple[dict[str, Callable[[], object]], dict[str, Callable[[], object]]]:
        """(ways up, ways down); "ours" is the store's."""
        key = {"Bucket": self._store.bucket, "Key": "theirs"}
        self._store.put("ours", self._data)
        self._no_sums.put_object(**key, Body=self._data)

        def put(client: object) -> Callable[[], object]:
            return lambda: client.put_object(**key, Body=self._data)  # type: ignore[attr-defined]

        def put_file(client: object, how: TransferConfig | None) -> Callable[[], object]:
            return lambda: client.upload_fileobj(  # type: ignore[attr-defined]
                io.BytesIO(self._data), **key, Config=how
            )

        def get_file(how: TransferConfig | None) -> Callable[[], bytes]:
            def call() -> bytes:
                target = io.BytesIO()
                self._no_sums.download_fileobj(**key, Fileobj=target, Config=how)
                return target.getvalue()

            return call

        def get_object() -> bytes:
            return bytes(self._no_sums.get_object(**key)["Body"].read())

        up = {
            "ours": lambda: self._store.put("ours", self._data),
            "put_object": put(self._no_sums),
            "put_object, its own checksums": put(self._defaults),
            "put_object, body not signed": put(self._unsigned),
            "upload_fileobj": put_file(self._no_sums, None),
            "upload_fileobj, its own checksums": put_file(self._defaults, None),
            "upload_fileobj, 4 threads": put_file(self._no_sums, FOUR_THREADS),
            "upload_fileobj, 1 thread": put_file(self._no_sums, ONE_THREAD),
        }
        down = {
            "ours": lambda: self._store.get("ours"),
            "get_object": get_object,
            "download_fileobj": get_file(None),
            "download_fileobj, 4 threads": get_file(FOUR_THREADS),
            "download_fileobj, 1 thread": get_file(ONE_THREAD),
        }
        return up, down


def _turns(
    what: str, rivals: dict[str, Callable[[], object]], rounds: int, data: bytes
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    ways = list(rivals.items())
    for done in range(rounds + 1):
        turn = done % len(ways)
        for name, call in ways[turn:] + ways[:turn]:
            began = time.monotonic()
            answer = call()
            if done:
                seconds[name].append(time.monotonic() - began)
            assert not isinstance(answer, bytes) or answer == data, name
        print(f"{what}: round {done} of {rounds}", file=sys.stderr)
    return seconds

"""Object storage through boto3: the only file that imports it.

Why each setting is as it is (measured on rclone serve s3 and ministack):
- `bytes` bodies only: boto3's own retry of a stream that did not begin at 0 stored wrong bytes.
- Checksums only when required: the newer default breaks ranged reads and TLS uploads of rclone.
- One try per request, ours around it: a lost reply is looked into, not repeated blindly.
- A server without conditional writes gets every object as a multipart upload, even of 1 kB: rclone's
  plain PUT shows half-written bytes, destroys what was there when it is cut, and lost acknowledged
  objects when two clients wrote the same bytes.
- Every body with its MD5: servers that check no signature of the body (both, on plain http) stored one
  that was damaged on its way, and said so to nobody; the MD5 they check. It is signed with the headers,
  so the body is not signed once more by its SHA-256 (a tenth of an upload's time).
- ETag and user metadata say nothing (rclone); integrity is our own SHA-256 on reading.
"""

import base64
import email.utils
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import boto3
import botocore.exceptions as away
import botocore.session
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

from segnets.errors import (
    ConfigError,
    Conflict,
    Corrupt,
    Denied,
    Misconfigured,
    NotFound,
    StoreError,
    Unavailable,
)
from segnets.store.base import Leftover, Listed
from segnets.store.keys import check_key
from segnets.store.refusals import bad_tls, explain_refusal, no_answer
from segnets.store.retry import WAIT_S, Patience, side_by_side

T = TypeVar("T")

PART_BYTES = 16 * 2**20
"""Size of a part."""
PARTS_AT_ONCE = 2
"""Parts in flight: while one is sent, the digest of the other is made (64 MB to rclone: 0.6 of the time
of one in flight; three and four gain nothing, nor do parts of 8 MiB)."""
CONNECT_S, READ_S = 5.0, 20.0
"""How long a connection, and a server that says nothing, may take before the request is tried again."""

_READS = 3

_BROKEN_LINE = (
    away.ConnectionError,  # endpoint, connect time-out, closed connection, proxy
    away.HTTPClientError,
    away.IncompleteReadError,
    away.ResponseStreamingError,
    away.ReadTimeoutError,
    ResponseParserError,  # XML that was damaged on its way
)
_IN_EVERY_ANSWER = {
    "list_objects_v2": "IsTruncated",
    "list_multipart_uploads": "Bucket",
    "create_multipart_upload": "UploadId",
    "complete_multipart_upload": "ETag",
}
"""What botocore leaves out, without an error, of an answer whose body was cut off before it began."""
_NO_KEYS = (
    away.NoCredentialsError,
    away.PartialCredentialsError,
    away.CredentialRetrievalError,
    away.ProfileNotFound,
    away.TokenRetrievalError,
    away.SSOError,
)


class S3Store:
    """A store at s3://bucket/prefix; endpoint, keys, region as boto3 finds them.

    With `any_key` keys are of any form: a source or sink of other programs' files.
    """

    def __init__(self, url: str, *, wait_s: float = WAIT_S, any_key: bool = False) -> None:
        self.url = url
        self.bucket, _, prefix = url.partition("://")[2].strip("/").partition("/")
        if not self.bucket:
            raise ConfigError("the URL names no bucket", url, "Write s3://bucket/prefix.")
        self._prefix = f"{prefix}/" if prefix else ""
        self._any_key = any_key
        self.conditional = False  # the probe says otherwise
        self.patience = Patience(wait_s)
        self._clients: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._clock_offset_s = 0.0

    def get(self, key: str) -> bytes:
        """The bytes under a key; NotFound if there are none."""
        return self._run(f"read {key}", lambda: self._get(key))

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on; NotFound, or Corrupt if the object ends before."""
        if size == 0:
            return b""
        data = self._run(f"read {key}", lambda: self._get_range(key, offset, size))
        if len(data) != size:
            raise Corrupt("an object is shorter than it was", self._where(key), "Check the server.")
        return data

    def put(self, key: str, data: bytes) -> None:
        """Write whole or not at all; TypeError unless `data` is bytes."""
        _must_be_bytes(data)
        if self.conditional and len(data) <= PART_BYTES:
            self._ask(
                f"write {key}", "put_object", Key=self._name(key), Body=data, ContentMD5=_md5(data)
            )
        else:
            self._put_parts(key, data)

    def put_if_absent(self, key: str, data: bytes) -> None:
        """Write if nothing stands there; Conflict if other bytes do, the same bytes are done.

        A reply that is lost leaves the outcome unknown: then the key is read first, and only if it is
        absent the same exclusive write is repeated. Without conditional writes the key must be the
        caller's own, and the bytes are simply put.
        """
        _must_be_bytes(data)
        if not self.conditional:
            self.put(key, data)
            return
        unclear = False

        def try_once() -> None:
            nonlocal unclear
            if unclear and self._is_settled(key, data):
                return
            unclear = True
            if not self._create(key, data) and not self._is_settled(key, data):
                raise no_answer("refused as taken, yet nothing is there", self._where(key))

        self._run(f"write {key}", try_once)

    def create(self, key: str, data: bytes) -> bool:
        """One exclusive write (If-None-Match); False if refused because something is there.

        Raises Misconfigured where the server knows no exclusive write. A server that ignores the
        header answers True: only a second one tells.
        """
        _must_be_bytes(data)
        return self._run(f"write {key}", lambda: self._create(key, data))

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> list[Listed]:
        """Keys that begin with `prefix` and sort behind `after`, sorted, at most `limit`."""
        found: list[Listed] = []
        asked: dict[str, Any] = {"Prefix": self._prefix + prefix}
        if after:
            asked["StartAfter"] = self._prefix + after
        while limit is None or len(found) < limit:
            most = 1000 if limit is None else min(1000, limit - len(found))
            page = self._ask("list", "list_objects_v2", MaxKeys=most, **asked)
            for one in page.get("Contents", []):
                key = one["Key"][len(self._prefix) :]
                if not key.endswith("/"):  # a web console's mark for an empty folder
                    modified = one["LastModified"].timestamp()
                    found.append(Listed(key, int(one["Size"]), modified))
            if not page.get("IsTruncated"):
                break
            asked["ContinuationToken"] = page["NextContinuationToken"]
        return sorted(found, key=lambda listed: listed.key)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete; an absent key is fine."""
        for key in keys:
            try:
                self._ask(f"delete {key}", "delete_object", Key=self._name(key))
            except NotFound:
                continue

    def local_path(self, key: str) -> Path | None:  # noqa: ARG002  # the protocol's
        """No object is a file of this machine."""
        return None

    def now(self) -> float:
        """The server's clock, by the Date of its last answer (whole seconds)."""
        return time.time() + self._clock_offset_s

    def leftovers(self, prefix: str) -> Sequence[Leftover]:
        """Multipart uploads that were begun and not ended."""
        page = self._ask(
            "list uploads", "list_multipart_uploads", Prefix=self._prefix + prefix, MaxUploads=1000
        )
        return [
            Leftover(one["Key"][len(self._prefix) :], one["UploadId"], one["Initiated"].timestamp())
            for one in page.get("Uploads", [])
        ]

    def drop_leftover(self, leftover: Leftover) -> None:
        """Abort an upload; a gone one is fine."""
        self._abort(self._prefix + leftover.key, leftover.token)

    def _put_parts(self, key: str, data: bytes) -> None:
        """Multipart upload; nothing is visible before it is complete."""
        name = self._name(key)

        def try_once() -> None:
            upload = self._ask(f"write {key}", "create_multipart_upload", Key=name)["UploadId"]
            try:
                starts = range(0, max(1, len(data)), PART_BYTES)
                parts = side_by_side(
                    [
                        partial(self._put_part, key, upload, number, data, start)
                        for number, start in enumerate(starts, 1)
                    ],
                    PARTS_AT_ONCE,
                )
                self._ask(
                    f"write {key}",
                    "complete_multipart_upload",
                    Key=name,
                    UploadId=upload,
                    MultipartUpload={"Parts": parts},
                )
            except NotFound as error:
                # The upload is unknown: its completion worked and the reply was lost (rclone says so
                # to the second request), or the server was started anew, or it lost a part (its disk
                # is full). Then everything is to do again.
                if not self._holds(key, data):
                    self._abort(name, upload)
                    raise Unavailable(error.what, self._at(""), error.next_step) from error
            except BaseException:
                self._abort(name, upload)
                raise

        self._run(f"write {key}", try_once)

    def _put_part(
        self, key: str, upload: str, number: int, data: bytes, start: int
    ) -> dict[str, Any]:
        body = bytearray(memoryview(data)[start : start + PART_BYTES])  # bytes are copied once more
        part = self._ask(
            f"write {key}",
            "upload_part",
            Key=self._name(key),
            UploadId=upload,
            PartNumber=number,
            Body=body,
            ContentMD5=_md5(body),
        )
        return {"PartNumber": number, "ETag": part["ETag"]}

    def _abort(self, name: str, upload: str) -> None:
        """Give up an upload, without waiting: what stays is garbage that gc aborts."""
        try:
            self._once("abort_multipart_upload", Key=name, UploadId=upload)
        except StoreError:
            return

    def _get(self, key: str) -> bytes:
        answer = self._once("get_object", Key=self._name(key))
        return self._body(key, answer)

    def _get_range(self, key: str, offset: int, size: int) -> bytes:
        asked = f"bytes={offset}-{offset + size - 1}"
        try:
            answer = self._once("get_object", Key=self._name(key), Range=asked)
        except Misconfigured as error:
            if "InvalidRange" in error.what:  # begins behind the end
                return b""
            raise
        data = self._body(key, answer)
        if answer.get("ContentRange"):  # the status may be 200 (rclone) or 206
            return data
        return data[offset : offset + size]

    def _body(self, key: str, answer: Any) -> bytes:
        try:
            data = bytes(answer["Body"].read())
        except Exception as error:
            raise self._explain(error, self._prefix + key) from error
        if len(data) != int(answer["ContentLength"]):
            raise no_answer("it sent less than it said", self._where(key))
        return data

    def _create(self, key: str, data: bytes) -> bool:
        try:
            self._once(
                "put_object",
                Key=self._name(key),
                Body=data,
                ContentMD5=_md5(data),
                IfNoneMatch="*",
            )
        except Conflict:
            return False
        return True

    def _is_settled(self, key: str, data: bytes) -> bool:
        """Whether my bytes stand there; Conflict if others do."""
        for _ in range(_READS):  # a read that was damaged on its way is not another's entry
            try:
                if self._get(key) == data:
                    return True
            except NotFound:
                return False
        raise Conflict("the key is taken", self._where(key), "Another process wrote it.")

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self._get(key) == data
        except NotFound:
            return False

    def _ask(self, what: str, operation: str, **arguments: Any) -> Any:
        """One request, tried again as long as the server does not answer."""
        return self._run(what, lambda: self._once(operation, **arguments))

    def _run(self, what: str, action: Callable[[], T]) -> T:
        return self.patience.run(action, what)

    def _once(self, operation: str, **arguments: Any) -> Any:
        """One request, once; every error becomes one of ours."""
        name = arguments.get("Key", arguments.get("Prefix", ""))
        try:
            answer = getattr(self._client(), operation)(Bucket=self.bucket, **arguments)
        except Exception as error:
            raise self._explain(error, name) from error
        self._see_clock(answer)
        if _IN_EVERY_ANSWER.get(operation, "ResponseMetadata") not in answer:
            raise no_answer("its answer was cut off", self._at(name))  # an empty list it is not
        return answer

    def _client(self) -> Any:
        """One client a process: a connection must not be shared across a fork."""
        with self._lock:
            client = self._clients.get(os.getpid())
            if client is None:
                client = self._clients[os.getpid()] = _new_client()
            return client

    def _see_clock(self, answer: Any) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date:
            try:
                server = email.utils.parsedate_to_datetime(date).timestamp()
            except ValueError:
                return
            self._clock_offset_s = server - time.time()

    def _explain(self, error: Exception, name: str) -> StoreError:
        fault = explain(error, self._at(""))
        if isinstance(fault, (NotFound, Conflict)):  # these are about one key, others about a place
            return type(fault)(fault.what, self._at(name), fault.next_step)
        return fault

    def _name(self, key: str) -> str:
        return self._prefix + (key if self._any_key else check_key(key))

    def _where(self, key: str) -> str:
        return self._at(self._prefix + key)

    def _at(self, name: str) -> str:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        client = self._clients.get(os.getpid())
        if client is not None:
            endpoint = client.meta.endpoint_url
        return f"bucket {self.bucket} at {endpoint or 'AWS'}" + (f", {name}" if name else "")


def _read_time(text: str) -> datetime:
    """A time in an answer; botocore's own reader, which guesses the form, took half of a long listing."""
    return datetime.fromisoformat(text) if text.endswith("Z") else parse_timestamp(text)


def explain(error: Exception, where: str) -> StoreError:
    """Our fault for anything that boto3 raises; a bug of ours passes as it is."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, away.ClientError):
        answer: Any = error.response or {}
        about, meta = answer.get("Error", {}), answer.get("ResponseMetadata", {})
        return explain_refusal(
            str(about.get("Code", "")),
            int(meta.get("HTTPStatusCode", 0)),
            str(about.get("Message", "")),
            where,
            meta.get("HTTPHeaders", {}).get("date"),
        )
    if isinstance(error, away.SSLError):
        return bad_tls(_short(error), where)
    if isinstance(error, _BROKEN_LINE):
        return no_answer(_short(error), where)
    if isinstance(error, _NO_KEYS):
        return Denied(
            f"no keys for this store ({_short(error)})",
            where,
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
        )
    theirs = type(error).__module__.partition(".")[0] in {"boto3", "botocore", "urllib3"}
    # a file of theirs that is missing: AWS_CA_BUNDLE, AWS_CONFIG_FILE, a token
    if theirs or isinstance(error, (ValueError, FileNotFoundError, PermissionError)):
        return Misconfigured(
            f"the S3 client refused ({_short(error)})",
            where,
            "Check the URL and the AWS_* settings.",
        )
    if isinstance(error, OSError):
        return no_answer(_short(error), where)
    raise error


def _short(error: Exception) -> str:
    """The innermost cause, in one line."""
    inner: object = error
    for _ in range(8):
        nested = getattr(inner, "kwargs", {}).get("error") or getattr(inner, "reason", None)
        if not isinstance(nested, BaseException) or nested is inner:
            break
        inner = nested
    text = " ".join(str(inner).split())
    # urllib3 puts its own objects in front of what happened
    return re.sub(r"^<?\w*Connection(\(.*?\)| object at \w+>): ", "", text) or type(inner).__name__


def _must_be_bytes(data: object) -> None:
    if not isinstance(data, bytes):
        raise TypeError(f"a store takes bytes, not {type(data).__name__}")


def _md5(data: bytes | bytearray) -> str:
    """What Content-MD5 says of a body, so that the server refuses one that it did not get whole."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _new_client() -> Any:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if os.environ.get(name) == "":  # set but empty means unset; botocore stumbles over it
            del os.environ[name]
    core = botocore.session.get_session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_read_time)
    session = boto3.session.Session(botocore_session=core)
    return session.client(
        "s3",
        region_name=session.region_name or "us-east-1",
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path", "payload_signing_enabled": False},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 1},
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            max_pool_connections=16,
        ),
    )

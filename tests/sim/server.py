"""A server in memory behind the S3 client's methods; every request is a point of the schedule.

Without exclusive writes it is as bad as rclone: If-None-Match is ignored, and a plain PUT is seen half
written, removes what was there when it is cut, and loses the key when two are under way. A multipart
upload is seen whole or not at all.
"""

import datetime as dt
import hashlib
import io
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from segnets.store.keys import parse_beat
from sim.manners import note_beat, owner_of
from sim.schedule import Killed, Process, World

REWRITTEN = ("beat/", "probe/")
"""The only keys that may hold other bytes than they once held."""


class Server:
    """Objects, uploads, and who is told of a change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.exclusive = world.profile.mode != "N"
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, float] = {}
        self.uploads: dict[str, tuple[str, bytes, float]] = {}
        self.changed: Callable[[str, bytes | None], None] = lambda _key, _data: None
        self._first: dict[str, str] = {}
        self._writing: dict[str, int] = {}
        self._clashed: set[str] = set()
        self._count = 0

    def write(self, key: str, data: bytes) -> None:
        """Put an object whole."""
        self._check_once(key, data)
        self.objects[key] = data
        self.times[key] = self.world.now
        self.changed(key, data)

    def remove(self, key: str) -> None:
        """Delete an object."""
        if self.objects.pop(key, None) is not None:
            self.changed(key, None)

    def spoil(self, key: str) -> None:
        """Flip a bit of an object, in silence."""
        self.world.say(f"{key} goes bad")
        self.objects[key] = flip(self.objects[key], self.world.draw)

    def create(self, key: str, data: bytes) -> None:
        """Put an object if nothing is there."""
        if key in self.objects:
            raise refusal("PreconditionFailed", 412)
        self.write(key, data)

    def begin_plain(self, key: str, data: bytes) -> None:
        """The first half of a plain PUT on a server that shows it."""
        self._check_once(key, data)
        self._writing[key] = self._writing.get(key, 0) + 1
        if self._writing[key] > 1 and self.world.profile.clash:
            self._clashed.add(key)
        self.objects[key] = data[: len(data) // 2]
        self.times[key] = self.world.now
        self.changed(key, self.objects[key])

    def end_plain(self, key: str, data: bytes | None) -> None:
        """The second half; None if it was cut, which removes the object."""
        self._writing[key] -= 1
        if data is None or key in self._clashed:
            self.remove(key)
        else:
            self.write(key, data)
        if not self._writing[key]:
            self._clashed.discard(key)

    def open_upload(self, key: str) -> str:
        """Begin a multipart upload."""
        self._count += 1
        token = f"upload-{self._count}"
        self.uploads[token] = key, b"", self.world.now
        return token

    def add_part(self, token: str, data: bytes) -> None:
        """One more part, in order."""
        key, before, began = self._upload(token)
        self.uploads[token] = key, before + data, began

    def complete(self, token: str) -> None:
        """Make an upload the object, whole; the second time it is unknown, as on rclone."""
        key, data, _ = self._upload(token)
        del self.uploads[token]
        self.write(key, data)

    def abort(self, token: str) -> None:
        """Forget an upload."""
        self._upload(token)
        del self.uploads[token]

    def _upload(self, token: str) -> tuple[str, bytes, float]:
        if token not in self.uploads:
            raise refusal("NoSuchUpload", 404)
        return self.uploads[token]

    def _check_once(self, key: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        if self._first.setdefault(key, digest) != digest and not key.startswith(REWRITTEN):
            self.world.fail("REWRITTEN", f"{key} was put with other bytes than before")


class Client:
    """What boto3's client is to one process: the requests of S3Store, each with a fate of its own."""

    meta = SimpleNamespace(endpoint_url="sim")

    def __init__(self, server: Server, process: Process) -> None:
        self._server, self._process = server, process
        self._world = server.world

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        def read() -> bytes:
            if Key not in self._server.objects:
                raise refusal("NoSuchKey", 404)
            return self._server.objects[Key]

        data = self._ask("get", Key, read, writes=False)
        damages = data and self._process.damages and not self._world.quiet
        if damages and self._world.draw.random() < 0.25:
            self._process.damages -= 1
            self._world.say(f"reads {Key} damaged")
            data = flip(data, self._world.draw)
        parsed = parse_beat(Key)
        if parsed is not None:
            owner = owner_of(self._world, parsed[1])
            note_beat(self._process, owner, Key, data, self._world.now)
        return answer(Body=io.BytesIO(data), ContentLength=len(data))

    def put_object(self, *, Key: str, Body: bytes, **more: Any) -> dict[str, Any]:
        server = self._server
        if server.exclusive:
            action = server.create if "IfNoneMatch" in more else server.write
            self._ask("put", Key, lambda: action(Key, Body))
            return answer()

        def whole() -> None:
            server.begin_plain(Key, Body)
            server.end_plain(Key, Body)

        self._ask("put", Key, lambda: server.begin_plain(Key, Body), late=whole)
        try:
            self._world.point(f"the end of put {Key}")
        except Killed:
            server.end_plain(Key, None)
            raise
        server.end_plain(Key, Body)
        return answer()

    def delete_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        self._ask("delete", Key, lambda: self._server.remove(Key))
        return answer()

    def list_objects_v2(
        self,
        *,
        Prefix: str,
        MaxKeys: int,
        StartAfter: str = "",
        ContinuationToken: str = "",
        **_: Any,
    ) -> dict[str, Any]:
        after = ContinuationToken or StartAfter
        limit = min(MaxKeys, self._world.profile.page)

        def read() -> list[str]:
            objects = self._server.objects
            return sorted(key for key in objects if key.startswith(Prefix) and key > after)

        keys = self._ask("list", f"{Prefix} after {after}" if after else Prefix, read, writes=False)
        page, times = keys[:limit], self._server.times
        found = [
            {"Key": key, "Size": len(self._server.objects[key]), "LastModified": _date(times[key])}
            for key in page
        ]
        if len(keys) > limit:
            return answer(Contents=found, IsTruncated=True, NextContinuationToken=page[-1])
        return answer(Contents=found, IsTruncated=False)

    def create_multipart_upload(self, *, Key: str, **_: Any) -> dict[str, Any]:
        return answer(UploadId=self._ask("open", Key, lambda: self._server.open_upload(Key)))

    def upload_part(
        self,
        *,
        Key: str,
        UploadId: str,
        PartNumber: int,
        Body: bytes,
        **_: Any,
    ) -> dict[str, Any]:
        # a part is put under its number: a second time changes nothing
        assert PartNumber == 1, "objects here are of one part"

        def add() -> None:
            if self._server._upload(UploadId)[1] != Body:
                self._server.add_part(UploadId, Body)

        self._ask("part", Key, add)
        return answer(ETag="etag")

    def complete_multipart_upload(
        self,
        *,
        Key: str,
        UploadId: str,
        **_: Any,
    ) -> dict[str, Any]:
        self._ask("complete", Key, lambda: self._server.complete(UploadId))
        return answer(ETag="etag")

    def abort_multipart_upload(self, *, Key: str, UploadId: str, **_: Any) -> dict[str, Any]:
        self._ask("abort", Key, lambda: self._server.abort(UploadId))
        return answer()

    def list_multipart_uploads(self, *, Prefix: str, **_: Any) -> dict[str, Any]:
        def read() -> list[dict[str, Any]]:
            return [
                {"Key": key, "UploadId": token, "Initiated": _date(began)}
                for token, (key, _, began) in self._server.uploads.items()
                if key.startswith(Prefix)
            ]

        uploads = self._ask("uploads", Prefix, read, writes=False)
        return answer(Bucket="sim", Uploads=uploads, IsTruncated=False)

    def _ask(
        self,
        what: str,
        key: str,
        action: Callable[[], Any],
        *,
        writes: bool = True,
        late: Callable[[], Any] | None = None,
    ) -> Any:
        """One request: it reaches the server or not, now or later, and its reply comes or not.

        `late` is what it does where nobody waits for it, if that is something else.
        """
        world, text = self._world, f"{what} {key}"
        world.point(text)
        if world.quiet:
            return action()
        chance = world.draw.random()
        if chance < world.profile.kill and writes:
            if world.draw.random() < 0.5:
                self._send_late(text, late or action)
            else:
                world.say(f"{text}, and dies")
                self._apply(late or action)
            world.kill(self._process)
            raise Killed
        if chance > world.profile.lose:
            found = action()
            world.say(text)
            if writes and chance > 1 - world.profile.lose / 8:  # a proxy sends it a second time
                self._send_late(text, late or action)
            return found
        fate = world.draw.random()
        if fate < 0.15:
            world.say(f"{text}: 503")
            raise refusal("SlowDown", 503)
        if fate < 0.4:
            world.say(f"{text}: lost")
        elif fate < 0.7 or not writes:
            self._apply(late or action)
            world.say(f"{text}: the reply is lost")
        else:
            self._send_late(text, late or action)
        raise ConnectionResetError("the line is cut")

    def _send_late(self, text: str, action: Callable[[], Any]) -> None:
        self._world.say(f"{text}: it will land later")
        self._world.late.append((text, lambda: self._apply(action)))

    def _apply(self, action: Callable[[], Any]) -> None:
        """On the server, where nobody waits for the answer any more."""
        try:
            action()
        except ClientError:
            return


def answer(**content: Any) -> dict[str, Any]:
    """What boto3 gives back."""
    return {**content, "ResponseMetadata": {}}


def refusal(code: str, status: int) -> ClientError:
    """What boto3 raises for an answer that is an error."""
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "request")


def flip(data: bytes, draw: random.Random) -> bytes:
    """The bytes with one bit changed."""
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _date(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)

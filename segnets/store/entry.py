"""The sealed entry: canonical bytes, seal, inventory.

    canonical JSON (sorted keys, no spaces, ASCII)  newline  SHA-256 of the bytes before it  newline

An entry is believed only whole: a seal that does not fit is a torn entry, whatever its JSON says.
`live` of the newest commit is the whole inventory of a trial; what it does not name is garbage.
"""

import hashlib
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from segnets.config.ids import canonical_json
from segnets.errors import Corrupt, NotFound
from segnets.store.base import Store

VERSION = 1
EVENTS = ("claim", "checkpoint", "stopped", "failed", "done")
READS = 3
"""How often bytes that do not fit their seal or digest are read before they count as damaged."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileRef:
    """A blob under the name that its readers know (state.pt); `size` in bytes."""

    name: str
    key: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Live:
    """A checkpoint that is kept, why (last, best, every, final), and its files."""

    epoch: int
    step: int
    roles: tuple[str, ...]
    files: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened since the entry before; `time` in seconds since 1970."""

    time: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a trial's log. `time` is information only: nobody decides by it."""

    v: int = VERSION
    kind: str = "trial"
    id: str
    config_sha256: str
    seq: int
    attempt: int
    writer: str
    event: str
    prev: str = ""
    epoch: int = 0
    step: int = 0
    files: tuple[FileRef, ...] = ()
    live: tuple[Live, ...] = ()
    notes: tuple[Note, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)

    @property
    def is_commit(self) -> bool:
        """Whether it says what the trial is; a claim only says who comes."""
        return self.event != "claim"

    @property
    def rank(self) -> tuple[int, str, int]:
        """(attempt, writer, seq): the head is the commit that has the highest."""
        return self.attempt, self.writer, self.seq

    def live_keys(self) -> set[str]:
        """Every blob that the inventory names."""
        return {file.key for live in self.live for file in live.files}

    def file(self, name: str) -> FileRef:
        """The newest live file of this name; NotFound if the inventory has none."""
        for live in reversed(self.live):
            for file in live.files:
                if file.name == name:
                    return file
        raise NotFound(f"the trial keeps no {name}", self.id, "Look at it with segnets.store ls.")


def seal(content: Mapping[str, Any]) -> bytes:
    """The bytes of an entry; numbers that are not finite become null, which means unknown."""
    body = canonical_json(finite(content)) + b"\n"
    return body + hashlib.sha256(body).hexdigest().encode() + b"\n"


def unseal(data: bytes) -> dict[str, Any]:
    """The content of sealed bytes; Corrupt if the seal does not fit."""
    body, newline, rest = data.rpartition(b"\n")[0].rpartition(b"\n")
    if data[-1:] != b"\n" or not newline:
        raise _torn("it does not end in a seal")
    if hashlib.sha256(body + b"\n").hexdigest().encode() != rest:
        raise _torn("its seal does not fit its bytes")
    try:
        content = json.loads(body)
    except ValueError:
        raise _torn("it is sealed but is no JSON") from None
    if not isinstance(content, dict):
        raise _torn("it is sealed but is no JSON object")
    return content


def to_bytes(entry: Entry) -> bytes:
    """An entry, sealed."""
    return seal(asdict(entry))


def from_bytes(data: bytes) -> Entry:
    """An entry from sealed bytes; Corrupt if the seal or the fields do not fit."""
    content = unseal(data)
    try:
        entry = Entry(
            v=int(content["v"]),
            kind=str(content["kind"]),
            id=str(content["id"]),
            config_sha256=str(content["config_sha256"]),
            seq=int(content["seq"]),
            attempt=int(content["attempt"]),
            writer=str(content["writer"]),
            event=str(content["event"]),
            prev=str(content["prev"]),
            epoch=int(content["epoch"]),
            step=int(content["step"]),
            files=files_from(content["files"]),
            live=tuple(
                Live(
                    int(one["epoch"]),
                    int(one["step"]),
                    tuple(one["roles"]),
                    files_from(one["files"]),
                )
                for one in content["live"]
            ),
            notes=notes_from(content["notes"]),
            metrics=dict(content["metrics"]),
            env=dict(content["env"]),
            time=float(content["time"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _torn(f"it is sealed but a field is wrong ({error!r})") from None
    if entry.v > VERSION or entry.event not in EVENTS:
        raise _torn(f"it is of version {entry.v}, event {entry.event}: a newer segnets wrote it")
    return entry


def files_from(content: Iterable[Mapping[str, Any]]) -> tuple[FileRef, ...]:
    """File references from JSON; ValueError for one that cannot be."""
    files = tuple(
        FileRef(str(one["name"]), str(one["key"]), str(one["sha256"]), int(one["size"]))
        for one in content
    )
    for file in files:
        if not _SHA256.fullmatch(file.sha256) or file.size < 0 or ".." in file.key:
            raise ValueError(f"no file reference: {file}")
    return files


def notes_from(content: Iterable[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Notes from JSON."""
    return tuple(Note(float(one["time"]), str(one["kind"]), str(one["text"])) for one in content)


def finite(value: Any) -> Any:
    """The value with null for every number that is not finite, all the way down."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return value


def digest_of(data: bytes) -> str:
    """SHA-256 in 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read_file(store: Store, ref: FileRef) -> bytes:
    """The bytes of a file, as sealed; NotFound, or Corrupt after three reads that do not fit.

    Size and SHA-256 are checked before anybody looks inside: torch loads a flipped byte in silence.
    """
    for _ in range(READS):  # a read damaged on its way is not yet a damaged object
        data = store.get(ref.key)
        if len(data) == ref.size and digest_of(data) == ref.sha256:
            return data
    raise Corrupt(
        f"{ref.name} is not what was sealed",
        f"{store.url}/{ref.key}",
        "An older checkpoint is taken where there is one; check the disk.",
    )


def _torn(why: str) -> Corrupt:
    return Corrupt(f"an entry is torn: {why}", "a log of the store", "Run segnets.store verify.")

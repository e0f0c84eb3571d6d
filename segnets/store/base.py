"""What the rest asks of a store: bytes by key, safely.

A key is written whole or not at all, and names one byte string for ever (beats and probes apart). The
two backends are folder.py and s3.py; everybody else is handed a `Store` and never opens one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segnets.errors import NotFound
from segnets.store.retry import Patience


@dataclass(frozen=True, slots=True)
class Listed:
    """One key of a listing; `modified` is by the store's own clock, in seconds since 1970."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Leftover:
    """What an interrupted write left: an open multipart upload or a temporary file.

    `key` is where it was going (of a folder: the temporary file), `token` what drops it.
    """

    key: str
    token: str
    modified: float


class Store(Protocol):
    """Bytes by key in one place. Every method raises StoreError, after waiting where that helps."""

    url: str
    """Absolute path, or s3://bucket/prefix."""
    conditional: bool
    """Whether `put_if_absent` excludes others; else entry names must differ by writer."""
    patience: Patience
    """How long an operation waits for a store that does not answer."""

    def get(self, key: str) -> bytes:
        """The bytes under a key; NotFound if there are none."""

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on; NotFound, or Corrupt if the object ends before."""

    def put(self, key: str, data: bytes) -> None:
        """Write whole or not at all; TypeError unless `data` is bytes."""

    def put_if_absent(self, key: str, data: bytes) -> None:
        """Write if nothing stands there; Conflict if other bytes do, the same bytes are done.

        After Unavailable the outcome is unknown: only the same bytes may be put there again. A store
        that is not conditional cannot refuse: give it a key that nobody else writes.
        """

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> list[Listed]:
        """Keys that begin with `prefix` and sort behind `after`, sorted, at most `limit`."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete; an absent key is fine."""

    def local_path(self, key: str) -> Path | None:
        """The file of this key, where the store is a folder and has it."""

    def now(self) -> float:
        """The store's own clock, in seconds since 1970."""

    def leftovers(self, prefix: str) -> Sequence[Leftover]:
        """What interrupted writes under this prefix left."""

    def drop_leftover(self, leftover: Leftover) -> None:
        """Remove one of them; a gone one is fine."""


class Source:
    """Somebody else's files, read only; keys are relative paths of any form."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url
        self.patience = store.patience

    def list(self, prefix: str = "") -> list[Listed]:
        """All files below, sorted by key."""
        return self._store.list(prefix)

    def get(self, key: str) -> bytes:
        """The bytes of a file; NotFound if it is not there."""
        return self._store.get(key)

    def holds(self, listed: Listed, data: bytes) -> bool:
        """Whether bytes that were read may be all of the file that was listed."""
        return len(data) == listed.size

    def local_path(self, key: str) -> Path | None:
        """The file on this machine, or None where it lies in object storage."""
        return self._store.local_path(key)

    def now(self) -> float:
        """The clock by which its files are dated, in seconds since 1970."""
        return self._store.now()


class Sink:
    """A place for files that people look at; keys are relative paths of any form."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url
        self.patience = store.patience

    def get(self, key: str) -> bytes | None:
        """The bytes of a file, or None if it is not there."""
        try:
            return self._store.get(key)
        except NotFound:
            return None

    def list(self, prefix: str = "") -> list[Listed]:
        """All files below, sorted by key."""
        return self._store.list(prefix)

    def now(self) -> float:
        """The clock by which its files are dated, in seconds since 1970."""
        return self._store.now()

    def put(self, key: str, data: bytes) -> None:
        """Write a file whole or not at all, also over an older one."""
        self._store.put(key, data)

"""A store in memory: quick, and with a hook before every operation for tests that interleave."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from segnets.errors import Conflict, Corrupt, NotFound
from segnets.store.base import Leftover, Listed
from segnets.store.retry import Patience


class MemoryStore:
    """Bytes in a dict. `before(operation, key)` is called first; what it raises, the operation raises."""

    def __init__(
        self, *, conditional: bool = True, objects: dict[str, bytes] | None = None
    ) -> None:
        self.url = "memory://"
        self.conditional = conditional
        self.patience = Patience(0)
        self.objects = {} if objects is None else objects
        self.times: dict[str, float] = {}
        self.before: Callable[[str, str], None] = _nothing

    def get(self, key: str) -> bytes:
        self.before("get", key)
        try:
            return self.objects[key]
        except KeyError:
            raise NotFound("no such key", key, "None.") from None

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        data = self.get(key)[offset : offset + size]
        if len(data) != size:
            raise Corrupt("too short", key, "None.")
        return data

    def put(self, key: str, data: bytes) -> None:
        self.before("put", key)
        self._write(key, data)

    def put_if_absent(self, key: str, data: bytes) -> None:
        self.before("append", key)
        if self.conditional and self.objects.get(key, data) != data:
            raise Conflict("taken", key, "None.")
        self._write(key, data)

    def create(self, key: str, data: bytes) -> bool:
        if key in self.objects:
            return False
        self._write(key, data)
        return True

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> list[Listed]:
        self.before("list", prefix)
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        return [Listed(key, len(self.objects[key]), self.times[key]) for key in keys[:limit]]

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.before("delete", key)
            self.objects.pop(key, None)

    def local_path(self, _: str) -> Path | None:
        return None

    def now(self) -> float:
        return time.time()

    def leftovers(self, _: str) -> tuple[Leftover, ...]:
        return ()

    def drop_leftover(self, _: Leftover) -> None:
        raise AssertionError("there are none")

    def _write(self, key: str, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(type(data).__name__)
        self.objects[key] = data
        self.times[key] = time.time()


def _nothing(_operation: str, _key: str) -> None:
    """Let every operation pass."""

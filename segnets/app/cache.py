"""Values that were read once, kept as long as there is room: the bound is in bytes, not in number."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Cache:
    """The most recently used values, bounded by the bytes they say they have."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value under `key`, made outside the lock if it is not held."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return cast("T", self._held[key][0])
        value = make()
        weight = size(value)
        if weight == 0:  # nothing there yet: ask again next time
            return value
        with self._lock:
            if key not in self._held:
                self._held[key] = (value, weight)
                self._bytes += weight
            while self._bytes > self._limit and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1][1]
        return value

"""Who works on what in a bag that several make at once: a hint that keeps them from doing work twice.

Each maker has one small key that it rewrites: the names that it has in hand. It writes the key, *then*
reads those of the others; of two that reach for one name the later reader sees the other's key whatever
the order was, so at most one of them goes on and the other chooses anew. No clock, no exclusive write.

When everything left is in somebody's hands, it is taken once more: the holder may be dead. So with two
makers one portion may be worked on twice, and nothing is left over. Safety never asks a hold: products
are equal whoever makes them.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from segnets.config.ids import canonical_json
from segnets.errors import NotFound, StoreError
from segnets.store.base import Store
from segnets.store.beat import is_gone, this_process
from segnets.store.keys import hold_key, new_writer
from segnets.store.retry import at_most, jitter

_TRIES = 10
_CLOSE_S = 5.0


class Hold:
    """What this process has in hand of one bag."""

    def __init__(self, store: Store, kind: str, subject: str) -> None:
        self._store = store
        self._key = hold_key(kind, subject, new_writer())
        self._prefix = self._key.rpartition(".")[0] + "."

    def take(self, todo: Sequence[str], most: int) -> list[str]:
        """At most `most` of these names, in their order: the first ones that nobody has in hand.

        If others hold all that is left, the names that the fewest have taken over before.
        """
        assert todo
        for tries in range(_TRIES):
            levels: dict[str, int] = {}
            for level, names in self._others():
                levels.update({name: max(level, levels.get(name, 0)) for name in names})
            lowest = min(levels.get(name, 0) for name in todo)
            free = [name for name in todo if levels.get(name, 0) == lowest]
            # after a clash both choose anew: from any portion, or they would clash again
            portion = int(jitter(0, -(-len(free) // most))) if tries else 0
            mine = free[portion * most :][:most] or free[:most]
            self._say(lowest + 1, mine)
            if not any(
                level > lowest and not names.isdisjoint(mine) for level, names in self._others()
            ):
                break
            time.sleep(jitter(0, 0.02 * 2 ** min(tries, 5)))
        return mine

    def close(self) -> None:
        """Have nothing in hand any more; what dead processes of this machine held goes too."""
        with suppress(StoreError), at_most(_CLOSE_S):
            dead = [key for key, content in self._read() if is_gone(content)]
            self._store.delete([self._key, *dead])

    def _say(self, level: int, names: Sequence[str]) -> None:
        content = {**this_process(), "level": level, "names": list(names)}
        self._store.put(self._key, canonical_json(content))

    def _others(self) -> list[tuple[int, set[str]]]:
        """(level, names) of every other maker that may live."""
        found = []
        for _, content in self._read():
            level, names = content.get("level"), content.get("names")
            if isinstance(level, int) and isinstance(names, list) and not is_gone(content):
                found.append((level, {str(name) for name in names}))
        return found

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for listed in self._store.list(self._prefix):
            if listed.key == self._key:
                continue
            try:
                content = json.loads(self._store.get(listed.key))
            except (NotFound, ValueError):
                continue  # deleted since, or torn
            if isinstance(content, dict):
                yield listed.key, content

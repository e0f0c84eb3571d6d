"""What this store can do, asked once by writers; a refusal explains itself.

Write twice under one key, read, write as a blob is written, list, delete. A store counts as conditional
only if the second exclusive write is refused *and* the first bytes are still there. Who only reads never
probes: it asks for one key of a listing, or opens the folder, which writes nothing.
"""

import contextlib
import logging
from typing import Protocol

from segnets.errors import Misconfigured, StoreError, Unavailable
from segnets.store.base import Store
from segnets.store.folder import FolderStore
from segnets.store.keys import new_writer, probe_key
from segnets.store.retry import at_most

WAIT_S = 15.0
"""How long a store may take to answer at the start, where somebody is there to try again."""

logger = logging.getLogger("segnets.store")
_somebody_there = True


def nobody_there() -> None:
    """From now on, in this process, the start waits for a store as long as everything after it does."""
    global _somebody_there  # noqa: PLW0603  # a fact about the process, like its signals
    _somebody_there = False


class Probed(Store, Protocol):
    """A backend that can try an exclusive write and say how it went."""

    def create(self, key: str, data: bytes) -> bool:
        """Write exclusively; False if refused because something is there.

        Raises Misconfigured where the store knows no exclusive write.
        """


def probe(store: Probed, *, conditional: bool | None = None) -> None:
    """Try a store for writing and set `store.conditional`; StoreError says what is wrong.

    `conditional=False` leaves the exclusive write untried, for a gateway that is known to race.
    """
    key = probe_key(new_writer())
    first, second, third = b"first\n", b"second\n", b"third\n"
    with at_most(_start_wait_s(store)):
        try:
            store.conditional = conditional is not False and _excludes(store, key, first, second)
            store.put(key, third)
            if store.get(key) != third:
                raise _wrong(store, "it gives back other bytes than it was given")
            if key not in {listed.key for listed in store.list("probe/")}:
                raise _wrong(store, "it does not list what it was given")
        except Unavailable:
            raise  # to clean up would only wait once more
        except StoreError:
            with contextlib.suppress(StoreError):
                store.delete([key])
            raise
        store.delete([key])
    if not store.conditional:
        logger.info(
            "%s knows no exclusive writes: entries go under names of their writers", store.url
        )


def check_readable(store: Store) -> None:
    """Ask for a listing, which writes nothing; StoreError says what is wrong."""
    with at_most(_start_wait_s(store)):
        if isinstance(store, FolderStore):
            store.check_readable()  # a listing would walk what lies there, also what is not ours
        else:
            store.list("", limit=1)


def _start_wait_s(store: Store) -> float:
    return WAIT_S if _somebody_there else store.patience.wait_s


def _excludes(store: Probed, key: str, first: bytes, second: bytes) -> bool:
    try:
        store.create(key, first)
        refused = not store.create(key, second)
    except Misconfigured:  # no hard links, or a server that knows no If-None-Match
        return False
    return refused and store.get(key) == first


def _wrong(store: Store, why: str) -> Misconfigured:
    return Misconfigured(f"the store cannot be trusted: {why}", store.url, "Use another store.")

"""Summaries for the app: their key, writing, choosing; the content comes from the caller.

A thousand trials are one listing and a thousand small reads, where their logs would take minutes. A
view may lag or be lost; nothing that must be right asks one. Its key holds the number of the entry it
tells of, so a late write of an old summary never covers a newer one.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from segnets.config.ids import canonical_json
from segnets.errors import Corrupt, StoreError
from segnets.store.base import Listed, Store
from segnets.store.entry import finite
from segnets.store.keys import check_id, parse_view, view_key
from segnets.store.retry import at_most

PATIENCE_S = 20.0
"""A summary is not worth a longer wait."""

logger = logging.getLogger("segnets.store")


def list_views(store: Store, kind: str) -> dict[str, Listed]:
    """Id -> its newest view, by one listing; ids in order."""
    newest: dict[str, Listed] = {}
    for listed in store.list(f"view/{kind}/"):
        parsed = parse_view(listed.key)
        if parsed is not None:
            newest.setdefault(parsed[0], listed)
    return newest


def read_view(store: Store, key: str) -> dict[str, Any]:
    """The content of a view; NotFound if a newer one has replaced it: list again."""
    try:
        content = json.loads(store.get(key))
    except (ValueError, RecursionError):  # no JSON, or lists in lists without end
        content = None
    if not isinstance(content, dict):
        raise Corrupt("a summary is no JSON object", key, "The next save of it writes another.")
    return content


def write_view(
    store: Store, kind: str, subject: str, seq: int, writer: str, content: Mapping[str, Any]
) -> None:
    """Put the view of entry `seq`, then delete the older ones; a failure is logged, never raised."""
    key = view_key(kind, subject, seq, writer)
    data = canonical_json(finite(content)) + b"\n"
    try:
        with at_most(PATIENCE_S):
            store.put(key, data)
            older = [
                listed.key
                for listed in store.list(f"view/{kind}/{check_id(kind, subject)}.")
                if listed.key > key
            ]
            store.delete(older)
    except StoreError as error:
        logger.info("the summary of %s %s was not written: %s", kind, subject, error)


def refresh_view(
    store: Store, kind: str, subject: str, seq: int, writer: str, content: Mapping[str, Any]
) -> None:
    """Write the view of entry `seq` if the newest one is older: its writer may have died before."""
    for listed in store.list(f"view/{kind}/{check_id(kind, subject)}.", limit=1):
        parsed = parse_view(listed.key)
        if parsed is not None and parsed[1] >= seq:
            return
    write_view(store, kind, subject, seq, writer, content)

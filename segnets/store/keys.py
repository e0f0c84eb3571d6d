"""The name of every object we write, in one place (the table stands in README).

Keys are [a-z0-9._-] with single slashes, and no key is the parent of another: object stores that keep
files (rclone) cannot hold both. `~N` is 99999999 - N in 8 digits, so the newest lists first. There is
no `latest`: the newest is found by listing, and no key but a beat or a hold is written twice.
"""

import os
import re
from dataclasses import dataclass

from segnets.errors import NotInStore

BAG_KINDS = ("dataset", "eval", "grid", "run")
KINDS = ("trial", *BAG_KINDS)

_LAST = 99_999_999
_KEY = re.compile(r"[a-z0-9._-]+(/[a-z0-9._-]+)*")
_ID = re.compile(r"[a-z0-9_-]+")
_SLOT = re.compile(r"log/trial/[a-z0-9_-]+/(\d{8})(?:\.(\d{8})\.([0-9a-f]{16}))?\.json")
_ITEM = re.compile(r"log/[a-z]+/[a-z0-9_-]+/([a-z0-9_-]+)\.([0-9a-f]{16})\.json")
_BLOB = re.compile(r"obj/([a-z]+)/([a-z0-9_-]+)/(\d{6})-([0-9a-f]{16})/.+")
_VIEW = re.compile(r"view/([a-z]+)/([a-z0-9_-]+)\.(\d{8})\.([0-9a-f]{16})\.json")
_BEAT = re.compile(r"beat/trial/([a-z0-9_-]+)\.([0-9a-f]{16})")


def new_writer() -> str:
    """16 hex digits for one holder of a log or bag: 64 random bits, from the system."""
    return os.urandom(8).hex()


def check_key(key: str) -> str:
    """The key itself; AssertionError if it is none that we may write."""
    assert _KEY.fullmatch(key), f"not a key: {key!r}"
    assert not any(part.strip(".") == "" or part.startswith(".tmp-") for part in key.split("/"))
    return key


def check_id(kind: str, subject: str) -> str:
    """The id itself; NotInStore for a text that no subject can be named (a user may have typed it)."""
    assert kind in KINDS, kind
    if not _ID.fullmatch(subject):
        raise NotInStore(
            f"there is no such {kind}",
            repr(subject),
            "Ids hold small letters, digits, - and _; list them with python -m segnets.store ls.",
        )
    return subject


def inverted(number: int) -> str:
    """`~N`: 8 digits that sort the other way round."""
    assert 0 <= number <= _LAST, number
    return f"{_LAST - number:08d}"


def log_prefix(kind: str, subject: str) -> str:
    """Where the entries or items of a subject lie."""
    return f"log/{kind}/{check_id(kind, subject)}/"


def blob_prefix(kind: str, subject: str) -> str:
    """Where all blobs of a subject lie, of every attempt and writer."""
    return f"obj/{kind}/{check_id(kind, subject)}/"


def blob_key(kind: str, subject: str, attempt: int, writer: str, number: int, sha256: str) -> str:
    """A blob in its writer's own area; `number` counts, so equal bytes get another key too."""
    return f"{blob_prefix(kind, subject)}{attempt:06d}-{writer}/{number}-{sha256}"


def slot_key(trial: str, seq: int, attempt: int, writer: str, *, conditional: bool) -> str:
    """An entry of a trial's log. Without conditional writes each writer has names of its own."""
    name = inverted(seq) if conditional else f"{inverted(seq)}.{inverted(attempt)}.{writer}"
    return f"{log_prefix('trial', trial)}{name}.json"


def item_key(kind: str, subject: str, item: str, writer: str) -> str:
    """An item of a bag; an item's name holds no dot."""
    assert _ID.fullmatch(item), f"not an item: {item!r}"
    return f"{log_prefix(kind, subject)}{item}.{writer}.json"


def view_key(kind: str, subject: str, seq: int, writer: str) -> str:
    """A summary for the app; the newest of a subject lists first."""
    return f"view/{kind}/{check_id(kind, subject)}.{inverted(seq)}.{writer}.json"


def beat_key(trial: str, writer: str) -> str:
    """Who is alive: the only key that is written again and again."""
    return f"beat/trial/{check_id('trial', trial)}.{writer}"


def hold_key(kind: str, subject: str, writer: str) -> str:
    """What a maker of a bag has in hand: like a beat a hint, and written again by its own process."""
    assert kind in BAG_KINDS, kind
    return f"beat/{kind}/{check_id(kind, subject)}.{writer}"


def probe_key(writer: str) -> str:
    """What a writer tries a store with, and deletes."""
    return f"probe/{writer}"


@dataclass(frozen=True, slots=True)
class Slot:
    """A key of a trial's log; attempt and writer stand in the name on some stores only."""

    key: str
    seq: int
    attempt: int | None
    writer: str | None


@dataclass(frozen=True, slots=True)
class BlobName:
    """Whose area a blob lies in."""

    kind: str
    subject: str
    attempt: int
    writer: str


def parse_slot(key: str) -> Slot | None:
    """What the name of an entry says, or None for a key that is none."""
    match = _SLOT.fullmatch(key)
    if match is None:
        return None
    attempt = None if match[2] is None else _LAST - int(match[2])
    return Slot(key, _LAST - int(match[1]), attempt, match[3])


def parse_item(key: str) -> tuple[str, str] | None:
    """(item, writer) of a bag's key, or None for a key that is none."""
    match = _ITEM.fullmatch(key)
    return None if match is None else (match[1], match[2])


def parse_blob(key: str) -> BlobName | None:
    """Whose blob (or temporary file beside one) this is, or None."""
    match = _BLOB.fullmatch(key)
    return None if match is None else BlobName(match[1], match[2], int(match[3]), match[4])


def parse_view(key: str) -> tuple[str, int] | None:
    """(id, seq) of a view, or None for a key that is none."""
    match = _VIEW.fullmatch(key)
    return None if match is None else (match[2], _LAST - int(match[3]))


def parse_beat(key: str) -> tuple[str, str] | None:
    """(trial, writer) of a beat, or None for a key that is none."""
    match = _BEAT.fullmatch(key)
    return None if match is None else (match[1], match[2])

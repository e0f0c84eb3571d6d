"""Read everything that counts and say what is not as it was sealed."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from segnets.errors import Corrupt, NotFound
from segnets.store.bag import Item, read_done, read_items
from segnets.store.base import Store
from segnets.store.entry import Entry, FileRef, digest_of, read_file
from segnets.store.history import read_slots
from segnets.store.keys import BAG_KINDS


@dataclass
class Found:
    """What a verification has read, and one sentence for each thing that is wrong."""

    lines: int = 0
    files: int = 0
    size: int = 0
    faults: list[str] = field(default_factory=list)


def verify(store: Store, kind: str, subject: str, found: Found) -> None:
    """Check the seals of a subject's lines and the bytes of every file that counts."""
    if kind == "trial":
        head = _verify_log(store, subject, found)
        live = () if head is None else head.live
        files = {file.key: file for one in live for file in one.files}
        _verify_files(store, f"trial {subject}", files, found)
        return
    assert kind in BAG_KINDS
    lines = list(_counting_items(store, kind, subject))
    found.lines += len(lines)
    if not lines:
        found.faults.append(f"{kind} {subject}: no line of it counts: torn, or blobs are missing")
    files = {file.key: file for line in lines for file in line.files}
    _verify_files(store, f"{kind} {subject}", files, found)


def _verify_log(store: Store, trial: str, found: Found) -> Entry | None:
    head: Entry | None = None
    digests: set[str] = {""}
    entries = []
    for slot, entry in read_slots(store, trial):
        found.lines += 1
        if entry is None:
            found.faults.append(f"trial {trial}: an entry is torn: {slot.key}")
            continue
        entries.append(entry)
        digests.add(digest_of(store.get(slot.key)))
        if entry.is_commit and (head is None or entry.rank > head.rank):
            head = entry
    found.faults.extend(
        f"trial {trial}: entry {entry.seq} was built on one that is not there"
        for entry in entries
        if entry.prev not in digests
    )
    return head


def _counting_items(store: Store, kind: str, subject: str) -> Iterator[Item]:
    done = read_done(store, kind, subject)
    if done is not None:
        yield done.item
        yield from done.items.values()
        return
    for lines in read_items(store, kind, subject).values():
        yield from lines


def _verify_files(store: Store, whose: str, files: dict[str, FileRef], found: Found) -> None:
    for file in files.values():
        try:
            found.size += len(read_file(store, file))
        except NotFound:
            found.faults.append(f"{whose}: {file.name} is missing: {file.key}")
        except Corrupt:
            found.faults.append(f"{whose}: {file.name} is damaged: {file.key}")
        found.files += 1

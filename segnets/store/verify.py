"""Read everything that counts and say what is not as it was sealed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from segnets.errors import Corrupt, NotFound
from segnets.store.bag import DONE, BagReader, Item
from segnets.store.base import Store
from segnets.store.entry import Entry, FileRef, digest_of, read_file
from segnets.store.history import read_slots
from segnets.store.keys import BAG_KINDS, KINDS
from segnets.store.views import list_views, read_view


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
    lines = _verify_lines(store, kind, subject, found)
    files = {file.key: file for line in lines for file in line.files}
    _verify_files(store, f"{kind} {subject}", files, found)


def verify_views(store: Store, found: Found) -> None:
    """Read the summaries that the app and `ls` begin with; they count for nothing else."""
    for kind in KINDS:
        for subject, listed in list_views(store, kind).items():
            try:
                read_view(store, listed.key)
            except NotFound:
                pass  # a newer one has replaced it
            except Corrupt:
                found.faults.append(
                    f"{kind} {subject}: its summary is damaged, nothing else of it: {listed.key}"
                )


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


def _verify_lines(store: Store, kind: str, subject: str, found: Found) -> list[Item]:
    """The lines of a bag whose files must be there.

    From the first done on, those are the dones and what they name: gc takes the files of all others. Of
    lines that say the same (two dones, one item twice) those that are not whole are superseded as soon
    as another is: made anew after damage, or garbage.
    """
    whose = f"{kind} {subject}"
    lines, sizes, torn = BagReader(store, kind, subject).read()
    found.lines += len(lines) + len(torn)
    if not lines:
        found.faults.append(f"{whose}: no line of it can be read")
    by_key = {line.key: line for line in lines}
    same: dict[str, list[Item]] = {}
    for line in [line for line in lines if line.item == DONE] or lines:
        same.setdefault(line.item, []).append(line)
    counting: list[Item] = []
    for item, some in same.items():
        whole = [line for line in some if _is_whole(line, by_key, sizes)]
        if item == DONE and not whole:
            found.faults.append(f"{whose}: no done of it is whole, so it does not count")
        counting += whole or some
    named = dict.fromkeys(key for line in counting for key in line.items.values())
    stands = any(line.item == DONE and _is_whole(line, by_key, sizes) for line in lines)
    for key in torn:
        is_superseded = stands and key not in named
        note = " (it was made anew: this key may be deleted)" if is_superseded else ""
        found.faults.append(f"{whose}: a line is torn: {key}{note}")
    for key in named:
        if key in by_key:
            counting.append(by_key[key])
        elif key not in torn:
            found.faults.append(f"{whose}: a line is missing: {key}")
    return counting


def _is_whole(line: Item, by_key: Mapping[str, Item], sizes: Mapping[str, int]) -> bool:
    """Whether the line, and every line that it names, is there with all its files."""
    if not all(key in by_key for key in line.items.values()):
        return False
    lines = (line, *(by_key[key] for key in line.items.values()))
    return all(sizes.get(file.key) == file.size for one in lines for file in one.files)


def _verify_files(store: Store, whose: str, files: dict[str, FileRef], found: Found) -> None:
    for file in files.values():
        try:
            found.size += len(read_file(store, file))
        except NotFound:
            found.faults.append(f"{whose}: {file.name} is missing: {file.key}")
        except Corrupt:
            found.faults.append(f"{whose}: {file.name} is damaged: {file.key}")
        found.files += 1

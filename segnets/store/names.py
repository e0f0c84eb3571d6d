"""What a store holds, by names that people can type: subjects, their state and sizes, their files.

A file of a trial is `ID/LABEL/FILE`, where the label is step-N, epoch-N or a role (best, last, every,
final); of anything else `ID/ITEM/FILE`. `ID/FILE` is enough where one file has that name; of a trial it means
the best epoch's, else the newest one's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from segnets.errors import NotFound, NotInStore
from segnets.store.bag import DONE, read_done, read_items
from segnets.store.base import Store
from segnets.store.entry import Entry, FileRef
from segnets.store.history import read_head, survey
from segnets.store.keys import (
    BAG_KINDS,
    KINDS,
    Slot,
    check_id,
    log_prefix,
    parse_blob,
    parse_item,
    parse_slot,
)
from segnets.store.retry import side_by_side

AT_ONCE = 16
"""Heads read at a time: what a listing of many trials waits for is the way to the store and back."""


@dataclass(slots=True)
class Subject:
    """One dataset, trial, grid, evaluation or run; `size` in bytes, garbage included."""

    kind: str
    id: str
    slots: list[Slot] = field(default_factory=list)
    items: set[str] = field(default_factory=set)
    size: int = 0
    files: int = 0
    state: str = ""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that counts, with the labels that may stand between id and file name."""

    labels: tuple[str, ...]
    ref: FileRef

    def path(self, subject: str) -> str:
        """The name that `get` takes."""
        return f"{subject}/{self.labels[0]}/{self.ref.name}"


def list_subjects(store: Store) -> dict[str, list[str]]:
    """Kind -> the ids that have a log, in order; one listing."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for subject in _subjects(store):
        found[subject.kind].append(subject.id)
    return found


def look(store: Store) -> list[Subject]:
    """Every subject with its state and size: two listings, the second beside the heads of the trials.

    What is in a bag is told by the names of its lines; whether they still fit their seals, and whether
    their files are there, is what verify reads.
    """
    subjects = _subjects(store)
    by_id = {(one.kind, one.id): one for one in subjects}

    def add_sizes() -> None:
        for listed in store.list("obj/"):
            blob = parse_blob(listed.key)
            owner = None if blob is None else by_id.get((blob.kind, blob.subject))
            if owner is not None:
                owner.size += listed.size
                owner.files += 1

    def add_state(trial: Subject) -> None:
        trial.state = _trial_state(survey(store, trial.id, trial.slots).head)

    reads: list[Callable[[], None]] = [add_sizes]
    reads += [partial(add_state, one) for one in subjects if one.kind == "trial"]
    side_by_side(reads, AT_ONCE)
    for one in subjects:
        one.state = one.state or _bag_state(one)
    return subjects


def named_files(store: Store, subject: str) -> tuple[str, list[NamedFile]]:
    """The kind of an id, and its files that count, the newest last; NotInStore if there is none."""
    check_id("trial", subject)
    for kind in KINDS:
        if store.list(log_prefix(kind, subject), limit=1):
            files = _trial_files if kind == "trial" else partial(_bag_files, kind=kind)
            return kind, list(files(store, subject))
    raise NotInStore(
        "nothing in the store has this id",
        subject,
        "List what there is with python -m segnets.store ls.",
    )


def find_file(store: Store, name: str) -> FileRef:
    """The file of a readable name. Raises NotInStore, NotFound."""
    subject, _, rest = name.partition("/")
    label, _, file = rest.rpartition("/")
    kind, files = named_files(store, subject)
    fitting = [one for one in files if one.ref.name == file and (not label or label in one.labels)]
    if not fitting or (len(fitting) > 1 and kind != "trial"):
        why = "several files have this name" if fitting else "there is no such file"
        raise NotFound(why, name, f"List them with python -m segnets.store ls URL --id {subject}.")
    best = [one for one in fitting if "best" in one.labels]
    return (best or fitting)[-1].ref


def _subjects(store: Store) -> list[Subject]:
    found: dict[str, dict[str, Subject]] = defaultdict(dict)
    for listed in store.list("log/"):
        _, kind, *rest = listed.key.split("/")
        if kind not in KINDS or len(rest) != 2:
            continue
        one = found[kind].setdefault(rest[0], Subject(kind, rest[0]))
        if kind == "trial":
            slot = parse_slot(listed.key)
            one.slots += [] if slot is None else [slot]
        else:
            item = parse_item(listed.key)
            one.items |= set() if item is None else {item[0]}
    return [found[kind][subject] for kind in KINDS for subject in sorted(found[kind])]


def _trial_state(head: Entry | None) -> str:
    if head is None:
        return "claimed, nothing saved yet"
    return f"{head.event}, epoch {head.epoch}, step {head.step}, attempt {head.attempt}"


def _bag_state(bag: Subject) -> str:
    items = bag.items - {DONE}
    if bag.kind == "run":
        nights = sum(item.startswith("night-") for item in items)
        return f"{nights} nights, {len(items) - nights} parts"
    return f"{'done' if DONE in bag.items else 'not complete'}, {len(items)} items"


def _trial_files(store: Store, subject: str) -> Iterator[NamedFile]:
    head = read_head(store, subject)
    for live in () if head is None else head.live:
        labels = (f"step-{live.step}", f"epoch-{live.epoch}", *live.roles)
        yield from (NamedFile(labels, file) for file in live.files)


def _bag_files(store: Store, subject: str, *, kind: str) -> Iterator[NamedFile]:
    assert kind in BAG_KINDS
    done = read_done(store, kind, subject)
    if done is not None:
        lines = {item: [line] for item, line in (*done.items.items(), (DONE, done.item))}
    else:
        lines = read_items(store, kind, subject)
    for item, some in lines.items():
        yield from (NamedFile((item,), file) for file in some[0].files)

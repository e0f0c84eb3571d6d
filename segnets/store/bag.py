"""Bags: subjects that any number of processes may make at once (dataset, eval, grid, run).

No claim, no order, no delete. A product is a function of its id, so two workers that make one item make
the same thing; each puts blobs into its own area and then `ITEM.WRITER`. Who sees every item that the
subject's plan names puts `done.WRITER`, which names one of each; readers take the first done whose
blobs are all there. A run has no done: every item whose blobs are there counts.
"""

import itertools
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from segnets.errors import ConfigError, Corrupt, NotFound, StoreError
from segnets.store.base import Store
from segnets.store.entry import (
    READS,
    VERSION,
    FileRef,
    Note,
    digest_of,
    files_from,
    notes_from,
    read_file,
    seal,
    unseal,
)
from segnets.store.hold import Hold
from segnets.store.keys import (
    BAG_KINDS,
    blob_key,
    blob_prefix,
    item_key,
    log_prefix,
    new_writer,
    parse_item,
)
from segnets.store.views import refresh_view

DONE = "done"

logger = logging.getLogger("segnets.store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A sealed line of a bag; `items` (of a done only) names the key of one line per item."""

    v: int = VERSION
    kind: str
    id: str
    config_sha256: str
    item: str
    writer: str
    files: tuple[FileRef, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    env: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)
    items: Mapping[str, str] = field(default_factory=dict)
    key: str = ""

    def file(self, name: str) -> FileRef:
        """The file of this name; NotFound if the item has none."""
        for file in self.files:
            if file.name == name:
                return file
        raise NotFound(f"there is no {name} in {self.item}", self.id, "Make it again.")


@dataclass(frozen=True, slots=True)
class Done:
    """A bag that is complete: its done, and the items that this done names."""

    item: Item
    items: Mapping[str, Item]

    def file(self, name: str) -> FileRef:
        """The file of this name in any item; NotFound if there is none."""
        for item in (self.item, *self.items.values()):
            for file in item.files:
                if file.name == name:
                    return file
        raise NotFound(
            f"there is no {name} in the {self.item.kind}", self.item.id, "Make it again."
        )


class Bag:
    """One subject, for adding items and reading them; several processes may hold it."""

    def __init__(
        self,
        store: Store,
        kind: str,
        subject: str,
        config_sha256: str,
        env: Mapping[str, Any] | None = None,
    ) -> None:
        assert kind in BAG_KINDS, kind
        self.kind, self.id = kind, subject
        self._store = store
        self.patience = store.patience
        self._config_sha256 = config_sha256
        self._env = dict(env or {})
        self._reader = BagReader(store, kind, subject)
        self._start()

    def items(self) -> dict[str, list[Item]]:
        """Item -> its valid lines whose blobs are all there, done left out.

        Raises ConfigError if the id is of another config.
        """
        found = self._reader.items()
        for lines in found.values():
            for line in lines:
                self._check(line)
        return found

    def done(self) -> Item | None:
        """The first done whose blobs are all there, or None."""
        done = self._reader.done()
        if done is None:
            return None
        self._check(done.item)
        return done.item

    def hold(self) -> Hold:
        """A hint for its makers: who has what in hand."""
        return Hold(self._store, self.kind, self.id)

    def put_file(self, name: str, data: bytes) -> FileRef:
        """Put a blob; it counts once an item names it."""
        self._check_process()
        sha256, number = digest_of(data), next(self._counter)
        key = blob_key(self.kind, self.id, 0, self._writer, number, sha256)
        self._store.put(key, data)
        return FileRef(name, key, sha256, len(data))

    def get_file(self, ref: FileRef) -> bytes:
        """The bytes of a file, verified; NotFound or Corrupt."""
        return read_file(self._store, ref)

    def put_item(
        self,
        item: str,
        files: Sequence[FileRef],
        metrics: Mapping[str, Any] | None = None,
        notes: Sequence[Note] = (),
    ) -> Item:
        """Add an item, after its blobs were put."""
        assert item != DONE
        return self._put(item, files, metrics, notes, {})

    def put_done(self, items: Mapping[str, Item], metrics: Mapping[str, Any] | None = None) -> Item:
        """Say that the bag is complete with these items."""
        assert self.kind != "run", "a run has no done"
        keys = {name: line.key for name, line in items.items()}
        return self._put(DONE, (), metrics, (), keys)

    def put_view(self, content: Mapping[str, Any]) -> None:
        """Write the summary for the app, if lines were added since the last one.

        Its number is how many lines the bag has; a failure is logged, never raised.
        """
        try:
            lines = len(self._store.list(log_prefix(self.kind, self.id)))
            refresh_view(self._store, self.kind, self.id, lines, new_writer(), content)
        except StoreError as error:
            logger.info("the summary of %s %s was not written: %s", self.kind, self.id, error)

    def _put(
        self,
        item: str,
        files: Sequence[FileRef],
        metrics: Mapping[str, Any] | None,
        notes: Sequence[Note],
        items: Mapping[str, str],
    ) -> Item:
        self._check_process()
        if item in self._mine:  # one key, one byte string: the second line needs a name of its own
            self._start()
        key = item_key(self.kind, self.id, item, self._writer)
        line = Item(
            kind=self.kind,
            id=self.id,
            config_sha256=self._config_sha256,
            item=item,
            writer=self._writer,
            files=tuple(files),
            metrics=dict(metrics or {}),
            notes=tuple(notes),
            env=self._env,
            items=dict(items),
        )
        self._mine.add(item)
        content = asdict(line)
        del content["key"]
        data = seal(content)
        self._store.put_if_absent(key, data)
        return item_from_bytes(data, key)

    def _start(self) -> None:
        """Take a name for this writer, and an area of its own for its blobs."""
        self._pid = os.getpid()
        self._writer = new_writer()
        self._counter = itertools.count()
        self._mine: set[str] = set()

    def _check_process(self) -> None:
        if self._pid != os.getpid():  # after a fork
            self._start()

    def _check(self, line: Item) -> None:
        if line.config_sha256 != self._config_sha256:
            raise ConfigError(
                f"the store holds a {self.kind} of this id with other settings",
                self.id,
                "Change a setting, or use another --store.",
            )


class BagReader:
    """Reads a bag again and again; a line is read once, since a key is one byte string for ever."""

    def __init__(self, store: Store, kind: str, subject: str) -> None:
        self._store, self._kind, self._id = store, kind, subject
        self._lines: dict[str, Item] = {}

    def items(self) -> dict[str, list[Item]]:
        """Item -> its valid lines whose blobs are all there, done left out."""
        lines, sizes, _ = self.read()
        found: dict[str, list[Item]] = {}
        for line in lines:
            if line.item != DONE and _is_there(line.files, sizes):
                found.setdefault(line.item, []).append(line)
        return found

    def done(self) -> Done | None:
        """The first done whose items and blobs are all there, or None."""
        lines, sizes, _ = self.read()
        by_key = {line.key: line for line in lines}
        for line in lines:
            named = {name: by_key.get(key) for name, key in line.items.items()}
            items = {name: item for name, item in named.items() if item is not None}
            if line.item == DONE and len(items) == len(named):
                files = itertools.chain(line.files, *(item.files for item in items.values()))
                if _is_there(files, sizes):
                    return Done(line, items)
        return None

    def read(self) -> tuple[list[Item], dict[str, int], list[str]]:
        """All valid lines in the order of their keys, the size of every blob, the keys of torn lines.

        Lines are listed first: a line that is there was put after its blobs.
        """
        lines, torn = [], []
        for listed in self._store.list(log_prefix(self._kind, self._id)):
            if listed.key not in self._lines and parse_item(listed.key) is not None:
                line = _read_line(self._store, self._kind, self._id, listed.key)
                if line is None:
                    logger.warning("an item cannot be read and does not count: %s", listed.key)
                    torn.append(listed.key)
                    continue
                self._lines[listed.key] = line
            if listed.key in self._lines:
                lines.append(self._lines[listed.key])
        if not lines:
            return [], {}, torn
        blobs = self._store.list(blob_prefix(self._kind, self._id))
        return lines, {listed.key: listed.size for listed in blobs}, torn


def read_done(store: Store, kind: str, subject: str) -> Done | None:
    """The first done of a bag whose blobs are all there, with the items it names; or None."""
    return BagReader(store, kind, subject).done()


def read_named(store: Store, kind: str, subject: str) -> set[str] | None:
    """Every blob that any done names, for gc; None if there is no done or a line is unreadable."""
    lines = {}
    for listed in store.list(log_prefix(kind, subject)):
        line = _read_line(store, kind, subject, listed.key)
        if line is None:
            return None
        lines[listed.key] = line
    dones = [line for line in lines.values() if line.item == DONE]
    if not dones:
        return None
    named = [lines[key] for done in dones for key in done.items.values() if key in lines]
    return {file.key for line in (*dones, *named) for file in line.files}


def read_items(store: Store, kind: str, subject: str) -> dict[str, list[Item]]:
    """Item -> its valid lines whose blobs are all there, done left out."""
    return BagReader(store, kind, subject).items()


def item_from_bytes(data: bytes, key: str) -> Item:
    """A line from sealed bytes; Corrupt if the seal or a field does not fit."""
    content = unseal(data)
    try:
        line = Item(
            v=int(content["v"]),
            kind=str(content["kind"]),
            id=str(content["id"]),
            config_sha256=str(content["config_sha256"]),
            item=str(content["item"]),
            writer=str(content["writer"]),
            files=files_from(content["files"]),
            metrics=dict(content["metrics"]),
            notes=notes_from(content["notes"]),
            env=dict(content["env"]),
            time=float(content["time"]),
            items={str(name): str(one) for name, one in content["items"].items()},
            key=key,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Corrupt(f"an item is sealed but wrong ({error!r})", key, "Make it again.") from None
    if line.v > VERSION:
        raise Corrupt(f"an item is of version {line.v}", key, "A newer segnets wrote it: update.")
    return line


def _read_line(store: Store, kind: str, subject: str, key: str) -> Item | None:
    named = parse_item(key)
    for _ in range(READS):
        try:
            line = item_from_bytes(store.get(key), key)
        except (Corrupt, NotFound):
            continue
        if (line.kind, line.id) == (kind, subject) and (line.item, line.writer) == named:
            return line
    return None


def _is_there(files: Iterable[FileRef], sizes: Mapping[str, int]) -> bool:
    return all(sizes.get(file.key) == file.size for file in files)

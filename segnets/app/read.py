"""What the app asks of a store; no Panel inside, and nothing here writes.

One reader a process, shared by all sessions. A thread looks at the store every few seconds: one
listing a kind, and a read of each view whose key is new (a key holds one byte string for ever, so a
known key is never read again). Sessions look at `reader.snapshot` and compare its version; they do
no input or output of their own. Tables and pictures are read on demand, in a pool, into a cache
bounded in bytes.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from segnets.app import records
from segnets.app.cache import Cache
from segnets.app.records import Dataset, Evaluation, Grid, Run, Trial
from segnets.errors import SegnetsError, StoreError, Unavailable
from segnets.store.bag import read_done, read_items
from segnets.store.base import Listed, Store
from segnets.store.entry import FileRef, read_file
from segnets.store.history import read_head
from segnets.store.retry import Patience, at_most
from segnets.store.tables import from_parquet
from segnets.store.views import list_views, read_view

T = TypeVar("T")
LOOK_EVERY_S = 3.0
"""A new epoch must be on the page within 10 s: this, the session's second, and the reads."""
PATIENCE_S = 6.0
"""How long the app waits for a store before it says so; it comes back by itself."""
SILENT_AFTER_S = 60.0
_VIEWED = ("trial", "grid", "eval", "dataset", "run")
_EMPTY: Mapping[str, Any] = MappingProxyType({})

logger = logging.getLogger("segnets.app")


class ReadOnlyStore:
    """A store's reading half: the only face of it that the app has."""

    conditional = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url
        self.patience: Patience = store.patience

    def get(self, key: str) -> bytes:
        """The bytes under a key."""
        return self._store.get(key)

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on."""
        return self._store.get_range(key, offset, size)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> list[Listed]:
        """Keys that begin with `prefix`, sorted."""
        return self._store.list(prefix, after=after, limit=limit)

    def local_path(self, key: str) -> Path | None:
        """The file of this key, where the store is a folder."""
        return self._store.local_path(key)

    def now(self) -> float:
        """The store's own clock."""
        return self._store.now()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the store held at the last look. `looked`: this machine's clock; 0: not yet.

    `fault` is one sentence when the store did not answer; the rest is then what was seen before.
    """

    version: int = 0
    looked: float = 0.0
    fault: str = ""
    trials: Mapping[str, Trial] = field(default_factory=dict)
    grids: Mapping[str, Grid] = field(default_factory=dict)
    evals: Mapping[str, Evaluation] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    unread: int = 0
    """Summaries that could not be read, this time and the last."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The rows of an evaluation's samples.parquet, by (split, name)."""

    rows: Mapping[tuple[str, str], Mapping[str, Any]]
    layers: FileRef | None


@dataclass(frozen=True, slots=True)
class Display:
    """Where a dataset's pictures lie in its display.pack, by (split, name)."""

    rows: Mapping[tuple[str, str], Mapping[str, Any]]
    pack: FileRef | None


class Reader:
    """Everything the pages may ask. Methods that read raise SegnetsError and belong in `pool`."""

    def __init__(
        self,
        url: str,
        connect: Callable[[], Store],
        *,
        cache_bytes: int = 256 * 2**20,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.url = url
        self.snapshot = Snapshot()
        self.pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="segnets-app")
        self._connect = connect
        self._connected: ReadOnlyStore | None = None
        self._views: dict[str, Any] = {}  # view key -> record
        self._plans: dict[str, Mapping[str, Trial]] = {}  # view key of a grid -> its queued trials
        self._unread: set[str] = set()  # keys of views that the last look could not read
        self._told: set[str] = set()  # what could not be read, and was said in the log
        self._seen_beats: dict[str, tuple[float, float]] = {}  # trial -> newest beat, when it moved
        self._cache = Cache(cache_bytes)
        self._every_s = every_s
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to look at the store every few seconds; a second call does nothing."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="segnets-look", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=PATIENCE_S)
        self.pool.shutdown(wait=False, cancel_futures=True)

    def look(self) -> Snapshot:
        """Look at the store once; never raises: a fault is a sentence in the snapshot."""
        before = self.snapshot
        try:
            with at_most(PATIENCE_S):
                found = self._look(self._store())
        except SegnetsError as error:
            found = replace(before, fault=str(error))
        except Exception:
            logger.exception("looking at %s failed", self.url)
            fault = f"the store could not be read: {self.url}. See the app's log; it tries again."
            found = replace(before, fault=fault)
        changed = replace(found, version=0, looked=0.0) != replace(before, version=0, looked=0.0)
        bumped = before.version + (changed or before.looked == 0.0)
        self.snapshot = replace(found, version=bumped, looked=time.time())
        return self.snapshot

    def curve(self, trial: str) -> list[dict[str, Any]]:
        """The rows of a trial's epochs.parquet, oldest first; none before its first commit."""
        known = self.snapshot.trials.get(trial)
        key = ("curve", trial, known.key if known else "")
        return self._cache.get(key, lambda: self._read_curve(trial), lambda rows: 800 * len(rows))

    def samples(self, evaluation: str) -> Samples:
        """The table of an evaluation's samples; an empty one where it has none."""
        key = ("samples", evaluation, self.snapshot.evals[evaluation].key)
        return self._cache.get(
            key, lambda: self._read_samples(evaluation), lambda table: 2_000 * len(table.rows)
        )

    def display(self, dataset: str) -> Display:
        """Where the pictures of a dataset lie; empty where it has none (or is not there)."""
        return self._cache.get(
            ("display", dataset),
            lambda: self._read_display(dataset),
            lambda table: 600 * len(table.rows),
        )

    def file(self, kind: str, subject: str, name: str) -> bytes:
        """A whole file of a bag that is done, verified; nothing where there is none of this name."""
        return self._cache.get(
            ("file", kind, subject, name), lambda: self._read_file(kind, subject, name), len
        )

    def picture(self, pack: FileRef | None, offset: object, size: object) -> bytes | None:
        """One encoded picture of a pack, or None where the table says that there is none."""
        if pack is None or not isinstance(offset, int) or not isinstance(size, int):
            return None
        if offset < 0 or size <= 0 or offset + size > pack.size:
            return None
        return self._cache.get(
            (pack.key, offset, size), lambda: self._range(pack.key, offset, size), len
        )

    def ask(self, key: Hashable, read: Callable[[Store], T], size: Callable[[T], int]) -> T:
        """What a page's own question reads from the store; kept as long as `size` (bytes) allows."""

        def look() -> T:
            with at_most(PATIENCE_S):
                return read(self._store())

        return self._cache.get(key, look, size)

    def _range(self, key: str, offset: int, size: int) -> bytes:
        with at_most(PATIENCE_S):
            return self._store().get_range(key, offset, size)

    def _store(self) -> Store:
        if self._connected is None:
            self._connected = ReadOnlyStore(self._connect())
        return cast("Store", self._connected)  # the writing half is missing on purpose

    def _run(self) -> None:
        while not self._closed.is_set():
            self.look()
            self._closed.wait(self._every_s)

    def _look(self, store: Store) -> Snapshot:
        listed = {kind: list_views(store, kind) for kind in _VIEWED}
        keys = {item.key for views in listed.values() for item in views.values()}
        self._views = {key: record for key, record in self._views.items() if key in keys}
        trials = self._records(store, listed["trial"], records.trial)
        grids = self._records(store, listed["grid"], records.grid)
        for grid in grids.values():
            if any(trial not in listed["trial"] for trial in grid.trials):
                for subject, planned in self._planned(store, grid).items():
                    if subject not in listed["trial"]:  # else claimed, though its view may be bad
                        trials.setdefault(subject, planned)
        silent = self._silent(store, trials.values())
        evals = self._records(store, listed["eval"], records.evaluation)
        datasets = self._records(store, listed["dataset"], records.dataset)
        runs = self._records(store, listed["run"], records.run)
        # one that was replaced since the listing is no damage: the next look finds its successor
        before, self._unread = self._unread, keys - self._views.keys()
        return Snapshot(
            trials={
                subject: replace(trial, status="silent") if subject in silent else trial
                for subject, trial in trials.items()
            },
            grids=grids,
            evals=evals,
            datasets=datasets,
            runs=runs,
            unread=len(before & self._unread),
        )

    def _records(
        self,
        store: Store,
        listed: Mapping[str, Listed],
        parse: Callable[[str, str, Mapping[str, Any]], T],
    ) -> dict[str, T]:
        missing = [
            (subject, item.key) for subject, item in listed.items() if item.key not in self._views
        ]

        def fetch(named: tuple[str, str]) -> tuple[str, Any]:
            subject, key = named
            try:
                with at_most(PATIENCE_S):
                    return key, parse(subject, key, read_view(store, key))
            except StoreError:  # replaced since the listing, or torn: the next look has a newer one
                return key, None
            except Exception as error:  # noqa: BLE001  # one bad object, all others on the page
                self._tell(key, error)
                return key, None

        # a thousand views of a first look in parallel: one by one S3 would take half a minute
        for key, record in (
            self.pool.map(fetch, missing) if len(missing) > 1 else map(fetch, missing)
        ):
            if record is not None:
                self._views[key] = record
        return {s: self._views[item.key] for s, item in listed.items() if item.key in self._views}

    def _planned(self, store: Store, grid: Grid) -> Mapping[str, Trial]:
        """The queued trials of a grid; none where its plan cannot be read, as long as it cannot."""
        try:
            return self._plan(store, grid)
        except Unavailable:
            raise  # the store is away, and the page says so
        except Exception as error:  # noqa: BLE001  # as above
            self._tell(f"the plan of {grid.id}, {grid.key}", error)
            return _EMPTY

    def _tell(self, what: str, error: Exception) -> None:
        """One line of the log for what cannot be read: the first time, not every few seconds."""
        if what not in self._told:
            self._told.add(what)
            trace = None if isinstance(error, SegnetsError) else error  # a bug of ours, perhaps
            logger.warning("%s of %s is left out: %s", what, self.url, error, exc_info=trace)

    def _plan(self, store: Store, grid: Grid) -> Mapping[str, Trial]:
        if grid.key not in self._plans:
            for items in read_items(store, "grid", grid.id).values():
                for ref in (ref for item in items for ref in item.files if ref.name == "plan.json"):
                    content = json.loads(read_file(store, ref))
                    self._plans[grid.key] = records.queued(records.mapping(content), grid)
        return self._plans.get(grid.key, _EMPTY)

    def _silent(self, store: Store, trials: Iterable[Trial]) -> set[str]:
        """Running trials whose beat is over 60 s old by the store's clock, or stood still that long."""
        running = {trial.id for trial in trials if trial.status == "running"}
        if not running:
            return set()
        newest: dict[str, float] = {}
        for item in store.list("beat/trial/"):
            subject = item.key.removeprefix("beat/trial/").rsplit(".", 1)[0]
            newest[subject] = max(newest.get(subject, 0.0), item.modified)
        now, clock = store.now(), time.monotonic()
        for subject in running:
            beat = newest.get(subject, 0.0)
            before = self._seen_beats.get(subject)
            if before is None or before[0] != beat:
                self._seen_beats[subject] = (beat, clock)
        return {
            subject
            for subject in running
            if now - newest.get(subject, 0.0) > SILENT_AFTER_S
            or clock - self._seen_beats[subject][1] > SILENT_AFTER_S
        }

    def _read_curve(self, trial: str) -> list[dict[str, Any]]:
        with at_most(PATIENCE_S):
            head = read_head(self._store(), trial)
            for ref in head.files if head else ():
                if ref.name == "epochs.parquet":
                    return _rows(read_file(self._store(), ref))
        return []

    def _table(self, kind: str, subject: str, name: str) -> tuple[list[dict[str, Any]], Any]:
        """The rows of a bag's table and its Done; no rows where the bag is not done or has none."""
        with at_most(PATIENCE_S):
            done = read_done(self._store(), kind, subject)
            if done is None:
                return [], None
            for item in [done.item, *done.items.values()]:
                for ref in item.files:
                    if ref.name == name:
                        return _rows(read_file(self._store(), ref)), done
            return [], done

    def _read_file(self, kind: str, subject: str, name: str) -> bytes:
        with at_most(PATIENCE_S):
            ref = _named(read_done(self._store(), kind, subject), name)
            return b"" if ref is None else read_file(self._store(), ref)

    def _read_samples(self, evaluation: str) -> Samples:
        rows, done = self._table("eval", evaluation, "samples.parquet")
        return Samples(_by_sample(rows), _named(done, "layers.pack"))

    def _read_display(self, dataset: str) -> Display:
        rows, done = self._table("dataset", dataset, "display.parquet")
        return Display(_by_sample(rows), _named(done, "display.pack"))


def _rows(parquet: bytes) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", from_parquet(parquet).to_pylist())


def _by_sample(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    # (split, name): names alone are not unique across splits
    return {(str(row.get("split", "")), str(row.get("name", ""))): row for row in rows}


def _named(done: Any, name: str) -> FileRef | None:
    for item in [done.item, *done.items.values()] if done is not None else ():
        for ref in item.files:
            if ref.name == name:
                return cast("FileRef", ref)
    return None

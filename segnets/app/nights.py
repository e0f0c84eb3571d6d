"""What the app asks about predictions: the nights of a run, and the frames of one night.

No Panel inside. Lines of a bag never change, so a known night is never read again. The parts of a
night are looked up when a picture of theirs is wanted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segnets.app.read import Reader
from segnets.app.records import class_values, count, mapping, number, sequence, text
from segnets.errors import Corrupt, NotFound
from segnets.labels import NUM_CLASSES
from segnets.store.bag import Item, item_from_bytes, read_done
from segnets.store.base import Store
from segnets.store.entry import FileRef, read_file
from segnets.store.keys import log_prefix, parse_item
from segnets.store.tables import from_parquet

MOST_NIGHTS = 30
_ROW_BYTES = 900

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night as its run.json and its table tell it.

    `share`: mean share of the pixels of each class over the frames of this night (19; None: no frame);
    `confidence`: mean over the same frames.
    """

    id: str
    trial: str = ""
    why: str = ""
    dataset: str = ""
    source: str = ""
    out: str = ""
    scheduled: bool = False
    status: str = ""
    started: float | None = None
    ended: float | None = None
    frames: int = 0
    written: int = 0
    reused: int = 0
    failed: int = 0
    waiting: int = 0
    drift: tuple[str, ...] = ()
    """Why the flow has marked this night, in its words."""
    share_distance: float | None = None
    """Share of the pixels of other classes than in training (segnets/inference/drift.py)."""
    min_confidence: float | None = None
    share: tuple[float | None, ...] = (None,) * NUM_CLASSES
    confidence: float | None = None

    @property
    def frames_s(self) -> float | None:
        """Frames written a second, from the first to the last moment of the night."""
        if self.started is None or self.ended is None or self.ended <= self.started:
            return None
        return self.written / (self.ended - self.started) if self.written else None


@dataclass(frozen=True, slots=True)
class Frames:
    """The rows of a night's frames.parquet by (split, name), and where its parts keep their pictures."""

    rows: Mapping[tuple[str, str], Row]
    packs: Mapping[str, FileRef]


def read_nights(reader: Reader, run: str) -> tuple[Night, ...]:
    """The newest 30 nights of a run, the oldest first; one that is torn or incomplete is left out."""
    keys = [key for key in _list(reader, run) if _item_of(key).startswith("night-")]
    keys = sorted(keys, key=_item_of)[-MOST_NIGHTS:]
    nights = [
        reader.ask(
            ("night", key),
            lambda store, key=key: _night(store, run, key),  # type: ignore[misc]
            lambda night: 0 if night is None else 1_000,
        )
        for key in keys
    ]
    return tuple(night for night in nights if night is not None)


def read_frames(reader: Reader, run: str, night: str) -> Frames:
    """The frames of one night; empty where it has no table."""
    keys = _list(reader, run)
    line = next((k for k in keys if _item_of(k) == night), None)
    if line is None:
        return Frames({}, {})
    rows = reader.ask(
        ("night rows", line),
        lambda store: _rows(store, _line(store, run, line)),
        lambda rows: _ROW_BYTES * len(rows),
    )
    wanted = {text(row.get("part")) for row in rows}
    packs = {}
    for key in keys:
        item = _item_of(key)
        if item in wanted and item not in packs:
            pack = reader.ask(
                ("part", key),
                lambda store, key=key: _pack(store, run, key),  # type: ignore[misc]
                lambda pack: 300 if pack else 0,
            )
            if pack is not None:
                packs[item] = pack
    return Frames({(text(row.get("split")), text(row.get("name"))): row for row in rows}, packs)


def read_training_share(reader: Reader, dataset: str) -> tuple[float | None, ...]:
    """The share of each class among the labelled pixels of train; None where nothing is known."""
    return reader.ask(
        ("training share", dataset),
        lambda store: _training_share(store, dataset),
        lambda share: 0 if all(one is None for one in share) else 400,
    )


def has_mask(row: Row) -> bool:
    """Whether a frame was decided this night: not bad, not left for the next one."""
    return row.get("status") not in {"failed", "waiting"}


def mean_share(rows: Sequence[Row]) -> tuple[float | None, ...]:
    """The mean over frames of each class's share of the pixels."""
    shares = [class_values(row.get("share")) for row in rows]
    known = [share for share in shares if any(one is not None for one in share)]
    if not known:
        return (None,) * NUM_CLASSES
    return tuple(sum(share[c] or 0.0 for share in known) / len(known) for c in range(NUM_CLASSES))


def _list(reader: Reader, run: str) -> list[str]:
    def listed(store: Store) -> list[str]:
        found = store.list(log_prefix("run", run))
        return [one.key for one in found if parse_item(one.key) is not None]

    return reader.ask(("lines", run), listed, lambda _: 0)


def _item_of(key: str) -> str:
    named = parse_item(key)
    return named[0] if named else ""


def _line(store: Store, run: str, key: str) -> Item | None:
    try:
        line = item_from_bytes(store.get(key), key)
    except (Corrupt, NotFound):
        return None
    return line if (line.id, line.item) == (run, _item_of(key)) else None


def _night(store: Store, run: str, key: str) -> Night | None:
    line = _line(store, run, key)
    if line is None:
        return None
    try:
        content = mapping(json.loads(read_file(store, line.file("run.json"))))
        rows = _rows(store, line)
    except (NotFound, Corrupt, ValueError):
        return None
    written = [row for row in rows if has_mask(row)]
    drift = mapping(content.get("drift"))
    sure = [one for row in written if (one := number(row.get("confidence"))) is not None]
    return Night(
        id=line.item,
        trial=text(content.get("trial")),
        why=text(content.get("why")),
        dataset=text(content.get("dataset")),
        source=text(content.get("source")),
        out=text(content.get("out")),
        scheduled=content.get("scheduled") is True,
        status=text(content.get("status")),
        started=number(content.get("started")),
        ended=number(content.get("ended")),
        frames=count(content.get("frames")),
        written=count(content.get("written")),
        reused=count(content.get("reused")),
        failed=count(content.get("failed")),
        waiting=count(content.get("waiting")),
        drift=tuple(text(one) for one in sequence(drift.get("why"))),
        share_distance=number(drift.get("share_distance")),
        min_confidence=number(content.get("min_confidence")),
        share=mean_share(written),
        confidence=sum(sure) / len(sure) if sure else None,
    )


def _rows(store: Store, line: Item | None) -> list[dict[str, Any]]:
    if line is None:
        return []
    try:
        rows = from_parquet(read_file(store, line.file("frames.parquet"))).to_pylist()
    except NotFound:
        return []
    return list(rows)


def _pack(store: Store, run: str, key: str) -> FileRef | None:
    line = _line(store, run, key)
    files = line.files if line else ()
    return next((file for file in files if file.name == "preview.pack"), None)


def _training_share(store: Store, dataset: str) -> tuple[float | None, ...]:
    done = read_done(store, "dataset", dataset)
    try:
        content = json.loads(read_file(store, done.file("stats.json"))) if done else {}
    except (NotFound, ValueError):
        content = {}
    pixels = sequence(mapping(mapping(content).get("class_pixels")).get("train"))
    counts = [count(one) for one in pixels]
    if len(counts) != NUM_CLASSES or not sum(counts):
        return (None,) * NUM_CLASSES
    return tuple(one / sum(counts) for one in counts)

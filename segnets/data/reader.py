"""Clips from shards: one `preadv` a clip into the caller's buffer.

`preadv`, not mmap: a file cut short under a mapping kills the process with SIGBUS, a read returns fewer
bytes. A page's CRC is verified once, when its first row is read; the offsets of a shard are derived
again from its footer whenever it is opened and must equal the manifest's. Shards of a folder store are
read in place, those of object storage through the cache. The shards used last stay open, and not all:
a process may usually have 1,024 files open, a dataset any number of shards.
"""

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segnets.data.cache import TOO_MANY_FILES, ShardCache, too_many_files
from segnets.data.decode import decode_label_ids
from segnets.data.digests import cache_folder
from segnets.data.shards import Group, Page, check_page, read_layout
from segnets.errors import Corrupt, NotInStore
from segnets.labels import IGNORE_INDEX
from segnets.store.bag import Done, read_done
from segnets.store.base import Store
from segnets.store.entry import FileRef, read_file
from segnets.store.folder import explain
from segnets.store.tables import from_parquet

MANIFEST_VERSION = 1
MAX_OPEN = 128
"""Shards of a dataset that stay open: 8 GiB at once; opening one again takes 0.2 ms."""


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One sample. height and width are the original's; rows count over all shards, label_row -1: none."""

    split: str
    city: str
    seq: int
    frame: int
    name: str
    height: int
    width: int
    frame_rows: tuple[int, ...]
    label_row: int


@dataclass(slots=True)
class _Shard:
    """One shard file; `verified` are the groups whose pages were checked."""

    ref: FileRef
    groups: list[Group]
    verified: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class _File:
    """An open file. It closes when nobody holds this any more: another thread may be reading it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class _OpenFiles:
    """The files that were used last, by key, MAX_OPEN at most."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> _File | None:
        with self._lock:
            file = self._files.get(key)
            if file is not None:
                self._files.move_to_end(key)
            return file

    def put(self, key: str, file: _File) -> None:
        with self._lock:
            self._files[key] = file
            while len(self._files) > MAX_OPEN:
                self._files.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._files.clear()


class _Rows:
    """The rows of all shards of one kind, by global row number."""

    def __init__(self, row_bytes: int, shards: list[_Shard]) -> None:
        self.row_bytes = row_bytes
        self.shards = shards
        places = [
            (shard_index, group_index, group.pixels.offset + row * row_bytes)
            for shard_index, shard in enumerate(shards)
            for group_index, group in enumerate(shard.groups)
            for row in range(group.rows)
        ]
        self.places: list[tuple[int, int, int]] = places


class ClipDataset:
    """A dataset of a store, open for reading; threads may share it."""

    def __init__(self, store: Store, done: Done, dataset_id: str, cache: Path | None) -> None:
        manifest = json.loads(read_file(store, done.file("manifest.json")))
        if manifest.get("v") != MANIFEST_VERSION:
            raise Corrupt(
                f"the dataset has format {manifest.get('v')}, this program reads {MANIFEST_VERSION}",
                f"{store.url}: {dataset_id}",
                "Use the newer segnets, or make the dataset again with flows/preprocess.py.",
            )
        self.id = dataset_id
        self.height: int = manifest["height"]
        self.width: int = manifest["width"]
        self.clip_frames: int = manifest["clip_frames"]
        self.stride: int = manifest["stride"]
        self.preprocess: dict[str, Any] = manifest["config"]
        self.digest: str = manifest["digest"]
        self.stats: dict[str, Any] = json.loads(read_file(store, done.file("stats.json")))
        self.mean: list[float] = self.stats["mean"]
        self.std: list[float] = self.stats["std"]
        self.class_pixels: list[int] = self.stats["class_pixels"].get("train", [0] * 19)
        self.clips = read_records(read_file(store, done.file("clips.parquet")))
        self._store = store
        self._cache = ShardCache(cache if cache is not None else cache_folder(None))
        self._files = _OpenFiles()
        plane = self.height * self.width
        self._frames = _Rows(plane * 3, [_shard(done, one) for one in manifest["frames"]])
        self._labels = _Rows(plane, [_shard(done, one) for one in manifest["labels"]])
        shards = [*self._frames.shards, *self._labels.shards]
        if shards and store.local_path(shards[0].ref.key) is None:
            self._cache.warn_if_small(sum(one.ref.size for one in shards), f"dataset {dataset_id}")
        self._originals = [tuple(span) for one in manifest["labels"] for span in one["originals"]]

    def read(
        self,
        split: str,
        indices: Sequence[int],
        frames_out: NDArray[np.uint8] | None = None,
        labels_out: NDArray[np.uint8] | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Frames (N, T, H, W, 3) uint8 RGB and trainIds (N, H, W) uint8 of these clips of a split.

        Labels are 255 where a clip has none. Buffers that are given are filled and returned; they
        may be longer than N. Raises Corrupt where a shard is damaged.
        """
        num = len(indices)
        size = (self.height, self.width)
        if frames_out is None:
            frames_out = np.empty((num, self.clip_frames, *size, 3), dtype=np.uint8)
        if labels_out is None:
            labels_out = np.empty((num, *size), dtype=np.uint8)
        assert frames_out.shape[1:] == (self.clip_frames, *size, 3)
        assert frames_out.flags.c_contiguous
        assert labels_out.flags.c_contiguous
        records = self.clips[split]
        for position, index in enumerate(indices):
            record = records[index]
            self._read_rows(self._frames, record.frame_rows, frames_out[position])
            if record.label_row < 0:
                labels_out[position] = IGNORE_INDEX
            else:
                self._read_rows(self._labels, (record.label_row,), labels_out[position])
        return frames_out[:num], labels_out[:num]

    def original_label_ids(self, split: str, index: int) -> NDArray[np.uint8]:
        """LabelIds (H, W) uint8 at original size, from the untouched PNG; all 0 without a label."""
        record = self.clips[split][index]
        if record.label_row < 0:
            return np.zeros((record.height, record.width), dtype=np.uint8)
        shard_index, group_index, _ = self._labels.places[record.label_row]
        shard = self._labels.shards[shard_index]
        file = self._file(self._labels, shard, group_index)
        offset, size = self._originals[record.label_row]
        data = self._bytes(shard, file, offset, size)
        return decode_label_ids(data, f"{self.id}: {record.name}")

    def close(self) -> None:
        """Close the files; a later read opens them again."""
        self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read_rows(self, rows: _Rows, wanted: Sequence[int], out: NDArray[np.uint8]) -> None:
        """Fill `out` with the rows, one read for each run of neighbours in a file."""
        target = out.reshape(-1).data
        size = rows.row_bytes
        start = 0
        while start < len(wanted):
            shard_index, group_index, offset = rows.places[wanted[start]]
            shard = rows.shards[shard_index]
            file = self._file(rows, shard, group_index)
            end = start + 1
            while end < len(wanted):
                next_shard, next_group, next_offset = rows.places[wanted[end]]
                # between two groups lies a page header: neighbours in one group only
                if (next_shard, next_group) != (shard_index, group_index):
                    break
                if next_offset != offset + (end - start) * size:
                    break
                end += 1
            self._fill(shard, file, target[start * size : end * size], offset)
            start = end

    def _fill(self, shard: _Shard, file: _File, target: memoryview, offset: int) -> None:
        """Read exactly len(target) bytes; a short file is Corrupt, never stale memory."""
        while len(target):
            try:
                got = os.preadv(file.fd, [target], offset)
            except OSError as error:  # a disk that is ill
                raise explain(error, Path(f"{shard.ref.name} of {self.id}")) from None
            if got == 0:
                raise Corrupt(
                    f"{shard.ref.name} is shorter than it was",
                    f"{self._store.url}: {self.id}",
                    "Make the dataset again with flows/preprocess.py.",
                )
            target, offset = target[got:], offset + got

    def _bytes(self, shard: _Shard, file: _File, offset: int, size: int) -> bytes:
        data = bytearray(size)
        self._fill(shard, file, memoryview(data), offset)
        return bytes(data)

    def _file(self, rows: _Rows, shard: _Shard, group_index: int) -> _File:
        """The shard, open, with the pages of this group checked: each once."""
        file = self._files.get(shard.ref.key)
        if file is not None and group_index in shard.verified:
            return file
        with shard.lock:
            file = self._files.get(shard.ref.key)
            if file is None:
                file = self._open(rows, shard)
                self._files.put(shard.ref.key, file)
            if group_index not in shard.verified:
                where = f"{shard.ref.name} of {self.id} in {self._store.url}"
                group = shard.groups[group_index]
                for page in (group.pixels, group.originals):
                    if page is not None:
                        check_page(self._bytes(shard, file, page.offset, page.size), page, where)
                shard.verified.add(group_index)
            return file

    def _open(self, rows: _Rows, shard: _Shard) -> _File:
        """Open a shard and check its offsets against the manifest's."""
        path = self._store.local_path(shard.ref.key)
        where = f"{shard.ref.name} of {self.id} in {self._store.url}"
        if path is None:
            file = _File(self._cache.open(self._store, shard.ref))
        else:
            try:
                file = _File(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                if error.errno in TOO_MANY_FILES:
                    raise too_many_files(error, where) from None
                raise explain(error, path) from None
        try:
            size = os.fstat(file.fd).st_size
            layout = read_layout(
                lambda offset, length: os.pread(file.fd, length, max(offset, 0)),
                size,
                rows.row_bytes,
                where,
            )
        except OSError as error:
            raise explain(error, path or Path(where)) from None
        if size != shard.ref.size or layout != shard.groups:
            raise Corrupt(
                "a shard is not the one of the manifest",
                where,
                "Make the dataset again with flows/preprocess.py.",
            )
        return file


def open_dataset(store: Store, dataset_id: str, cache: Path | None = None) -> ClipDataset:
    """The dataset of this id; NotInStore if the store has none that is finished."""
    done = read_done(store, "dataset", dataset_id)
    if done is None:
        raise NotInStore(
            f"there is no finished dataset {dataset_id}",
            store.url,
            "Make it with flows/preprocess.py, or list what is there with "
            "python -m segnets.store ls.",
        )
    return ClipDataset(store, done, dataset_id, cache)


def read_records(data: bytes) -> dict[str, tuple[ClipRecord, ...]]:
    """The clips of clips.parquet by split: train, val and test, each maybe empty."""
    clips: dict[str, list[ClipRecord]] = {"train": [], "val": [], "test": []}
    names = list(ClipRecord.__dataclass_fields__)
    for row in from_parquet(data).select(names).to_pylist():
        row["frame_rows"] = tuple(row["frame_rows"])
        clips[row["split"]].append(ClipRecord(**row))
    return {split: tuple(records) for split, records in clips.items()}


def groups_to_json(groups: Sequence[Group]) -> list[list[int]]:
    """Groups as the manifest holds them: rows, then offset, size, crc of each page."""
    return [
        [group.rows]
        + [
            number
            for page in (group.pixels, group.originals)
            if page is not None
            for number in (page.offset, page.size, page.crc)
        ]
        for group in groups
    ]


def _shard(done: Done, content: dict[str, Any]) -> _Shard:
    """A shard of the manifest."""
    groups = [
        Group(rows, Page(*numbers[:3]), Page(*numbers[3:]) if len(numbers) > 3 else None)
        for rows, *numbers in content["groups"]
    ]
    return _Shard(done.file(content["name"]), groups)

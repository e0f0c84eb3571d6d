"""Clips to shards in a store: checked first, restartable, the same bytes every time.

A dataset is a bag: items `clips`, `frames-NNNNN`, `labels-NNNNN`, `tables`, then done. Which row goes
where follows from the sorted index alone, so thread count and order of completion change nothing. A run
that was killed takes the finished shards of the run before (an item says which files went into it).
The id comes from the config and the content of the source files; the content is known from the digest
cache where the files did not change, so a second preprocess reads no picture.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from segnets.config.ids import dataset_id, dataset_sha256, digest, inside
from segnets.config.preprocess import PreprocessConfig
from segnets.data.cityscapes import SPLITS, Index, Problem, index_clips
from segnets.data.decode import PngFault, decode_label_ids, decode_rgb
from segnets.data.digests import DigestCache, cache_folder
from segnets.data.plan import CLIPS_VERSION, Plan, Row, clips_table, make_plan
from segnets.data.resize import RESIZE_KERNEL, resize_frame, resize_labels
from segnets.data.shards import VERSION as SHARD_VERSION
from segnets.data.shards import check_page, read_bytes, read_layout, rows_per_shard, write_shard
from segnets.data.summary import put_tables
from segnets.data.validate import (
    REPORT_VERSION,
    count_kinds,
    describe,
    find_problems,
    in_order,
    look_at_all,
    report_table,
    single_torch_thread,
    whole_clips,
    write_report,
)
from segnets.errors import DatasetError
from segnets.labels import TRAIN_ID_OF
from segnets.signals import StopRequest, catch_stop
from segnets.store.bag import Bag, Item
from segnets.store.base import Source, Store
from segnets.store.retry import hurry_all
from segnets.store.tables import to_parquet
from segnets.store.views import list_views

log = logging.getLogger("segnets.data")


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What a preprocess made, found or (check only) would make; `bytes` of all its files."""

    dataset: str
    clips: dict[str, int]
    frames: int
    skipped: int
    problems: dict[str, int]
    reused: bool
    bytes: int


def make_dataset(
    source: Source,
    config: PreprocessConfig,
    store: Store | None,
    *,
    name: str,
    sources_salt: str | None = None,
) -> DatasetSummary:
    """Make the dataset of these files, or find it made; `store` None only checks the files.

    `name` stands at the head of the id. `sources_salt` takes the place of the digest of the files'
    content, for files that a program draws (its version). Raises DatasetError where data is wrong and
    config.on_problem is fail, Stopped on a signal (finished shards stay), StoreError.
    """
    places = [source.patience] if store is None else [source.patience, store.patience]
    with catch_stop(hurry_all(*places)) as stop:
        if store is not None and sources_salt is not None:
            # drawn files are known by their recipe: if it is made, they need not even be there
            bag = _open_bag(store, config, name, digest(sources_salt))
            if (done := bag.done()) is not None:
                return _reuse(bag, done, store)
        for deep in (config.check_only, True):
            try:
                return _make(source, config, store, name, sources_salt, stop, deep=deep)
            except PngFault as fault:
                if deep:
                    raise
                # damage under a right checksum, seen by the decoder only: now decode all of them,
                # so that every such file is reported at once
                log.info("%s; looking into every picture", fault)
        raise AssertionError("unreachable")


def _make(
    source: Source,
    config: PreprocessConfig,
    store: Store | None,
    name: str,
    sources_salt: str | None,
    stop: StopRequest,
    *,
    deep: bool,
) -> DatasetSummary:
    index = index_clips(
        source,
        clip_frames=config.clip_frames,
        stride=config.stride,
        on_missing=config.on_missing,
    )
    folder = cache_folder(config.cache)
    workers = config.workers or len(os.sched_getaffinity(0))
    cache = DigestCache(folder, source, forget=config.rehash)
    looked = look_at_all(source, index, cache, workers=workers, stop=stop, deep=deep)
    sources = digest(
        sorted([key, found.sha256] for key, found in looked.items())
        if sources_salt is None
        else sources_salt
    )
    subject = dataset_id(config, name, sources)
    problems = find_problems(index, looked)
    report = to_parquet(report_table(index, looked, problems), REPORT_VERSION)
    if problems:
        path = write_report(report, folder, subject)
        if config.on_problem == "fail":
            raise describe(problems, index, path)
        log.warning("%s", describe(problems, index, path).what)
    plan = make_plan(whole_clips(index.clips, problems), looked)
    if not plan.clips:
        raise _no_clips(index, config, problems)
    metrics: dict[str, Any] = {
        "clips": {split: sum(one.split == split for one in plan.clips) for split in SPLITS},
        "frames": len(plan.frames),
        "skipped": len(index.short) + _left_out(index, plan),
        "problems": count_kinds(problems),
        "name": name,
        "source": source.url,
        "height": config.height,
        "width": config.width,
        "clip_frames": config.clip_frames,
    }
    if store is None:
        log.info("looked at all files, wrote nothing")
        return _summary(subject, {**metrics, "bytes": 0}, reused=False)
    bag = _open_bag(store, config, name, sources)
    if (done := bag.done()) is not None:
        return _reuse(bag, done, store)
    log.info("making dataset %s: %d clips, %d frames", subject, len(plan.clips), len(plan.frames))
    with single_torch_thread():
        items = _put_shards(bag, source, plan, config, workers, stop)
    head = _manifest_head(config)
    items["tables"], more = put_tables(
        bag, items, plan.clips, head, report, workers=workers, stop=stop
    )
    metrics.update(more)
    done = bag.put_done(items, metrics)
    bag.put_view(_view(bag, done))
    log.info("dataset %s is complete", subject)
    return _summary(subject, metrics, reused=False)


def _put_shards(
    bag: Bag,
    source: Source,
    plan: Plan,
    config: PreprocessConfig,
    workers: int,
    stop: StopRequest,
) -> dict[str, Item]:
    """Every item but the tables; those that a run before has finished are taken over."""
    there = bag.items()
    clips = to_parquet(clips_table(plan), CLIPS_VERSION)
    made_of = hashlib.sha256(clips).hexdigest()
    items: dict[str, Item] = {}
    if (found := _take(there, "clips", made_of)) is None:
        found = bag.put_item("clips", [bag.put_file("clips.parquet", clips)], {"plan": made_of})
    items["clips"] = found
    plane = config.height * config.width
    for role, rows, row_bytes in (
        ("frames", plan.frames, plane * 3),
        ("labels", plan.labels, plane),
    ):
        per_shard = rows_per_shard(row_bytes)
        for number, first in enumerate(range(0, len(rows), per_shard)):
            item = f"{role}-{number:05d}"
            chosen = rows[first : first + per_shard]
            made_of = digest(
                [SHARD_VERSION, RESIZE_KERNEL, config.height, config.width, role]
                + [one.sha256 for one in chosen]
            )
            if (found := _take(there, item, made_of)) is not None:
                log.info("%s is there already", item)
                items[item] = found
                continue
            data = _make_shard(source, role, chosen, config, workers, stop)
            files = [bag.put_file(f"{item}.parquet", data)]
            items[item] = bag.put_item(item, files, {"plan": made_of, "rows": len(chosen)})
            log.info("%s: %d to %d of %d", item, first + 1, first + len(chosen), len(rows))
    return items


def _take(there: dict[str, list[Item]], item: str, made_of: str) -> Item | None:
    """An item that is there and was made of exactly these files."""
    for one in there.get(item, []):
        if one.metrics.get("plan") == made_of:
            return one
    return None


def _make_shard(
    source: Source,
    role: str,
    rows: Sequence[Row],
    config: PreprocessConfig,
    workers: int,
    stop: StopRequest,
) -> bytes:
    """The bytes of one shard, read back and checked."""
    size = (config.height, config.width)
    row_bytes = size[0] * size[1] * (3 if role == "frames" else 1)
    pixels = np.empty((len(rows), row_bytes), dtype=np.uint8)
    originals: list[bytes] | None = [b""] * len(rows) if role == "labels" else None
    train_id_of = np.frombuffer(TRAIN_ID_OF, dtype=np.uint8)

    def fill(number: int) -> None:
        row = rows[number]
        data = source.get(row.key)
        if hashlib.sha256(data).hexdigest() != row.sha256:
            raise DatasetError(
                "a file changed while it was read", f"{source.url}: {row.key}", "Run it again."
            )
        # same bytes as when it was looked at, so its checksums need no second look
        if originals is None:
            frame = resize_frame(decode_rgb(data, row.key, checked=True), *size)
            pixels[number] = frame.reshape(-1)
        else:
            label_ids = decode_label_ids(data, row.key, checked=True)
            pixels[number] = train_id_of[resize_labels(label_ids, *size)].reshape(-1)
            originals[number] = data

    for _ in in_order(fill, range(len(rows)), workers, stop, "%d of %d pictures of this shard"):
        pass
    data = write_shard(pixels, originals)
    first = 0
    for group in read_layout(read_bytes(data), len(data), row_bytes, "a new shard"):
        span = data[group.pixels.offset : group.pixels.offset + group.pixels.size]
        check_page(span, group.pixels, "a new shard")
        assert span == pixels[first : first + group.rows].tobytes()
        first += group.rows
    assert first == len(rows)
    return data


def _manifest_head(config: PreprocessConfig) -> dict[str, Any]:
    """What the manifest says of the config; where the files lay is no part of it."""
    settings = inside(config)
    settings.pop("name")
    if settings["data"] != "synthetic":
        settings["data"] = "files"
    return {
        "height": config.height,
        "width": config.width,
        "clip_frames": config.clip_frames,
        "stride": config.stride,
        "resize": RESIZE_KERNEL,
        "config": settings,
    }


def _open_bag(store: Store, config: PreprocessConfig, name: str, sources: str) -> Bag:
    env = {name: version(name) for name in ("pyarrow", "torch")}
    subject, sha256 = dataset_id(config, name, sources), dataset_sha256(config, sources)
    return Bag(store, "dataset", subject, sha256, env)


def _left_out(index: Index, plan: Plan) -> int:
    """Clips that were left out because a file of theirs has a problem."""
    missing = sum(one.kind in ("missing_label", "missing_frame") for one in index.problems)
    return missing + len(index.clips) - len(plan.clips)


def _no_clips(index: Index, config: PreprocessConfig, problems: Sequence[Problem]) -> DatasetError:
    if problems:
        return DatasetError(
            "every clip has a problem", index.url, "Repair the files; --check-only lists them."
        )
    return DatasetError(
        f"none of {len(index.short)} labelled frames has {config.clip_frames - 1} earlier frames "
        f"at a stride of {config.stride}",
        index.url,
        "Add leftImg8bit_sequence, or pass --on-missing repeat or --clip-frames 1.",
    )


def _reuse(bag: Bag, done: Item, store: Store) -> DatasetSummary:
    """The summary of a dataset that is there; its view is put if it was lost."""
    log.info("dataset %s is there already: reused", bag.id)
    if bag.id not in list_views(store, "dataset"):
        bag.put_view(_view(bag, done))
    return _summary(bag.id, dict(done.metrics), reused=True)


def _summary(subject: str, metrics: dict[str, Any], *, reused: bool) -> DatasetSummary:
    return DatasetSummary(
        dataset=subject,
        clips={split: int(metrics["clips"][split]) for split in SPLITS},
        frames=int(metrics["frames"]),
        skipped=int(metrics["skipped"]),
        problems=dict(metrics["problems"]),
        reused=reused,
        bytes=int(metrics["bytes"]),
    )


def _view(bag: Bag, done: Item) -> dict[str, Any]:
    """The summary for the app."""
    names = (
        "name",
        "height",
        "width",
        "clip_frames",
        "clips",
        "frames",
        "skipped",
        "problems",
        "classes_present",
        "prior_miou",
    )
    view = {name: done.metrics.get(name) for name in names}
    return {"v": 1, "kind": "dataset", "id": bag.id, **view, "time": done.time}

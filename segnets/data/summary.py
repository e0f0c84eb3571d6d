"""The last item of a dataset, made from its shards: manifest, statistics, report, the app's pictures.

Everything here is computed from the shards as they lie in the store, so a run that took over finished
shards of a killed one gives the same tables.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.config.ids import canonical_json, digest
from segnets.data.cityscapes import SPLITS
from segnets.data.display import VERSION as DISPLAY_VERSION
from segnets.data.display import Pack, display_table, frame_webp, truth_png
from segnets.data.reader import MANIFEST_VERSION, ClipRecord, groups_to_json
from segnets.data.shards import VERSION as SHARD_VERSION
from segnets.data.shards import Group, content_digest, original_spans, read_bytes, read_layout
from segnets.data.stats import Baseline, Totals, frame_sums, stats_json
from segnets.data.validate import in_order
from segnets.labels import CLASS_NAMES
from segnets.signals import StopRequest
from segnets.store.bag import Bag, Item
from segnets.store.tables import to_parquet


def put_tables(
    bag: Bag,
    items: Mapping[str, Item],
    clips: Sequence[ClipRecord],
    head: Mapping[str, Any],
    report: bytes,
    *,
    workers: int,
    stop: StopRequest,
) -> tuple[Item, dict[str, Any]]:
    """Put the item `tables`; also what the done and the view say beyond the plan.

    Files: manifest.json, stats.json, report.parquet, display.parquet, display.pack.
    """
    height, width = int(head["height"]), int(head["width"])
    totals, pack = Totals(height, width), Pack()
    shards: dict[str, list[dict[str, Any]]] = {"frames": [], "labels": []}
    split_of_frame = {row: clip.split for clip in clips for row in clip.frame_rows}
    split_of_label = {clip.label_row: clip.split for clip in clips}

    frame_spans: list[tuple[int, int]] = []
    for name, data, groups, pixels in _read_shards(bag, items, "frames", height * width * 3):
        shards["frames"].append(_in_manifest(name, data, groups, pixels))
        frames = pixels.reshape(-1, height, width, 3)
        pictures = "%d of %d pictures for the app"
        for _, (sums, webp) in in_order(_sums_and_webp, list(frames), workers, stop, pictures):
            totals.add_frame(split_of_frame[len(frame_spans)], *sums)
            frame_spans.append(pack.add(webp))

    truth_spans: list[tuple[int, int]] = []
    baselines: tuple[Baseline, Baseline] | None = None
    for name, data, groups, pixels in _read_shards(bag, items, "labels", height * width):
        shards["labels"].append(_in_manifest(name, data, groups, pixels))
        for train_ids in pixels:
            split = split_of_label[len(truth_spans)]
            totals.add_label(split, train_ids)
            truth_spans.append(pack.add(truth_png(train_ids.reshape(height, width))))
            if split == "val":  # rows are sorted by split: all of train lies before val
                baselines = baselines or _baselines(totals)
                for baseline in baselines:
                    baseline.add(train_ids)
            stop.raise_if_requested()

    num_clips = {split: sum(one.split == split for one in clips) for split in SPLITS}
    stats = stats_json(totals, num_clips, *(baselines or _baselines(totals)))
    manifest = {
        "v": MANIFEST_VERSION,
        "kind": "segnets-dataset",
        **head,
        **shards,
        "num_frames": len(frame_spans),
        "num_labels": len(truth_spans),
        "classes": list(CLASS_NAMES),
        "digest": digest(
            [
                SHARD_VERSION,
                [one["content"] for role in ("frames", "labels") for one in shards[role]],
                [asdict(one) for one in clips],
            ]
        ),
    }
    display = display_table(clips, frame_spans, truth_spans)
    files = [
        bag.put_file("manifest.json", canonical_json(manifest)),
        bag.put_file("stats.json", canonical_json(stats)),
        bag.put_file("report.parquet", report),
        bag.put_file("display.parquet", to_parquet(display, DISPLAY_VERSION)),
        bag.put_file("display.pack", pack.to_bytes()),
    ]
    item = bag.put_item("tables", files)
    everything = [*files, *(file for one in items.values() for file in one.files)]
    return item, {
        "bytes": sum(file.size for file in everything),
        "classes_present": stats["classes_present"],
        "prior_miou": stats["prior_miou"],
        "constant_miou": stats["constant_miou"],
        "digest": manifest["digest"],
    }


def _baselines(totals: Totals) -> tuple[Baseline, Baseline]:
    """The prior at each pixel, and the most frequent class everywhere."""
    prior = totals.prior()
    return Baseline(prior), Baseline(np.full_like(prior, totals.usual_class()))


def _sums_and_webp(frame: NDArray[np.uint8]) -> tuple[tuple[list[int], list[int]], bytes]:
    return frame_sums(frame), frame_webp(frame)


def _read_shards(
    bag: Bag, items: Mapping[str, Item], role: str, row_bytes: int
) -> Iterator[tuple[str, bytes, list[Group], NDArray[np.uint8]]]:
    """(file name, bytes, groups, pixels (rows, row_bytes)) of every shard of a role, in order."""
    for name in sorted(item for item in items if item.startswith(f"{role}-")):
        file = items[name].file(f"{name}.parquet")
        data = bag.get_file(file)
        groups = read_layout(read_bytes(data), len(data), row_bytes, file.key)
        blocks = [
            np.frombuffer(data, np.uint8, group.pixels.size, group.pixels.offset)
            for group in groups
        ]
        yield file.name, data, groups, np.concatenate(blocks).reshape(-1, row_bytes)


def _in_manifest(
    name: str, data: bytes, groups: list[Group], pixels: NDArray[np.uint8]
) -> dict[str, Any]:
    """A shard as the manifest describes it."""
    spans: list[tuple[int, int]] = []
    for group in groups:
        if (page := group.originals) is not None:
            spans += original_spans(data[page.offset : page.offset + page.size], page)
    originals = [data[offset : offset + size] for offset, size in spans] or None
    return {
        "name": name,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "content": content_digest(pixels, originals),
        "rows": len(pixels),
        "groups": groups_to_json(groups),
        "originals": spans,
    }

"""What a night of predictions leaves in the store: parts, and a line for the night itself.

The job is the subject of a bag of kind run, the same every night. Item by item:
- `part-NNNNNN-8hex`: frames whose masks are written. frames.parquet has a row a frame, preview.pack the
  ids (grey PNG of trainIds, 255: none) and the frame (WebP) at network size; `frames` in its metrics
  names what is done. Frames done = the union of all parts whose blobs are there.
- `night-YYYYMMDDtHHMMSSz`: run.json (model, source, counts, parts), and frames.parquet over all parts
  of this night with the frames that failed.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.data.cityscapes import FrameJob
from segnets.inference.masks import to_frame_webp, to_grey_png
from segnets.labels import NUM_CLASSES
from segnets.store.bag import Bag, Item
from segnets.store.tables import to_parquet

RUN_VERSION = 1

KEYS = ("color", "label_ids", "overlay")
"""Columns that hold the places of a frame's three files."""


def frame_key(job: FrameJob) -> str:
    """SPLIT/NAME, or NAME where there are no splits: what a job counts as done."""
    return f"{job.split}/{job.name}" if job.split else job.name


def done_frames(items: Mapping[str, Sequence[Item]]) -> set[str]:
    """The frames whose masks some part has recorded."""
    return {
        str(name)
        for item, lines in items.items()
        if item.startswith("part-")
        for line in lines
        for name in line.metrics.get("frames", ())
    }


@dataclass(slots=True)
class Part:
    """Frames of one item in the making."""

    number: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    _pack: bytearray = field(default_factory=bytearray)

    def add(
        self,
        job: FrameJob,
        *,
        train_ids: NDArray[np.uint8],
        small_ids: NDArray[np.uint8],
        small_frame: NDArray[np.uint8],
        confidence: float,
        seconds: float,
        places: Mapping[str, str],
        is_new: bool,
    ) -> None:
        """Add a frame whose files are written; ids (Ho, Wo), and ids and frame at network size."""
        prediction, frame = to_grey_png(small_ids), to_frame_webp(small_frame)
        offset = len(self._pack)
        self._pack += prediction + frame
        share = np.bincount(train_ids.reshape(-1), minlength=256)[:NUM_CLASSES] / train_ids.size
        self.names.append(frame_key(job))
        self.rows.append(
            _row(job)
            | {
                "status": "written" if is_new else "unchanged",
                "seconds": seconds,
                "share": share.tolist(),
                "confidence": confidence,
                **{column: places[column] for column in KEYS},
                "pred_offset": offset,
                "pred_size": len(prediction),
                "frame_offset": offset + len(prediction),
                "frame_size": len(frame),
            }
        )

    @property
    def item(self) -> str:
        """part-NNNNNN-8hex; the digits of its frames' names tell apart parts of other nights."""
        names = hashlib.sha256("\n".join(self.names).encode()).hexdigest()
        return f"part-{self.number:06d}-{names[:8]}"

    def put(self, bag: Bag) -> list[dict[str, Any]]:
        """Put blobs and item; the rows, with the item's name in them."""
        rows = [row | {"part": self.item} for row in self.rows]
        files = [
            bag.put_file("frames.parquet", to_parquet(frames_table(rows), RUN_VERSION)),
            bag.put_file("preview.pack", bytes(self._pack)),
        ]
        bag.put_item(self.item, files, {"frames": self.names})
        return rows


def failed_row(job: FrameJob, sentence: str) -> dict[str, Any]:
    """The row of a frame that could not be predicted."""
    return _row(job) | {"status": "failed", "error": sentence}


def night_name(started: float) -> str:
    """night-YYYYMMDDtHHMMSSz in UTC; ids hold no capital letters."""
    return time.strftime("night-%Y%m%dt%H%M%Sz", time.gmtime(started))


def put_night(bag: Bag, night: str, content: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    """Put run.json and the table of the whole night."""
    files = [
        bag.put_file("run.json", json.dumps(dict(content), sort_keys=True).encode()),
        bag.put_file("frames.parquet", to_parquet(frames_table(rows), RUN_VERSION)),
    ]
    counts = {name: content[name] for name in ("frames", "written", "reused", "failed")}
    bag.put_item(night, files, {**counts, "status": content["status"]})


def frames_table(rows: list[dict[str, Any]]) -> Any:
    """Rows as a pyarrow table; what a failed frame has not is null."""
    import pyarrow as pa

    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("split", "name", "city")),
            *((name, pa.int32()) for name in ("seq", "frame")),
            *((name, pa.string()) for name in ("status", "error")),
            ("seconds", pa.float64()),
            ("share", pa.list_(pa.float64())),
            ("confidence", pa.float64()),
            *((name, pa.string()) for name in (*KEYS, "part")),
            *(
                (name, pa.int64())
                for name in ("pred_offset", "pred_size", "frame_offset", "frame_size")
            ),
        ]
    )
    return pa.Table.from_pylist(rows, schema)


def _row(job: FrameJob) -> dict[str, Any]:
    return {
        "split": job.split,
        "name": job.name,
        "city": job.city,
        "seq": job.seq,
        "frame": job.frame,
    }

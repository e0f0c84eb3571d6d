"""What a night of predictions leaves in the store: parts, and a line for the night itself.

The job is the subject of a bag of kind run, the same every night. Item by item:
- `part-NNNNNN-8hex`: frames whose masks are written. frames.parquet has a row a frame, preview.pack the
  ids (grey PNG of trainIds, 255: none) and the frame (WebP) at network size. Its metrics name what is
  done: `frames`, and beside each the digest of its `inputs` and of its `masks` (ledger.py).
- `night-YYYYMMDDtHHMMSSz-4hex`: run.json (model, source, counts, parts, drift), frames.parquet over all parts
  of this night with the frames that failed or still wait, and seen.parquet, the files known by now.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.data.cityscapes import FrameJob
from segnets.data.decode import PngFault
from segnets.errors import DatasetError
from segnets.inference.ledger import SEEN_FILE
from segnets.inference.masks import to_frame_webp, to_grey_png
from segnets.labels import NUM_CLASSES
from segnets.store.bag import Bag, Item
from segnets.store.tables import to_parquet

RUN_VERSION = 2

FOLDERS = {
    "color": "color",
    "label_ids": "labelIds",
    "overlay": "overlay",
    "confidence_map": "confidence",
}
"""Column of the table that holds the place of a file -> its folder under --out, and its name's end."""
USUAL = ("color", "label_ids", "overlay")
"""The files that are written unless something else is asked for."""


def frame_key(job: FrameJob) -> str:
    """SPLIT/NAME, or NAME where there are no splits: what a job counts as done."""
    return f"{job.split}/{job.name}" if job.split else job.name


def places_of(job: FrameJob, columns: Sequence[str]) -> dict[str, str]:
    """Column -> key under the sink, of the files that a frame gets."""
    level = f"{job.split}/" if job.split else ""
    return {
        column: f"{folder}/{level}{job.city}/{job.name}_{folder}.png"
        for column, folder in FOLDERS.items()
        if column in columns
    }


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
    masks: list[str] = field(default_factory=list)
    _pack: bytearray = field(default_factory=bytearray)

    def add(
        self,
        job: FrameJob,
        *,
        train_ids: NDArray[np.uint8],
        small_ids: NDArray[np.uint8],
        small_frame: NDArray[np.uint8],
        confidence: float,
        flicker: float | None,
        seconds: float,
        places: Mapping[str, str],
        inputs: str,
        masks: str,
        is_new: bool,
    ) -> None:
        """Add a frame whose files are written; ids (Ho, Wo), and ids and frame at network size.

        `inputs` and `masks` are digests of what went in and of what came out.
        """
        prediction, frame = to_grey_png(small_ids), to_frame_webp(small_frame)
        offset = len(self._pack)
        self._pack += prediction + frame
        share = np.bincount(train_ids.reshape(-1), minlength=256)[:NUM_CLASSES] / train_ids.size
        self.names.append(frame_key(job))
        self.masks.append(masks)
        self.rows.append(
            _row(job)
            | {
                "status": "written" if is_new else "unchanged",
                "seconds": seconds,
                "share": share.tolist(),
                "confidence": confidence,
                "flicker": flicker,
                "inputs": inputs,
                **places,
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
        inputs = [row["inputs"] for row in rows]
        metrics = {"frames": self.names, "inputs": inputs, "masks": self.masks}
        bag.put_item(self.item, files, metrics)
        return rows


def row_without_mask(job: FrameJob, status: str, sentence: str) -> dict[str, Any]:
    """The row of a frame that is bad (status failed) or not ready (waiting), with the reason."""
    return _row(job) | {"status": status, "error": sentence}


def reason_of(fault: DatasetError) -> str:
    """What is wrong with a frame and where, without the next step that training's users are told."""
    what = fault.detail if isinstance(fault, PngFault) else fault.what
    return f"{what}: {fault.where}"


def night_name(started: float) -> str:
    """night-YYYYMMDDtHHMMSSz-4hex in UTC; two that one schedule starts in one second differ."""
    second = time.strftime("%Y%m%dt%H%M%Sz", time.gmtime(started))  # ids hold no capital letters
    return f"night-{second}-{os.urandom(2).hex()}"


def put_night(
    bag: Bag, night: str, content: Mapping[str, Any], rows: list[dict[str, Any]], seen: bytes
) -> None:
    """Put run.json, the table of the whole night, and the files known by now."""
    files = [
        bag.put_file(SEEN_FILE, seen),
        bag.put_file("run.json", json.dumps(dict(content), sort_keys=True).encode()),
        bag.put_file("frames.parquet", to_parquet(frames_table(rows), RUN_VERSION)),
    ]
    counts = {name: content[name] for name in ("frames", "written", "reused", "failed", "waiting")}
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
            ("flicker", pa.float64()),
            *((name, pa.string()) for name in ("inputs", *FOLDERS, "part")),
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

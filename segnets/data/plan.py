"""Which rows the shards of a dataset have, in which order, and which clips show them.

Everything follows from the sorted index, so any number of threads and workers agree on it. A frame that
several clips show is one row: CamVid's 352 training clips use 367 frames, so a row a clip would be 3.8
times as much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segnets.data.cityscapes import ClipFiles, FrameId
from segnets.data.reader import ClipRecord
from segnets.data.validate import Looked

CLIPS_VERSION = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a shard: where it comes from."""

    split: str
    name: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rows the shards have, in order, and the clips that show them."""

    frames: tuple[Row, ...]
    labels: tuple[Row, ...]
    clips: tuple[ClipRecord, ...]
    files: tuple[ClipFiles, ...]


def make_plan(clips: Sequence[ClipFiles], looked: Mapping[str, Looked]) -> Plan:
    """Rows and clips, from clips in the order of (split, city, seq, frame); each frame once."""
    keys: dict[FrameId, str] = {}
    for clip in clips:
        keys.update(zip(clip.frame_ids, clip.frame_keys, strict=True))
    frame_ids = sorted(keys)
    row_of = {frame: row for row, frame in enumerate(frame_ids)}
    labels: list[Row] = []
    records: list[ClipRecord] = []
    for clip in clips:
        last = looked[clip.frame_keys[-1]]
        label_row = -1
        if clip.label_key is not None:
            label_row = len(labels)
            sha256 = looked[clip.label_key].sha256
            labels.append(Row(clip.split, clip.name, clip.label_key, sha256))
        records.append(
            ClipRecord(
                split=clip.split,
                city=clip.city,
                seq=clip.seq,
                frame=clip.frame,
                name=clip.name,
                height=last.height,
                width=last.width,
                frame_rows=tuple(row_of[frame] for frame in clip.frame_ids),
                label_row=label_row,
            )
        )
    frames = [
        Row(frame.split, frame.name, keys[frame], looked[keys[frame]].sha256) for frame in frame_ids
    ]
    return Plan(tuple(frames), tuple(labels), tuple(records), tuple(clips))


def clips_table(plan: Plan) -> Any:
    """clips.parquet: the fields of ClipRecord, and which files a clip was made of."""
    import pyarrow as pa

    records, files = plan.clips, plan.files
    integers = pa.int32()
    return pa.table(
        {
            "split": [one.split for one in records],
            "city": [one.city for one in records],
            "seq": pa.array([one.seq for one in records], integers),
            "frame": pa.array([one.frame for one in records], integers),
            "name": [one.name for one in records],
            "height": pa.array([one.height for one in records], integers),
            "width": pa.array([one.width for one in records], integers),
            "frame_rows": pa.array([list(one.frame_rows) for one in records], pa.list_(integers)),
            "label_row": pa.array([one.label_row for one in records], integers),
            "frame_keys": pa.array([list(one.frame_keys) for one in files], pa.list_(pa.string())),
            "label_key": pa.array([one.label_key for one in files], pa.string()),
        }
    )

"""What the app shows of a dataset: each frame as WebP, each truth as a grey PNG, all in one pack.

`display.parquet`, one row a clip: split, name, city, seq, frame, height, width (original),
frame_offsets list<int64>, frame_sizes list<int64> (oldest first), truth_offset, truth_size (-1 and 0
without a label). They point into `display.pack`: frames at network size (WebP quality 85), and trainIds
(grey PNG, 255 = ignored). A frame that several clips show lies in the pack once.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from segnets.data.reader import ClipRecord

VERSION = 1
WEBP_QUALITY = 85


def frame_webp(rgb: NDArray[np.uint8]) -> bytes:
    """A frame (H, W, 3) uint8 as WebP."""
    from PIL import Image

    out = io.BytesIO()
    # method 2: a third of the time of the default 4, for 3 % more bytes
    Image.fromarray(rgb).save(out, "WEBP", quality=WEBP_QUALITY, method=2)
    return out.getvalue()


def truth_png(train_ids: NDArray[np.uint8]) -> bytes:
    """TrainIds (H, W) uint8 as a grey PNG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(train_ids).save(out, "PNG", compress_level=6)
    return out.getvalue()


class Pack:
    """Pieces put behind one another, with the span of each."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> tuple[int, int]:
        """(offset, size) of the piece."""
        span = (self._size, len(piece))
        self._parts.append(piece)
        self._size += len(piece)
        return span

    def to_bytes(self) -> bytes:
        """The whole pack."""
        return b"".join(self._parts)


def display_table(
    records: Sequence["ClipRecord"],
    frames: Sequence[tuple[int, int]],
    truths: Sequence[tuple[int, int]],
) -> Any:
    """display.parquet as a pyarrow table; `frames` and `truths` are spans by row of the shards."""
    import pyarrow as pa

    spans = [[frames[row] for row in record.frame_rows] for record in records]
    truth = [truths[one.label_row] if one.label_row >= 0 else (-1, 0) for one in records]
    return pa.table(
        {
            "split": [one.split for one in records],
            "name": [one.name for one in records],
            "city": [one.city for one in records],
            "seq": pa.array([one.seq for one in records], pa.int32()),
            "frame": pa.array([one.frame for one in records], pa.int32()),
            "height": pa.array([one.height for one in records], pa.int32()),
            "width": pa.array([one.width for one in records], pa.int32()),
            "frame_offsets": pa.array(
                [[offset for offset, _ in clip] for clip in spans], pa.list_(pa.int64())
            ),
            "frame_sizes": pa.array(
                [[size for _, size in clip] for clip in spans], pa.list_(pa.int64())
            ),
            "truth_offset": pa.array([offset for offset, _ in truth], pa.int64()),
            "truth_size": pa.array([size for _, size in truth], pa.int64()),
        }
    )

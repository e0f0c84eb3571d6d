"""What an evaluation keeps of each sample: a table row, and two layers in one pack.

samples.parquet: one row a sample, in the order of the split; integers per class make the mIoU of any
selection exact. layers.pack: for each sample the prediction as a grey PNG of trainIds at network size
(255: none of the classes), then its confidence as a WebP at half of that; the rows hold where.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.data.reader import ClipRecord
from segnets.inference.masks import to_confidence_webp, to_grey_png
from segnets.labels import NONE_INDEX
from segnets.metrics.scores import Counts, intersections, miou, pixel_accuracy, unions

TOP_CONFUSIONS = 8


class LayerPack:
    """Layers of all samples, one behind the other; `add` says where they lie."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, train_ids: NDArray[np.uint8], confidence: NDArray[np.float32]) -> dict[str, int]:
        """Append a sample's prediction and confidence (H, W); their offsets and sizes in bytes."""
        prediction, certainty = to_grey_png(train_ids), to_confidence_webp(confidence)
        offset = len(self._data)
        self._data += prediction + certainty
        return {
            "pred_offset": offset,
            "pred_size": len(prediction),
            "conf_offset": offset + len(prediction),
            "conf_size": len(certainty),
        }

    def bytes(self) -> bytes:
        """The whole pack."""
        return bytes(self._data)


def sample_row(clip: ClipRecord, counts: Counts, confidence: NDArray[np.float32]) -> dict[str, Any]:
    """A sample's row without the places of its layers; counts (19, 20) are at network size.

    height and width are the original's; miou and pixel_accuracy are NaN where nothing is labelled.
    """
    return {
        "split": clip.split,
        "name": clip.name,
        "city": clip.city,
        "seq": clip.seq,
        "frame": clip.frame,
        "height": clip.height,
        "width": clip.width,
        "miou": miou(counts),
        "pixel_accuracy": pixel_accuracy(counts),
        "inter": intersections(counts).tolist(),
        "union": unions(counts).tolist(),
        "confusions": top_confusions(counts),
        "confidence_mean": float(confidence.mean()),
        "confidence_p5": float(np.percentile(confidence, 5)),
    }


def top_confusions(counts: Counts) -> list[dict[str, int]]:
    """The most frequent errors: truth, predicted (19: none of the classes), pixels; at most eight."""
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors.reshape(-1), kind="stable")[:TOP_CONFUSIONS]
    columns = NONE_INDEX + 1
    return [
        {
            "truth": int(place) // columns,
            "predicted": int(place) % columns,
            "pixels": int(errors.reshape(-1)[place]),
        }
        for place in order
        if errors.reshape(-1)[place] > 0
    ]


def samples_table(rows: list[dict[str, Any]]) -> Any:
    """The rows as a pyarrow table."""
    import pyarrow as pa

    integers = pa.list_(pa.int64())
    confusions = pa.list_(
        pa.struct([("truth", pa.int8()), ("predicted", pa.int8()), ("pixels", pa.int64())])
    )
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("split", "name", "city")),
            *((name, pa.int32()) for name in ("seq", "frame", "height", "width")),
            *((name, pa.float64()) for name in ("miou", "pixel_accuracy")),
            ("inter", integers),
            ("union", integers),
            ("confusions", confusions),
            *((name, pa.float64()) for name in ("confidence_mean", "confidence_p5")),
            *(
                (name, pa.int64())
                for name in ("pred_offset", "pred_size", "conf_offset", "conf_size")
            ),
        ]
    )
    return pa.Table.from_pylist(rows, schema)

"""The tidy table of a trial, one row an epoch and split, and the summary that the app lists."""

import math
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segnets.config.ids import flat_settings
from segnets.config.train import TrainConfig
from segnets.labels import NUM_CLASSES
from segnets.metrics.scores import iou, miou, pixel_accuracy
from segnets.store.tables import to_parquet

VERSION = 1
CURVE_POINTS = 32
TIME_COLUMNS = ("attempt", "time", "clips_s", "memory", "seconds_saving")
"""Columns that say when and how fast; all others are equal after any interruption."""

Row = dict[str, Any]


def epoch_row(
    split: str,
    counts: NDArray[np.int64],
    *,
    attempt: int,
    epoch: int,
    step: int,
    loss: float,
    lr: float | None = None,
    grad_norm: float | None = None,
    clips_s: float,
    seconds_saving: float | None = None,
) -> Row:
    """One row of epochs.parquet from counts (19, 20).

    `loss` is the mean of a clip, `lr` that of the epoch's last step, `clips_s` clips a second,
    `seconds_saving` the time that saving has blocked the loop since the row before.
    """
    return {
        "attempt": attempt,
        "epoch": epoch,
        "step": step,
        "time": time.time(),
        "split": split,
        "loss": loss,
        "miou": miou(counts),
        "pixel_accuracy": pixel_accuracy(counts),
        "iou": [float(one) for one in iou(counts)],
        "lr": lr,
        "grad_norm": grad_norm,
        "clips_s": clips_s,
        "memory": peak_memory(),
        "seconds_saving": seconds_saving,
    }


def epochs_table(rows: Sequence[Row]) -> bytes:
    """The bytes of epochs.parquet, one row an epoch and split.

    Columns: attempt, epoch, step, time (seconds since 1970), split (train, val), loss, miou,
    pixel_accuracy, iou (19, NaN where a class never occurs), lr, grad_norm, clips_s, memory (bytes),
    seconds_saving; null where one means nothing for a split.
    """
    import pyarrow as pa

    real = pa.float64()
    schema = pa.schema(
        [
            ("attempt", pa.int64()),
            ("epoch", pa.int64()),
            ("step", pa.int64()),
            ("time", real),
            ("split", pa.string()),
            ("loss", real),
            ("miou", real),
            ("pixel_accuracy", real),
            ("iou", pa.list_(real, NUM_CLASSES)),
            ("lr", real),
            ("grad_norm", real),
            ("clips_s", real),
            ("memory", pa.int64()),
            ("seconds_saving", real),
        ]
    )
    return bytes(to_parquet(pa.Table.from_pylist(list(rows), schema=schema), VERSION))


def trial_view(
    config: TrainConfig,
    trial: str,
    *,
    status: str,
    rows: Sequence[Row],
    best_epoch: int | None,
    attempts: int,
    seconds: float,
    error: str | None = None,
    weights_sha256: str | None = None,
) -> dict[str, Any]:
    """The summary that the app lists; `status` is running, paused, stopped, failed, diverged or done."""
    validated = [row for row in rows if row["split"] == "val"]
    trained = [row for row in rows if row["split"] == "train"]
    by_epoch = {row["epoch"]: _score(row) for row in validated}
    last = validated[-1] if validated else None
    return {
        "v": VERSION,
        "kind": "trial",
        "id": trial,
        "status": status,
        "dataset": config.dataset,
        "model": config.model,
        "settings": flat_settings(config),
        "epoch": last["epoch"] if last else 0,
        "epochs": config.epochs,
        "best": by_epoch.get(best_epoch) if best_epoch is not None else None,
        "last": _score(last) if last else None,
        "curve": thin([[row["epoch"], _number(row["miou"])] for row in validated]),
        "attempts": attempts,
        "resumed": attempts > 1,
        "clips_s": trained[-1]["clips_s"] if trained else None,
        "seconds": seconds,
        "error": error,
        "weights_sha256": weights_sha256,
        "time": time.time(),
    }


def thin(points: list[Any]) -> list[Any]:
    """At most 32 of these points, evenly spread, the first and the last among them."""
    if len(points) <= CURVE_POINTS:
        return points
    stride = (len(points) - 1) / (CURVE_POINTS - 1)
    return [points[round(index * stride)] for index in range(CURVE_POINTS)]


def peak_memory() -> int:
    """Most bytes that this process has held: on the GPU where there is one, else resident."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch has no type there
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes but on macOS


def _score(row: Row) -> dict[str, Any]:
    return {
        "epoch": row["epoch"],
        "miou": _number(row["miou"]),
        "loss": _number(row["loss"]),
        "pixel_accuracy": _number(row["pixel_accuracy"]),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""How a trial ends and what its entries say: scores, the sentence of a fault."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from segnets.config.train import TrainConfig
from segnets.errors import Corrupt, DatasetError, Diverged, NotFound, SegnetsError, StoreError
from segnets.store.base import Store
from segnets.store.entry import Entry, read_file
from segnets.store.tables import from_parquet
from segnets.store.views import refresh_view
from segnets.training.checkpoint import EPOCHS_FILE
from segnets.training.curves import Row, trial_view

logger = logging.getLogger("segnets.training")


def rank(score: Mapping[str, Any]) -> float:
    """What "best" compares; a mean that is not a number ranks last."""
    return -1.0 if math.isnan(score["miou"]) else float(score["miou"])


def scores_of(best: Mapping[str, Any] | None, rows: Sequence[Row]) -> dict[str, Any]:
    """What an entry says of the scores: those of the best epoch, and the last epoch's mIoU."""
    last = next((row["miou"] for row in reversed(rows) if row["split"] == "val"), None)
    if best is None:
        names = ("best_epoch", "val_loss", "val_miou", "pixel_accuracy")
        return {**dict.fromkeys(names), "val_miou_last": last}
    return {
        "best_epoch": best["epoch"],
        "val_loss": best["loss"],
        "val_miou": best["miou"],
        "pixel_accuracy": best["pixel_accuracy"],
        "val_miou_last": last,
    }


def reason_of(error: Exception) -> str:
    """Why a trial failed, in one word: diverged, data or error."""
    if isinstance(error, Diverged):
        return "diverged"
    return "data" if isinstance(error, (DatasetError, Corrupt, NotFound)) else "error"


def sentence_of(error: Exception) -> str:
    """What a `failed` entry says of a fault."""
    if isinstance(error, SegnetsError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def refresh_done(store: Store, config: TrainConfig, head: Entry) -> None:
    """Write the view of a trial that is done if only an older one is there.

    The process that finished it may have died between its last entry and its view. A hint: whatever
    goes wrong is logged, never raised.
    """
    try:
        rows = from_parquet(read_file(store, head.file(EPOCHS_FILE))).to_pylist()
        view = trial_view(
            config,
            head.id,
            status="done",
            rows=rows,
            best_epoch=head.metrics["best_epoch"],
            attempts=head.attempt,
            seconds=head.metrics["seconds"],
            weights_sha256=head.metrics["weights_sha256"],
        )
        refresh_view(store, "trial", head.id, head.seq, head.writer, view)
    except (StoreError, KeyError) as error:
        logger.info("the summary of trial %s was not looked after: %s", head.id, error)

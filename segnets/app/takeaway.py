"""What a page shows, as CSV to take away: every row of it, in full precision. No Panel inside.

Texts come from a store that is not trusted, and spreadsheets run what looks like a formula: such a text
gets an apostrophe in front (OWASP, CSV Injection).
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segnets.app.compare import Pair
from segnets.app.nights import Night
from segnets.app.read import Samples
from segnets.app.records import Trial, class_counts, class_values, number, text
from segnets.labels import CLASS_NAMES

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Rows = Iterable[Mapping[str, Any]]


def to_csv(rows: Rows) -> str:
    """The rows under a header of all their names, in the order of their first appearance; None is empty."""
    held = list(rows)
    names = list(dict.fromkeys(name for row in held for name in row))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(map(_cell, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in held)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    said = str(value)
    return f"'{said}" if said.startswith(_FORMULA) else said


def trial_rows(trials: Iterable[Trial]) -> Rows:
    """A row a trial: what it is, its best epoch, how it went, each of its settings."""
    for trial in trials:
        best = trial.best
        yield {
            "trial": trial.id,
            "model": trial.model,
            "dataset": trial.dataset,
            "status": trial.status,
            "val_miou": best.miou,
            "val_loss": best.loss,
            "pixel_accuracy": best.pixel_accuracy,
            "best_epoch": best.epoch,
            "epoch": trial.epoch,
            "epochs": trial.epochs,
            "seconds": trial.seconds,
            "clips_s": trial.clips_s,
            "attempts": trial.attempts,
            "resumed": trial.resumed,
            "error": trial.error,
            **{f"setting {name}": value for name, value in trial.settings.items()},
        }


def curve_rows(curves: Iterable[tuple[str, Sequence[Mapping[str, Any]]]]) -> Rows:
    """A row an epoch and split of each (trial, rows of its epochs.parquet)."""
    for trial, rows in curves:
        for row in rows:
            names = ("epoch", "step", "time", "loss", "miou", "pixel_accuracy", "lr", "clips_s")
            yield {
                "trial": trial,
                "split": text(row.get("split")),
                **{name: number(row.get(name)) for name in names},
                **_by_class("iou", class_values(row.get("iou"))),
            }


def sample_rows(table: Samples) -> Rows:
    """A row a sample of an evaluation; inter and union are pixels at network size."""
    for (split, name), row in table.rows.items():
        yield {
            "split": split,
            "name": name,
            "city": text(row.get("city")),
            "miou": number(row.get("miou")),
            "pixel_accuracy": number(row.get("pixel_accuracy")),
            "confidence": number(row.get("confidence_mean")),
            **_by_class("inter", class_counts(row.get("inter"))),
            **_by_class("union", class_counts(row.get("union"))),
        }


def pair_rows(pair: Pair) -> Rows:
    """A row a sample that both have, with the mIoU of A and B."""
    for place, (split, name) in enumerate(pair.keys):
        a, b = (number(float(score)) for score in pair.scores[:, place])
        gap = None if a is None or b is None else a - b
        yield {"split": split, "name": name, "miou A": a, "miou B": b, "A - B": gap}


def share_rows(shares: Mapping[str, Sequence[float]]) -> Rows:
    """A row a split: the share of its pixels that each class has, then the unlabelled ones."""
    names = (*CLASS_NAMES, "unlabelled")
    for split, values in shares.items():
        yield {"split": split, **dict(zip(names, values, strict=False))}


def night_rows(nights: Iterable[Night]) -> Rows:
    """A row a night: counts, confidence, why it is marked, shares of the classes."""
    for night in nights:
        yield {
            "night": night.id,
            "trial": night.trial,
            "status": night.status,
            "started": night.started,
            "ended": night.ended,
            "frames": night.frames,
            "written": night.written,
            "reused": night.reused,
            "failed": night.failed,
            "waiting": night.waiting,
            "confidence": night.confidence,
            "share distance": night.share_distance,
            "drift": "; ".join(night.drift),
            **_by_class("share", night.share),
        }


def _by_class(word: str, values: Sequence[float | None]) -> dict[str, float | None]:
    return {f"{word} {name}": value for name, value in zip(CLASS_NAMES, values, strict=True)}

"""What the Samples page says of an evaluation and of one sample, from the rows of its table."""

from collections.abc import Mapping
from typing import Any

from segnets.app.read import Samples
from segnets.app.records import (
    Evaluation,
    class_counts,
    count,
    mapping,
    number,
    sequence,
    text,
)
from segnets.labels import NONE_INDEX, NUM_CLASSES


def evaluation_name(evaluation: Evaluation) -> str:
    """What people call its model: registry name and first digits."""
    model, _, digits = evaluation.trial.rpartition("-")
    return f"{model} {digits[:4]}" if model else evaluation.id


def evaluation_label(evaluation: Evaluation) -> str:
    """What people call it: model, first digits, split, mIoU."""
    score = "" if evaluation.miou is None else f" · {evaluation.miou:.3f}"
    return (
        f"{evaluation_name(evaluation)} · {evaluation.split}{score} · {evaluation.samples} samples"
    )


def catalogue(table: Samples) -> list[dict[str, Any]]:
    """One small row a sample, for the list and the bars."""
    return [
        {
            "key": f"{split}/{name}",
            "name": text(name),
            "split": text(split),
            "city": text(row.get("city")),
            "miou": number(row.get("miou")),
            "accuracy": number(row.get("pixel_accuracy")),
        }
        for (split, name), row in table.rows.items()
    ]


def sample_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """IoU per class (None: neither in truth nor predicted), confusions as shares of labelled pixels."""
    inter, union = class_counts(row.get("inter")), class_counts(row.get("union"))
    iou = [i / u if u else None for i, u in zip(inter, union, strict=True)]
    accuracy = number(row.get("pixel_accuracy"))
    right = sum(inter)
    # the table has no count of labelled pixels: it follows from those that are right
    labelled = right / accuracy if accuracy else sum(union) - right
    confusions = []
    for entry in sequence(row.get("confusions")):
        fields = mapping(entry)
        truth, predicted = count(fields.get("truth")), count(fields.get("predicted"))
        pixels = count(fields.get("pixels"))
        if truth < NUM_CLASSES and predicted <= NONE_INDEX and pixels and labelled:
            confusions.append({"truth": truth, "predicted": predicted, "share": pixels / labelled})
    return {
        "iou": iou,
        "confusions": confusions,
        "labelled": any(union),
        "miou": number(row.get("miou")),
        "accuracy": accuracy,
    }

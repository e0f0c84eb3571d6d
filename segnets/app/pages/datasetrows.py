"""What the Dataset page says: its figures, and the rows of its tables."""

from collections.abc import Mapping
from typing import Any

from segnets.app.datasets import SPLITS, Facts
from segnets.app.read import Display
from segnets.app.records import Dataset, text
from segnets.labels import CLASS_NAMES, NUM_CLASSES

MOST_CITIES = 200
_DONE = {"skip": ("skipped", "these files were left out"), "fail": ("error", "refused")}


def dataset_figures(dataset: Dataset, facts: Facts) -> list[dict[str, Any]]:
    """Clips, problems, unlabelled pixels, what a guess by place alone scores, the rarest class."""
    train = facts.shares.get("train")
    occurs = [(share, i) for i, share in enumerate(train[:NUM_CLASSES]) if share] if train else []
    clips = [f"{dataset.clips[split]:,} {split}" for split in SPLITS if dataset.clips.get(split)]
    rare = min(occurs, default=None)
    prior = dataset.prior_miou
    return [
        _figure("Clips", f"{sum(dataset.clips.values()):,}", " · ".join(clips)),
        _figure(
            "Problems",
            f"{facts.num_problems:,}",
            "files" if facts.num_problems else "every file is sound",
            tone="warn" if facts.num_problems else "good",
        ),
        _figure("Unlabelled pixels", percent(train[-1]) if train else "–", "of train"),
        _figure(
            "Without looking",
            "–" if prior is None else f"{prior:.3f}",
            "val mIoU of a guess by place alone",
        ),
        _figure(
            "Rarest class that occurs",
            percent(rare[0]) if rare else "–",
            CLASS_NAMES[rare[1]] if rare else "no label in train",
        ),
    ]


def _figure(label: str, value: str, note: str, tone: str = "") -> dict[str, Any]:
    return {"label": label, "value": value, "tone": tone, "notes": [[note, ""]]}


def percent(share: float) -> str:
    """A share as people write it: 4.2%, 0.39%, 0.0021%."""
    return f"{100 * share:.1f}%" if share >= 0.01 else f"{100 * share:.2g}%"


def problem_rows(facts: Facts) -> list[list[str]]:
    """What was done, kind, file, cause; one row a file."""
    word, _ = _DONE.get(facts.policy, ("error", ""))
    return [
        [word, row["kind"].replace("_", " "), row["key"], row["detail"]] for row in facts.problems
    ]


def problem_note(facts: Facts) -> str:
    """What stands beside the heading of the problems."""
    if not facts.num_problems:
        return "none was found"
    hidden = facts.num_problems - len(facts.problems)
    done = _DONE.get(facts.policy, ("", "each with its file and cause"))[1]
    return f"{done}; {hidden:,} more are in report.parquet" if hidden else done


def city_table(facts: Facts) -> tuple[list[dict[str, str]], list[list[str]]]:
    """Columns and rows: clips of each city by split, and its sequences."""
    splits = [split for split in SPLITS if any(split in clips for _, clips, _ in facts.cities)]
    columns = [{"title": "city", "kind": "name"}]
    columns += [{"title": word, "kind": "number"} for word in (*splits, "sequences")]
    rows = [
        [city, *(f"{clips[s]:,}" if clips.get(s) else "–" for s in splits), f"{drives:,}"]
        for city, clips, drives in facts.cities[:MOST_CITIES]
    ]
    return columns, rows


def display_catalogue(display: Display) -> list[dict[str, Any]]:
    """One small row a sample, for the viewer: train, val, test, each by name."""
    place = {split: index for index, split in enumerate(SPLITS)}
    order = sorted(display.rows, key=lambda key: (place.get(key[0], len(place)), key))
    return [
        {
            "key": f"{split}/{name}",
            "name": text(name),
            "split": text(split),
            "city": text(display.rows[split, name].get("city")),
            "miou": None,
            "accuracy": None,
        }
        for split, name in order
    ]


def truth_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the viewer is told of a sample that no model has seen."""
    size = row.get("truth_size")
    return {
        "iou": [None] * NUM_CLASSES,
        "confusions": [],
        "labelled": isinstance(size, int) and size > 0,
        "miou": None,
        "accuracy": None,
    }

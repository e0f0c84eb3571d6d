"""Is the data sound: what a dataset's own tables say of its classes, files and splits. No Panel inside.

Everything comes from stats.json (exact pixel counts), report.parquet (one row a file, with its digest)
and display.parquet (one row a clip); nothing is computed from pixels here.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segnets.app.compare import class_ious
from segnets.app.read import Reader, Snapshot
from segnets.app.records import (
    Dataset,
    Evaluation,
    class_counts,
    count,
    mapping,
    number,
    sequence,
    text,
)
from segnets.data.stats import class_weights
from segnets.errors import Corrupt, NotFound
from segnets.labels import CLASS_NAMES, NUM_CLASSES
from segnets.store.tables import from_parquet

SPLITS = ("train", "val", "test")
MOST_PROBLEMS = 200
_NAMED = 3  # names in one sentence


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checks; tone is good, warn or bad."""

    tone: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the tables of a dataset say; shares are of all pixels of a split, unlabelled ones too."""

    shares: Mapping[str, list[float]] = field(default_factory=dict)
    """Split -> share of each class (19), then of the unlabelled pixels."""
    weights: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    std: list[float] = field(default_factory=list)
    cities: list[tuple[str, dict[str, int], int]] = field(default_factory=list)
    """(city, clips by split, sequences), the largest first."""
    problems: list[dict[str, str]] = field(default_factory=list)
    """Kind, key and detail of the first files that have one."""
    num_problems: int = 0
    policy: str = ""
    stride: int = 0
    checks: list[Check] = field(default_factory=list)
    is_whole: bool = True
    """Whether its statistics and its report were there."""


def facts(reader: Reader, dataset: Dataset) -> Facts:
    """Read the tables and count. Raises SegnetsError where one cannot be read."""
    stats = _document(reader, dataset.id, "stats.json")
    config = mapping(_document(reader, dataset.id, "manifest.json").get("config"))
    data = reader.file("dataset", dataset.id, "report.parquet")
    report = from_parquet(data).to_pydict() if data else {}
    rows = reader.display(dataset.id).rows
    pixels = {
        split: class_counts(counts) for split, counts in mapping(stats.get("class_pixels")).items()
    }
    ignored = {split: count(n) for split, n in mapping(stats.get("ignored_pixels")).items()}
    train = pixels.get("train", [])
    kinds = [text(kind) for kind in report.get("kind", ())]
    told = {name: report.get(name, [""] * len(kinds)) for name in ("kind", "key", "detail")}
    faulty = [i for i, kind in enumerate(kinds) if kind]
    return Facts(
        shares=class_shares(pixels, ignored),
        weights=class_weights(train, "log").tolist() if sum(train) else [],
        mean=_three(stats.get("mean")),
        std=_three(stats.get("std")),
        cities=cities(rows),
        problems=[
            {name: text(column[i]) for name, column in told.items()} for i in faulty[:MOST_PROBLEMS]
        ],
        num_problems=len(faulty),
        policy=text(config.get("on_problem")),
        stride=count(config.get("stride")),
        checks=[
            *check_files(report, dataset),
            *check_splits(report, rows),
            *check_classes(pixels),
        ],
        is_whole=bool(stats and data),
    )


def best_evaluation(snapshot: Snapshot, dataset: str) -> Evaluation | None:
    """The evaluation on this dataset's val with the highest mIoU."""
    scored = [
        (one.miou, one.id)
        for one in snapshot.evals.values()
        if one.dataset == dataset and one.split == "val" and one.miou is not None
    ]
    return snapshot.evals[max(scored)[1]] if scored else None


def class_scores(reader: Reader, evaluation: Evaluation | None) -> list[float | None]:
    """IoU of each class (19) over all samples, from their integers; None where it has no value.

    Nothing where there is no evaluation, or where it is damaged: the dataset's own tables may be whole.
    Raises Unavailable where the store is away.
    """
    if evaluation is None:
        return []
    try:
        rows = list(reader.samples(evaluation.id).rows.values())
    except (Corrupt, NotFound, KeyError):  # KeyError: it has left the snapshot meanwhile
        return []
    inter, union = (
        np.array([class_counts(row.get(name)) for row in rows], np.int64).reshape(-1, NUM_CLASSES)
        for name in ("inter", "union")
    )
    return [number(float(iou)) for iou in class_ious(inter.sum(axis=0), union.sum(axis=0))]


def _document(reader: Reader, dataset: str, name: str) -> Mapping[str, Any]:
    data = reader.file("dataset", dataset, name)
    try:
        return mapping(json.loads(data)) if data else {}
    except ValueError:  # of another version, or foreign: then it says nothing
        return {}


def _three(value: object) -> list[float]:
    found = [number(part) for part in sequence(value)]
    return [part for part in found if part is not None] if len(found) == 3 else []


def class_shares(
    pixels: Mapping[str, Sequence[int]], ignored: Mapping[str, int]
) -> dict[str, list[float]]:
    """Split -> the share of each class and, last, of unlabelled pixels; splits without any left out."""
    found = {}
    for split in [one for one in SPLITS if one in pixels]:
        counts = [*pixels[split], ignored.get(split, 0)]
        if sum(counts[:-1]):
            found[split] = [n / sum(counts) for n in counts]
    return found


def cities(
    rows: Mapping[tuple[str, str], Mapping[str, Any]],
) -> list[tuple[str, dict[str, int], int]]:
    """Clips of each city by split, and how many sequences it has; the largest city first."""
    clips: dict[str, Counter[str]] = defaultdict(Counter)
    drives: dict[str, set[Any]] = defaultdict(set)
    for (split, _), row in rows.items():
        city = text(row.get("city"))
        clips[city][split] += 1
        drives[city].add((split, count(row.get("seq"))))
    ranked = sorted(clips, key=lambda city: (-clips[city].total(), city))
    return [(city, dict(clips[city]), len(drives[city])) for city in ranked]


def check_files(report: Mapping[str, Sequence[Any]], dataset: Dataset) -> list[Check]:
    """Files read, faults, sizes, clips that were left out."""
    digests = [text(one) for one in report.get("sha256", ())]
    read = [one for one in digests if one]
    total = sum(count(n) for n in report.get("size", ()))
    again = len(read) - len(set(read))
    found = []
    if digests:
        copies = f", {again:,} of them copies of others" if again else ", no two alike"
        found.append(
            Check(
                "good",
                "Every file was read once",
                f"{len(read):,} files, {as_bytes(total)}{copies}",
            )
        )
    faults = Counter(text(kind) for kind in report.get("kind", ()) if text(kind))
    if digests:
        counted = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in faults.most_common())
        found.append(
            Check("bad", "Files have faults", counted)
            if faults
            else Check("good", "No file has a fault", "headers, checksums, colour types, labelIds")
        )
    shapes = Counter(
        (width, height)
        for height, width in zip(report.get("height", ()), report.get("width", ()), strict=False)
        if count(height) and count(width)
    )
    if shapes:
        (width, height), usual = shapes.most_common(1)[0]
        others = shapes.total() - usual
        found.append(
            Check(
                "warn", "Sizes differ", f"{others:,} of {shapes.total():,} are not {width}x{height}"
            )
            if others
            else Check("good", "All files have one size", f"{width}x{height}")
        )
    clips = sum(dataset.clips.values())
    found.append(
        Check("warn", "Clips were left out", f"{dataset.skipped:,} of {clips + dataset.skipped:,}")
        if dataset.skipped
        else Check("good", "Every labelled frame is a clip", f"{clips:,} of {clips:,}")
    )
    return found


def check_splits(
    report: Mapping[str, Sequence[Any]], rows: Mapping[tuple[str, str], Mapping[str, Any]]
) -> list[Check]:
    """Leaks: a sequence, or the very bytes of a frame, in more than one split.

    By bytes and not by names: names may be the same in two splits and the pictures not.
    """
    found = []
    drives: dict[tuple[str, int], set[str]] = defaultdict(set)
    for (split, _), row in rows.items():
        drives[text(row.get("city")), count(row.get("seq"))].add(split)
    if drives:
        shared = sorted(drive for drive, splits in drives.items() if len(splits) > 1)
        by_split = Counter(split for splits in drives.values() for split in splits)
        named = _first([f"{city} {seq:06d}" for city, seq in shared])
        found.append(
            Check("warn", "A sequence is in two splits", f"{len(shared)}: {named}")
            if shared
            else Check(
                "good",
                "No sequence is in two splits",
                ", ".join(f"{by_split[s]} {s}" for s in SPLITS if by_split[s]),
            )
        )
    where: dict[str, set[str]] = defaultdict(set)
    names: dict[str, str] = {}
    columns = (report.get(name, ()) for name in ("sha256", "role", "split", "key"))
    for digest, role, split, key in zip(*columns, strict=False):
        if digest and role == "frame":
            where[text(digest)].add(text(split))
            names[text(digest)] = text(key).rsplit("/", 1)[-1]
    if where:
        leaked = [names[digest] for digest, splits in where.items() if len(splits) > 1]
        found.append(
            Check("bad", "A picture is in two splits", f"{len(leaked)}: {_first(leaked)}")
            if leaked
            else Check(
                "good", "No picture is in two splits", f"{len(where):,} compared by their bytes"
            )
        )
    return found


def check_classes(pixels: Mapping[str, Sequence[int]]) -> list[Check]:
    """Classes that never occur, and classes that are scored but never trained on."""
    if not pixels:
        return []
    total = [sum(counts[i] for counts in pixels.values()) for i in range(len(CLASS_NAMES))]
    never = [name for name, n in zip(CLASS_NAMES, total, strict=True) if not n]
    found = [
        Check(
            "warn", f"{len(never)} of 19 classes never occur", f"{_first(never)}: no IoU for them"
        )
        if never
        else Check("good", "All 19 classes occur", "in one split or another")
    ]
    train = pixels.get("train")
    if train is not None and "val" in pixels:
        untaught = [
            name
            for name, seen, asked in zip(CLASS_NAMES, train, pixels["val"], strict=True)
            if asked and not seen
        ]
        found.append(
            Check("bad", "A class of val is not in train", _first(untaught))
            if untaught
            else Check("good", "Every class of val is in train", "none is asked that was not shown")
        )
    return found


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def as_bytes(num_bytes: float) -> str:
    """Bytes as people write them: 812 kB, 1.9 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return (
                f"{num_bytes:.0f} {unit}"
                if num_bytes >= 10 or unit == "B"
                else f"{num_bytes:.1f} {unit}"
            )
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"

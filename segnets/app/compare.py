"""Is model A really better than B: from the integers that two evaluations kept of each sample.

Frames of one drive look alike, so chance is told by sequences, not by frames: the interval draws
whole sequences again and again and recomputes both mIoUs from the sums of the drawn ones. The draws
are the same for A and B and for every look (a fixed seed). No Panel inside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.app.read import Reader, Samples
from segnets.app.records import Evaluation, Trial, class_counts, count, mapping, number, sequence
from segnets.labels import NONE_INDEX, NUM_CLASSES
from segnets.store.tables import from_parquet

RESAMPLES = 2000
LEVEL = 0.95
FEW_SEQUENCES = 8
"""With fewer, the interval itself is a guess (usually too narrow), and the page says so."""
_SEED = 0
_DRAWN_AT_ONCE = 2_000_000  # weights held at a time: a resample has one a sequence

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two evaluations on the samples that both have, in the order of `keys`; axis 0 is A, B."""

    keys: tuple[tuple[str, str], ...]
    sequences: NDArray[np.intp]
    """Number (N,) of each sample's (split, city, seq)."""
    inter: Counts
    """Pixels predicted right (2, N, 19)."""
    union: Counts
    """Pixels in truth or prediction (2, N, 19)."""
    scores: NDArray[np.float64]
    """Each sample's own mIoU (2, N), NaN without a label."""
    only: tuple[int, int]
    """How many samples only A has, and only B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A against B; `low` and `high` are None where resampling can say nothing (one sequence)."""

    miou: tuple[float | None, float | None]
    difference: float | None
    low: float | None
    high: float | None
    sequences: int
    won: int
    lost: int
    samples: int

    @property
    def leader(self) -> str:
        """A or B where the interval leaves 0 out, else nothing."""
        if self.low is None or self.high is None:
            return ""
        return "A" if self.low > 0 else "B" if self.high < 0 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """All that the page says of two evaluations."""

    pair: Pair
    verdict: Verdict
    classes: list[tuple[float | None, float | None]]
    """IoU of each class (A, B), summed over the common samples; None where there is no value."""
    confusion: tuple[Counts | None, Counts | None]


def contest(reader: Reader, first: Evaluation, second: Evaluation) -> Contest:
    """Read both tables and judge. Raises SegnetsError where one cannot be read."""
    both = pair(reader.samples(first.id), reader.samples(second.id))
    confusion = (confusion_of(reader, first.id), confusion_of(reader, second.id))
    counted = np.ones(NUM_CLASSES, bool)
    for counts in confusion:
        if counts is not None:
            counted &= counts.sum(axis=1) > 0
    ious = class_ious(both.inter.sum(axis=1), both.union.sum(axis=1))
    return Contest(
        pair=both,
        verdict=judge(both, counted),
        classes=[(number(float(a)), number(float(b))) for a, b in ious.T],
        confusion=confusion,
    )


def pair(a: Samples, b: Samples) -> Pair:
    """The samples that both tables have, by (split, name)."""
    keys = tuple(key for key in a.rows if key in b.rows)
    numbers: dict[tuple[Any, ...], int] = {}
    sequences = np.empty(len(keys), np.intp)
    for place, key in enumerate(keys):
        row = a.rows[key]
        drive = (key[0], str(row.get("city")), str(row.get("seq")))
        sequences[place] = numbers.setdefault(drive, len(numbers))
    rows = [[table.rows[key] for key in keys] for table in (a, b)]
    shape = (2, len(keys), NUM_CLASSES)
    return Pair(
        keys=keys,
        sequences=sequences,
        inter=_stacked(rows, "inter").reshape(shape),
        union=_stacked(rows, "union").reshape(shape),
        scores=np.array(
            [[_or_nan(number(row.get("miou"))) for row in side] for side in rows], np.float64
        ).reshape(2, len(keys)),
        only=(len(a.rows) - len(keys), len(b.rows) - len(keys)),
    )


def _stacked(rows: Sequence[Sequence[Mapping[str, Any]]], name: str) -> Counts:
    return np.array([[class_counts(row.get(name)) for row in side] for side in rows], np.int64)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def class_ious(inter: NDArray[Any], union: NDArray[Any]) -> NDArray[np.float64]:
    """IoU from inter and union of any shape, NaN where the union is 0."""
    out: NDArray[np.float64] = np.full(inter.shape, np.nan)
    np.divide(inter, union, out=out, where=union > 0)
    return out


def mious(
    inter: NDArray[Any], union: NDArray[Any], counted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Both mIoUs (2, ...) from sums (2, ..., 19), over the `counted` classes (19,).

    A class whose union is 0 for one of the two has no truth among these pixels and is left out for
    both, so that they are always measured on the same classes. NaN where none is left.
    """
    values = class_ious(inter, union)
    shared = counted & (union > 0).all(axis=0)
    totals = np.where(shared, values, 0.0).sum(axis=-1)
    return class_ious(totals, np.broadcast_to(shared.sum(axis=-1), totals.shape))


def judge(both: Pair, counted: NDArray[np.bool_]) -> Verdict:
    """The verdict over the `counted` classes (19,): those that have truth."""
    a, b = (
        number(float(v)) for v in mious(both.inter.sum(axis=1), both.union.sum(axis=1), counted)
    )
    low, high = interval(both, counted)
    gaps = both.scores[0] - both.scores[1]
    return Verdict(
        miou=(a, b),
        difference=None if a is None or b is None else a - b,
        low=low,
        high=high,
        sequences=int(both.sequences.max()) + 1 if len(both.keys) else 0,
        won=int((gaps > 0).sum()),
        lost=int((gaps < 0).sum()),
        samples=int(np.isfinite(gaps).sum()),
    )


def interval(both: Pair, counted: NDArray[np.bool_]) -> tuple[float | None, float | None]:
    """Bounds that hold LEVEL of the differences A - B when sequences are drawn with replacement.

    None, None with fewer than two sequences: then nothing varies.
    """
    num = int(both.sequences.max()) + 1 if len(both.keys) else 0
    if num < 2:
        return None, None
    sums = np.zeros((2, 2, num, NUM_CLASSES))  # inter and union; exact in float64 below 2**53
    for side in range(2):
        np.add.at(sums[0, side], both.sequences, both.inter[side])
        np.add.at(sums[1, side], both.sequences, both.union[side])
    random = np.random.default_rng(_SEED)
    at_once = max(1, _DRAWN_AT_ONCE // num)
    differences = []
    for start in range(0, RESAMPLES, at_once):
        drawn = random.integers(num, size=(min(at_once, RESAMPLES - start), num))
        weights = np.stack([np.bincount(row, minlength=num) for row in drawn]).astype(np.float64)
        inter, union = weights @ sums[0], weights @ sums[1]
        scores = mious(inter, union, counted)
        differences.append(scores[0] - scores[1])
    found = np.concatenate(differences)
    found = found[np.isfinite(found)]
    if not found.size:
        return None, None
    outside = (1 - LEVEL) / 2
    low, high = np.quantile(found, [outside, 1 - outside])
    return float(low), float(high)


def sentence(verdict: Verdict) -> str:
    """The verdict in words."""
    difference = verdict.difference
    if difference is None:
        return "These two have no labelled sample in common"
    gap, ahead = f"{abs(difference):.3f}", "A" if difference > 0 else "B"
    if gap == "0.000":
        return "A and B score the same"
    if verdict.leader:
        return f"{verdict.leader} is better by {gap} mIoU"
    if verdict.low is None:
        return f"{ahead} is ahead by {gap} mIoU, on one sequence"
    return f"No clear winner: {ahead} is ahead by {gap} mIoU"


def confusion_of(reader: Reader, evaluation: str) -> Counts | None:
    """An evaluation's pixels by truth and prediction (19, 20), over all cities; None without."""
    data = reader.file("eval", evaluation, "confusion.parquet")
    if not data:
        return None
    total = np.zeros((NUM_CLASSES, NONE_INDEX + 1), np.int64)
    for row in from_parquet(data).to_pylist():
        counts = [count(part) for part in sequence(row.get("counts"))]
        if len(counts) == total.size:
            total += np.array(counts, np.int64).reshape(total.shape)
    return total


def shares(counts: Counts | None) -> list[list[float | None]]:
    """Each row of a confusion as shares of its truth, None where a class has none."""
    if counts is None:
        return []
    rows = counts.sum(axis=1, keepdims=True)
    values = class_ious(counts, np.broadcast_to(rows, counts.shape))
    return [[None if np.isnan(v) else round(float(v), 5) for v in row] for row in values]


def catalogue(both: Pair, a: Samples) -> list[dict[str, Any]]:
    """A small row a sample, the largest gap first; samples without a score last."""
    gaps = np.abs(both.scores[0] - both.scores[1])
    order = np.argsort(np.where(np.isnan(gaps), -1.0, gaps), kind="stable")[::-1]
    return [
        {
            "key": "/".join(both.keys[i]),
            "name": both.keys[i][1][:300],
            "split": both.keys[i][0][:40],
            "city": str(a.rows[both.keys[i]].get("city") or "")[:80],
            "a": number(float(both.scores[0, i])),
            "b": number(float(both.scores[1, i])),
        }
        for i in order
    ]


def where_mistaken(
    both: Pair, tables: tuple[Samples, Samples], truth: int, predicted: int
) -> list[dict[str, Any]]:
    """Samples in which A or B has this mistake among its eight largest: pixels of each, most first."""
    found = []
    for key in both.keys:
        pixels = [_mistaken(table.rows[key], truth, predicted) for table in tables]
        if any(pixels):
            found.append({"key": "/".join(key), "a": pixels[0], "b": pixels[1]})
    return sorted(found, key=lambda row: (-max(row["a"], row["b"]), row["key"]))


def _mistaken(row: Mapping[str, Any], truth: int, predicted: int) -> int:
    for entry in sequence(row.get("confusions")):
        fields = mapping(entry)
        if (fields.get("truth"), fields.get("predicted")) == (truth, predicted):
            return count(fields.get("pixels"))
    return 0


def differing(a: Trial, b: Trial) -> list[tuple[str, Any, Any]]:
    """Settings whose values differ: (name, A's, B's)."""
    names = dict.fromkeys([*a.settings, *b.settings])
    pairs = [("model", a.model, b.model)] if a.model != b.model else []
    return pairs + [
        (name, a.settings.get(name), b.settings.get(name))
        for name in names
        if name not in ("model", "dataset") and a.settings.get(name) != b.settings.get(name)
    ]


def epoch_seconds(trial: Trial | None) -> float | None:
    """Seconds that an epoch of this trial took, on the machine that it ran on."""
    if trial is None or not trial.seconds or not trial.epoch:
        return None
    return trial.seconds / trial.epoch

"""What Compare says beside its sentence: the figures that carry it, the cost, the classes."""

from typing import Any

from segnets.app.compare import FEW_SEQUENCES, Contest, Verdict, epoch_seconds
from segnets.app.duel import NAMED_COLORS
from segnets.app.pages.figures import duration
from segnets.app.records import Trial

_MINUS = "−"


def verdict_facts(verdict: Verdict, only: tuple[int, int]) -> list[dict[str, Any]]:
    """The figures beside the sentence: both scores, samples won, the interval."""
    a, b = verdict.miou
    facts: list[dict[str, Any]] = []
    if a is not None and b is not None:
        facts.append(
            {"label": "mIoU of A and B", "parts": [[f"{a:.3f}", "isa"], [f"{b:.3f}", "isb"]]}
        )
    won = [[f"{verdict.won} of {verdict.samples}", ""], ["better in A", "muted"]]
    if any(only):
        won.append([f"{sum(only)} samples are not in both", "warn"])
    facts.append({"label": "per sample", "parts": won})
    if verdict.low is not None and verdict.high is not None:
        few = verdict.sequences < FEW_SEQUENCES
        facts.append(
            {
                "label": "95 % interval, resampled by sequence",
                "parts": [
                    [f"{_signed(verdict.low)} to {_signed(verdict.high)}", ""],
                    [
                        f"{'only ' if few else ''}{verdict.sequences} sequences",
                        "warn" if few else "muted",
                    ],
                ],
            }
        )
    elif verdict.samples:
        says = "none: all samples are of one sequence"
        facts.append({"label": "95 % interval", "parts": [[says, "warn"]]})
    return facts


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else _MINUS}{abs(value):.3f}"


def cost_fact(a: Trial | None, b: Trial | None) -> dict[str, Any]:
    """Which is quicker to train, by the time of an epoch, and both times."""
    first, second = epoch_seconds(a), epoch_seconds(b)
    if first is None or second is None:
        return {"label": "cost", "parts": [["not known", "muted"]]}
    ratio = max(first, second) / min(first, second)
    note = f"{_short(first)} and {_short(second)}"
    if ratio < 1.05:
        return {"label": "cost", "parts": [["about the same", ""], [f"{note} an epoch", "muted"]]}
    quicker = "A" if first < second else "B"
    return {
        "label": "cost",
        "parts": [
            [f"{quicker} is {ratio:.1f}× quicker", ""],
            [f"{note} an epoch", "muted"],
        ],
    }


def _short(seconds: float) -> str:
    """Seconds as people write them, short times with a digit more."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def class_gaps(contested: Contest) -> list[dict[str, Any]]:
    """Classes that have a value in both, by difference, where A is better first."""
    rows = [
        {**NAMED_COLORS[i], "a": a, "b": b}
        for i, (a, b) in enumerate(contested.classes)
        if a is not None and b is not None
    ]
    return sorted(rows, key=lambda row: row["b"] - row["a"])

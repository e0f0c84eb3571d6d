"""Many histories, and what they came to together."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sim.control import under_simulation
from sim.history import Result, run_history

MODES = ("C", "N", "M")


@dataclass
class Tally:
    """What a number of histories came to."""

    histories: int = 0
    steps: int = 0
    seconds: float = 0.0
    violations: Counter[str] = field(default_factory=Counter)
    failing: list[str] = field(default_factory=list)
    """MODE/SEED of each history in which something was seen."""
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> int:
        """Histories in which nothing was seen."""
        return self.histories - len(self.failing)

    def add(self, mode: str, found: Result) -> None:
        """Count one history."""
        self.histories += 1
        self.steps += found.steps
        self.counts.update(found.counts)
        if found.faults:
            self.failing.append(f"{mode}/{found.seed}")
            self.violations[found.faults[0].split()[0]] += 1

    def as_json(self) -> dict[str, Any]:
        """For the last line."""
        return {
            "histories": self.histories,
            "ok": self.ok,
            "violations": dict(sorted(self.violations.items())),
            "failing": self.failing[:20],
            "steps": self.steps,
            "counts": dict(sorted(self.counts.items())),
            "seconds": round(self.seconds, 1),
            "histories_a_minute": round(60 * self.histories / max(self.seconds, 1e-9)),
        }


def run_many(
    seeds: Iterable[int],
    modes: Iterable[str] = MODES,
    *,
    most_s: float = float("inf"),
    first_only: bool = False,
    **fixed: Any,
) -> Tally:
    """Run every seed in every mode, for so long; with `first_only` until something is seen."""
    tally, began = Tally(), time.monotonic()
    modes = tuple(modes)
    with under_simulation():
        for seed in seeds:
            for mode in modes:
                tally.add(mode, run_history(seed, mode, **fixed))
            tally.seconds = time.monotonic() - began
            if tally.seconds > most_s or (first_only and tally.failing):
                break
    return tally

"""The rules of the protocol, taken away one by one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sim.campaign import MODES, run_many

Swap = tuple[Any, str, Any]
"""Owner, name, what stands in for it."""


@dataclass(frozen=True)
class Mutant:
    """A rule that is switched off, and where to look for what follows."""

    rule: str
    swaps: Callable[[], list[Swap]]
    modes: tuple[str, ...] = MODES
    fixed: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Without the rule inside."""
        swaps = self.swaps()
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in swaps]
        try:
            for owner, name, stand_in in swaps:
                setattr(owner, name, stand_in)
            yield
        finally:
            for owner, name, value in kept:
                setattr(owner, name, value)


MUTANTS: dict[str, Mutant] = {}


def hunt(mutant: Mutant, seed: int, histories: int) -> dict[str, Any]:
    """The first history that notices the missing rule; empty if none of so many does."""
    with mutant.switched_off():
        tally = run_many(
            range(seed, seed + histories), mutant.modes, first_only=True, **mutant.fixed
        )
    if not tally.failing:
        return {}
    return {"first": tally.failing[0], "sees": next(iter(tally.violations)), "in": tally.histories}

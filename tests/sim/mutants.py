"""Rules taken away one by one: a rule whose removal no history notices is not tested, or not needed.

A mutant edits the source of the real function and puts the outcome everywhere where the function is
known; an edit that no longer fits the source is an error. `rules.py` is their table.
"""

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sim.campaign import MODES, run_many

Edit = tuple[Callable[..., Any], str, str]
"""A function, words of its source, and what stands there instead."""


@dataclass(frozen=True)
class Mutant:
    """A rule that is switched off, and where to look for what follows."""

    rule: str
    edits: tuple[Edit, ...] = ()
    modes: tuple[str, ...] = MODES
    fixed: dict[str, Any] = field(default_factory=dict)
    """What the histories have in common, so that few are needed."""
    rare: int = 0
    """So many seeds are known to be blind to it, and are passed over."""
    not_needed: str = ""
    """Why nothing must notice it."""

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Without the rule inside."""
        undo = []
        try:
            for function in dict.fromkeys(edit[0] for edit in self.edits):
                words = [(old, new) for one, old, new in self.edits if one is function]
                edited = _edited(function, words)
                for owner, name, value in _places(function):
                    undo.append((owner, name, value))
                    setattr(owner, name, edited)
            yield
        finally:
            for owner, name, value in undo:
                setattr(owner, name, value)


def hunt(mutant: Mutant, seed: int, histories: int) -> dict[str, Any]:
    """The first history that notices the missing rule; empty if none of so many does.

    Where nothing has to notice it, a quarter of them are enough.
    """
    histories = histories // 4 if mutant.not_needed else histories
    with mutant.switched_off():
        tally = run_many(
            range(seed + mutant.rare, seed + mutant.rare + histories),
            mutant.modes,
            first_only=True,
            **mutant.fixed,
        )
    if not tally.failing:
        return {}
    return {"first": tally.failing[0], "sees": next(iter(tally.violations)), "in": tally.histories}


def _edited(function: Callable[..., Any], words: Sequence[tuple[str, str]]) -> Any:
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in words:
        count = source.count(old)
        assert count == 1, f"{function.__qualname__} has {count} times: {old}"
        source = source.replace(old, new)
    found: dict[str, Any] = {}
    code = compile(source, inspect.getsourcefile(function) or "", "exec")
    exec(code, function.__globals__, found)
    (edited,) = found.values()
    return edited


def _places(function: Callable[..., Any]) -> list[tuple[Any, str, Any]]:
    """Where a function is known: its class, or each module that imported it."""
    outer, _, name = function.__qualname__.rpartition(".")
    module = sys.modules[function.__module__]
    if outer:
        owner = getattr(module, outer)
        return [(owner, name, owner.__dict__[name])]
    known = [
        one for key, one in sorted(sys.modules.items()) if key.startswith(("segnets.", "sim."))
    ]
    return [(one, name, function) for one in known if getattr(one, name, None) is function]

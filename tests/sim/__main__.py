"""python -m tests.sim --seed N [--histories M] [--mode C|N|M] [--mutant NAME] [--part k/n] [--append FILE]

Runs the seeds N to N+M-1 in each mode (of n parts: every nth of them) and prints one JSON line; one
history alone (M is 1) also prints what happened in it. `--mutants` takes the rules away one by one.
"""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crash.__main__ import commit

from sim.campaign import MODES, run_many
from sim.control import under_simulation
from sim.history import run_history
from sim.mutants import hunt
from sim.rules import MUTANTS


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    part, parts = (int(number) for number in given.part.split("/"))
    if not 1 <= part <= parts:
        raise SystemExit(f"--part {given.part}: k/n with 1 <= k <= n")
    seeds = range(given.seed + part - 1, given.seed + given.histories, parts)
    found = _mutants(given, part, parts) if given.mutants else _histories(given, seeds)
    line = {
        "proof": "sim mutants" if given.mutants else "sim",
        "store": "memory",
        "part": given.part,
        "seed": given.seed,
        "commit": commit("tests/sim"),
        **found,
    }
    text = json.dumps(line)
    if given.append is not None:
        with Path(given.append).open("a") as file:
            file.write(text + "\n")
    print(text)
    if given.mutants:
        return 1 if found["survivors"] else 0
    return 0 if found["ok"] == found["histories"] else 1


def _histories(given: argparse.Namespace, seeds: range) -> dict[str, Any]:
    mutant = MUTANTS[given.mutant] if given.mutant else None
    modes = (given.mode,) if given.mode else MODES
    fixed = {} if mutant is None else mutant.fixed
    with contextlib.nullcontext() if mutant is None else mutant.switched_off():
        if len(seeds) == 1:
            with under_simulation():
                for mode in modes:
                    result = run_history(seeds[0], mode, tracing=True, **fixed)
                    print(f"--- seed {seeds[0]}, mode {mode}", *result.trace, sep="\n")
        tally = run_many(seeds, modes, **fixed)
    return {"mutant": given.mutant, "modes": "".join(modes), **tally.as_json()}


def _mutants(given: argparse.Namespace, part: int, parts: int) -> dict[str, Any]:
    """What noticed each missing rule; `not_needed` are those that nothing has to notice."""
    caught, not_needed, survived = {}, {}, []
    began = time.monotonic()
    for name in list(MUTANTS)[part - 1 :: parts]:
        found = hunt(MUTANTS[name], given.seed, given.histories)
        print(f"{name}: {found or 'not noticed'}", flush=True)
        if found:
            caught[name] = found
        elif MUTANTS[name].not_needed:
            not_needed[name] = MUTANTS[name].not_needed
        else:
            survived.append(name)
    return {
        "mutants": {"caught": len(caught), "survived": len(survived)},
        "survivors": survived,
        "not_needed": not_needed,
        "by": caught,
        "most_histories": given.histories,
        "seconds": round(time.monotonic() - began, 1),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--histories", type=int, default=1, help="seeds; each in every mode")
    parser.add_argument(
        "--mode", choices=MODES, help="C exclusive writes, N none, M some processes"
    )
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="a rule that is switched off")
    parser.add_argument("--mutants", action="store_true", help="each rule, and what noticed it")
    parser.add_argument("--part", default="1/1", help="k/n")
    parser.add_argument("--append", help="file of JSON lines")
    return parser


if __name__ == "__main__":
    sys.exit(main())

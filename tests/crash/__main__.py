"""python -m tests.crash PROOF --part k/n [--seed S] [--append FILE] [--store folder|rclone|ministack]

Runs one part of a proof and prints its result as one JSON line. `python -m tests.crash sum FILE...`
adds parts up: numbers are added, lists joined, and the commits that they were made at are named.
"""

import argparse
import importlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOT_ADDED = ("proof", "store", "part", "seed", "commit", "most_histories", "histories_a_minute")


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["sum"]:
        print(json.dumps(add_up(read_lines(map(Path, given[1:])))))
        return 0
    return run(_parser().parse_args(given))


def run(given: argparse.Namespace) -> int:
    """Run one part; the exit code is 1 if something was found."""
    part, parts = (int(number) for number in given.part.split("/"))
    if not 1 <= part <= parts:
        raise SystemExit(f"--part {given.part}: k/n with 1 <= k <= n")
    logging.disable(logging.WARNING)  # thousands of resumed trials have much to say
    proof = importlib.import_module(f"crash.{given.proof}")
    began = time.monotonic()
    found = proof.run(part, parts, given.seed, given.store)
    line = {
        "proof": given.proof,
        "store": given.store,
        "part": given.part,
        "seed": given.seed,
        "commit": commit("tests/crash"),
        "seconds": round(time.monotonic() - began, 1),
        **found,
    }
    text = json.dumps(line)
    if given.append is not None:
        kept = {name: value for name, value in line.items() if name != "places"}  # 50 kB a part
        with Path(given.append).open("a") as file:
            file.write(json.dumps(kept) + "\n")
    print(text)
    return 0 if found["ok"] == found["points"] else 1


def commit(proof: str) -> str:
    """Short hash of what is tried, with + if files of the program differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = git("status", "--porcelain", "--untracked-files=no", "segnets", proof)
    return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


def read_lines(files: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files for line in file.read_text().splitlines() if line]


def add_up(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """PROOF on STORE -> the sum of its parts. A part that was run again counts once, the last time."""
    last = {(one["proof"], one["store"], one["part"], one["seed"]): one for one in lines}
    total: dict[str, Any] = {}
    for one in last.values():
        name = f"{one['proof']} {one['store']}"
        there = total.setdefault(name, {"parts": [], "seeds": [], "commits": []})
        for words, word in (("parts", one["part"]), ("seeds", one["seed"])):
            there[words] = sorted({*there[words], word})
        there["commits"] = sorted({*there["commits"], one["commit"]})
        for key in one.keys() - set(NOT_ADDED):
            there[key] = _add(there.get(key), one[key])
    return {name: total[name] for name in sorted(total)}


def _add(one: Any, two: Any) -> Any:
    if one is None or two is None:
        return two if one is None else one
    if isinstance(one, dict):
        return {key: _add(one.get(key), two.get(key)) for key in [*one, *(two.keys() - one)]}
    if isinstance(one, list):
        return [*one, *(more for more in two if more not in one)]
    if isinstance(one, str):
        return one
    return round(one + two, 1) if isinstance(one, float) else one + two


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument(
        "proof", help="points, powercut, interrupts, mutants, kills, races, serverkills, ..."
    )
    parser.add_argument("--part", default="1/1", help="k/n")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--append", help="file of JSON lines")
    parser.add_argument("--store", default="folder", choices=("folder", "rclone", "ministack"))
    return parser


if __name__ == "__main__":
    sys.exit(main())

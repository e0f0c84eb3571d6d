"""Interleaved rounds in one process, medians of paired ratios, CPU time of the process.

On a shared machine a wall-clock figure says little: the rivals take turns, each round gives one ratio
per pair, and the median of the ratios is reported with its quartiles.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def interleave(
    rivals: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """CPU seconds of every call, `rounds` of each, all rivals taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for done in range(rounds + warm_up):
        for name, call in rivals.items():
            start = time.process_time()
            call()
            if done >= warm_up:
                seconds[name].append(time.process_time() - start)
        print(f"round {done + 1} of {rounds + warm_up}", file=sys.stderr)
    return seconds


def ratio(slower: list[float], faster: list[float]) -> dict[str, float]:
    """Median and quartiles of slower / faster, round by round."""
    pairs = [a / b for a, b in zip(slower, faster, strict=True)]
    low, median, high = statistics.quantiles(pairs, n=4)
    return {"median": round(median, 2), "low": round(low, 2), "high": round(high, 2)}


def report(name: str, ratios: Mapping[str, Any], **facts: Any) -> None:
    """Print the result as the last line, one JSON object; with --save also into RESULTS."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    result = {
        "benchmark": name,
        "command": " ".join(["python", *(word for word in sys.argv if word != "--save")]),
        "ratios": dict(ratios),
        **facts,
        "commit": commit,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    if "--save" in sys.argv:
        kept = ROOT / "benchmarks" / "RESULTS" / f"{name}.json"
        kept.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))

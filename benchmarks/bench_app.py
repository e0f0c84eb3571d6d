"""How long a user of the results app waits, measured in the system's Chromium against `panel serve`.

python benchmarks/bench_app.py [--quick] [--save] [--rounds N] [--only samples,trials,sessions]
    [--peers PYTHON]

Wall time in the browser, medians of one run: milliseconds from the key or click until the picture
stands; seconds from the address until the first row is there, in a profile without a cache and again.
The server is warm: it has answered once. CPU time is the server process's own, per sample shown.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import app_peers
import app_sessions
import app_views
from playwright.sync_api import sync_playwright
from support.servers import rclone_server
from timing import report

from segnets.store.folder import FolderStore

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
TRIALS = 1000
PASSED, CROWD, ACTS = 200, 50, 20
REST_S = 45.0
"""Until the server has let go of the sessions of closed tabs."""


def median(values: list[float], digits: int = 1) -> float:
    """The middle of what was measured."""
    return round(statistics.median(values), digits)


def samples(browser: Any, folder: Path, rounds: int) -> dict[str, Any]:
    """The next sample, a jump, and the server's CPU, at two sizes."""
    found: dict[str, Any] = {}
    for name, scale in (("224x448", 2), ("1008x2016", 9)):
        with app_views.serving_samples(folder / name, scale) as served:
            took = app_views.walk_samples(browser, served, rounds)
        found[name] = {
            "next_ms": median(took["next"]),
            "jump_ms": median(took["jump"]),
            "server_cpu_ms_per_sample": median(took["cpu"]),
        }
    return found


def trials(browser: Any, folder: Path, rounds: int, num: int) -> dict[str, Any]:
    """First view, the curve of a ticked row and a live tick of a store of many trials, on a folder and on S3."""
    found: dict[str, Any] = {}
    with rclone_server(folder / "server") as server:
        kinds: dict[str, tuple[str, Path, dict[str, str]]] = {
            "folder": (str(folder / "store"), folder / "store", {}),
            "s3": (
                f"s3://{server.bucket}/many",
                server.folder / server.bucket / "many",
                server.env,
            ),
        }
        for kind, (url, root, env) in kinds.items():
            app_views.fill(root, num, conditional=kind == "folder")
            with app_views.serving(folder / f"{kind}.log", url, env) as served:
                looks = app_views.look_at_trials(browser, served, rounds)
                found[kind] = {
                    **{name: median(took, 2) for name, took in looks.items()},
                    "tick_ms": median(app_views.tick_rows(browser, served, rounds)),
                }
                if kind == "folder":
                    live = app_views.watch_live(browser, served, FolderStore(root), rounds)
                    found["live_tick_bytes"] = int(median(live, 0))
    return found


def sessions(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Memory that a tab leaves behind, and how long acts take when many tabs act at once."""
    passed, crowd = (20, 10) if quick else (PASSED, CROWD)
    with (
        app_views.serving_samples(folder / "store", 2) as served,
        ThreadPoolExecutor(1) as thread,  # Playwright's loop runs in this one
    ):
        left = app_sessions.growth(served.address, served.pid, 10, passed, REST_S)
        grown = thread.submit(asyncio.run, left).result()
        acts = app_sessions.crowd(served.address, crowd, ACTS)
        took = thread.submit(asyncio.run, acts).result()
    return {
        "closed": passed,
        "kb_per_closed_session": round(grown / 1e3),
        "at_once": crowd,
        "act_s": {
            "median": median(took, 3),
            "p95": round(statistics.quantiles(took, n=20)[-1], 3),
        },
    }


def main() -> None:
    """Measure the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, 100 trials")
    parser.add_argument("--save", action="store_true", help="into benchmarks/RESULTS")
    parser.add_argument("--rounds", type=int, help="of each measurement")
    parser.add_argument("--only", default="samples,trials,sessions", help="parts, comma between")
    parser.add_argument("--peers", help="a python with tensorboard and mlflow: measure them too")
    given = parser.parse_args()
    rounds = given.rounds or (3 if given.quick else 9)
    found: dict[str, Any] = {}
    with sync_playwright() as started, tempfile.TemporaryDirectory() as name:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        parts: dict[str, Callable[[Path], dict[str, Any]]] = {
            "samples": lambda folder: samples(browser, folder, rounds),
            "trials": lambda folder: trials(
                browser, folder, rounds, 100 if given.quick else TRIALS
            ),
            "sessions": lambda folder: sessions(folder, quick=given.quick),
        }
        for part in given.only.split(","):
            (Path(name) / part).mkdir()
            found[part] = parts[part](Path(name) / part)
            print(part, found[part], file=sys.stderr)
        if given.peers:
            num = 100 if given.quick else TRIALS
            found["peers"] = app_peers.measure(browser, given.peers, Path(name), rounds, num)
        browser.close()
    report("bench_app", {}, rounds=rounds, **found)


if __name__ == "__main__":
    main()

"""What a grid costs beside its training: 1,000 trials of one second through Prefect, 8 at a time.

python benchmarks/bench_grid.py [--trials N] [--slots N] [--database sqlite] [--save]

The trials are a STUB in place of flows/train.py (tests/support/stub_train.py): no torch, one second of
sleep, then what a trained trial leaves in the store, by the store's own writers. All else is real: server,
workers, the grid's flow, its leaderboard. More than an hour on two cores. None may be lost and none run
twice. Beside it the dry run of a grid of 10,000 points. Each database has a file of its own in RESULTS.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.commands import SMALL, World, new_world
from support.flow_runs import ask, read, start
from support.machines import Machine, Server, deploy
from support.postgres import Postgres, tools
from timing import ROOT, report

SLEEP_S = 1.0
LIMIT_S = 3 * 3600.0
PROBE_S = 2.0
STUB = ROOT / "tests" / "support" / "stub_train.py"


def main() -> None:
    """Measure with one database, then the dry run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--save", action="store_true", help="keep the result in RESULTS/")
    given = parser.parse_args()
    if given.database == "postgresql" and tools() is None:
        raise SystemExit("error: PostgreSQL is not installed: scripts/install-debian-packages.sh")
    folder = Path(tempfile.mkdtemp(prefix="segnets-bench-grid-"))
    try:
        found = grid(folder, given.database, given.trials, given.slots)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report(
        f"bench_grid_{given.database}",
        {},
        slots=given.slots,
        trial_s=SLEEP_S,
        **found,
        dry_run_10000_points_s=dry_run(),
    )


def grid(folder: Path, database: str, trials: int, slots: int) -> dict[str, Any]:
    """One grid from its start to its end, and what it cost."""
    world = new_world(folder / "world")
    dataset = made_dataset(world)
    code = folder / "code"
    shutil.copytree(ROOT / "flows", code / "flows")
    shutil.copy(ROOT / "pyproject.toml", code)
    shutil.copy(STUB, code / "flows" / "train.py")
    starts = folder / "starts"
    with contextlib.ExitStack() as closing:
        home = folder / "server"
        home.mkdir()
        postgres = None
        if database == "postgresql":
            postgres = Postgres(folder / "postgres")
            closing.callback(postgres.stop)
        server = Server(home, world.env, postgres and postgres.url)
        closing.callback(server.stop)
        server.start()
        env = {**world.env, **server.env, "PREFECT_WORKER_QUERY_SECONDS": "2"}
        deploy(env)
        env |= {"SEGNETS_HOME": str(code), "BENCH_STARTS": str(starts)}
        env |= {"BENCH_SLEEP_S": str(SLEEP_S)}
        machine = Machine(folder, env | {"SEGNETS_STORE": str(world.store)})
        closing.callback(machine.stop)
        machine.start("default")
        machine.start("gpu", limit=slots)
        seeds = ",".join(str(seed) for seed in range(-(-trials // 20)))
        rates = ",".join(f"{0.0001 * step:.4f}" for step in range(1, 21))
        axes = [f"lr={rates}", f"seed={seeds}"]
        with watched(server) as probes:
            began = time.monotonic()
            config = {"trial": {"dataset": dataset, "epochs": 1}, "grid": axes}
            run = start(server, "train-grid", config)
            state = end_of(server, run, starts)
            seconds = time.monotonic() - began
        size = postgres.size() if postgres else sum(f.stat().st_size for f in home.glob("*.db*"))
        state_message = read(server, run)["state"]["message"]
    counts = Counter(json.loads(line)[0] for line in starts.read_text().splitlines())
    expected = 20 * -(-trials // 20)
    return {
        "state": state,
        "message": state_message,
        "trials": expected,
        "lost": expected - len(counts),
        "twice": sum(count > 1 for count in counts.values()),
        "seconds": round(seconds, 1),
        "overhead_s_per_trial": round(seconds / expected - SLEEP_S / slots, 2),
        "server_mb": round(max(probes["rss"]) / 1e6),
        "server_mb_at_start": round(probes["rss"][0] / 1e6),
        "database_mb": round(size / 1e6, 1),
        "api_call_s": {
            "median": round(statistics.median(probes["call"]), 3),
            "p95": round(statistics.quantiles(probes["call"], n=20)[-1], 3),
            "slowest": round(max(probes["call"]), 2),
        },
    }


def made_dataset(world: World) -> str:
    """A tiny dataset in the world's store: a grid wants one to be there."""
    made = world.run("preprocess", *SMALL)
    assert made.code == 0, made.err
    assert made.json is not None
    return str(made.json["dataset"])


def end_of(server: Server, run: Any, starts: Path) -> str:
    """Wait for the end of a grid, with a line a minute."""
    until, said = time.monotonic() + LIMIT_S, time.monotonic()
    while time.monotonic() < until:
        state = "?"
        with contextlib.suppress(OSError):  # it answers late while it is busy
            state = str(read(server, run)["state"]["type"])
        if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            return state
        if time.monotonic() - said > 60:
            said = time.monotonic()
            ended = len(starts.read_text().splitlines()) if starts.exists() else 0
            print(f"{ended} trials have ended", file=sys.stderr, flush=True)
        time.sleep(2)
    return "still running"


@contextlib.contextmanager
def watched(server: Server) -> Any:
    """Every 2 s: resident bytes of the server's processes, seconds of a call that lists 200 runs."""
    probes: dict[str, list[float]] = {"rss": [], "call": []}
    ended = threading.Event()

    def watch() -> None:
        while True:
            began = time.monotonic()
            with contextlib.suppress(OSError, AssertionError):
                ask(server, "flow_runs/filter", limit=200, sort="START_TIME_DESC")
            probes["call"].append(time.monotonic() - began)
            probes["rss"].append(resident(server))
            if ended.wait(PROBE_S):
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield probes
    finally:
        ended.set()
        thread.join()


def resident(server: Server) -> float:
    """Bytes in memory of all processes of the server's session."""
    assert server.process is not None
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(folder.name)) == server.process.pid:
                pages += int((folder / "statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def dry_run() -> float:
    """Seconds of a dry run of 10,000 points from the shell, the start of Python included; median of 3."""
    with tempfile.TemporaryDirectory() as folder:
        world = new_world(Path(folder) / "world")
        dataset = made_dataset(world)
        axes = ["lr=log:1e-4..1e-2:100", "seed=" + ",".join(map(str, range(100)))]
        words = ["--dataset", dataset, *(word for axis in axes for word in ("--grid", axis))]
        took = []
        for _ in range(3):
            began = time.monotonic()
            done = world.run("train_grid", *words, "--dry-run")
            took.append(time.monotonic() - began)
            assert done.code == 0, done.err
            assert done.json is not None
            assert done.json["outlook"]["trials"] == 10_000
    return round(statistics.median(took), 2)


if __name__ == "__main__":
    main()

"""What the store costs: a training loop that saves, 64 MB objects up and down, a list of many trials.

python benchmarks/bench_store.py [--quick] [--save] [--rounds N] [--only loop,transfer,listing]

One thread of torch; the server is a real one on this machine (rclone), behind a line of 40 MB/s for the
loop. A ratio of the loop is 1 + (what a save adds to a window of steps) / 30 s: an epoch of 30 s that
ends in a save. --window 30 measures whole epochs. Wall time counts; CPU time stands beside it.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import boto3
import store_listing
import store_loop
import store_transfer
import torch
from crash.places import environment
from support.servers import BUCKET, S3Server, rclone_server
from timing import report

from segnets.store.preflight import probe
from segnets.store.s3 import S3Store

EPOCH_S = 30.0


def loop(server: S3Server, folder: Path, rounds: int, window_s: float) -> tuple[Any, Any]:
    """Ratios of each way of saving to none, and what they are made of."""
    store = store_loop.SlowStore(f"s3://{server.bucket}/loop")
    probe(store)
    ways = store_loop.Ways(store, folder)
    took = store_loop.measure(ways, rounds=rounds, window_s=window_s)
    ways.close()
    none = took.pop("none")
    ratios = {
        name: spread(
            [1 + (one.wall - base.wall) / EPOCH_S for one, base in zip(saved, none, strict=True)]
        )
        for name, saved in took.items()
    }
    cpu = {
        name: spread(
            [1 + (one.cpu - base.cpu) / EPOCH_S for one, base in zip(saved, none, strict=True)]
        )
        for name, saved in took.items()
    }
    facts = {
        "state_mb": round(ways.state_bytes / 1e6),
        "line_mb_s": store.megabytes_s,
        "epoch_s": EPOCH_S,
        "window_s": round(statistics.median(one.wall for one in none), 1),
        "save_s": {name: round(statistics.median(s), 2) for name, s in ways.save_seconds.items()},
        "cpu": cpu,
    }
    return ratios, facts


def transfer(server: S3Server, rounds: int) -> tuple[Any, Any]:
    """Ratios of ours to the best of boto3's ways, by round, and of all of them to ours."""
    store = S3Store(f"s3://{server.bucket}/transfer")
    probe(store)
    ratios, facts = {}, {}
    for name, seconds in zip(
        ("upload", "download"), store_transfer.measure(store, rounds), strict=True
    ):
        ours = seconds.pop("ours")
        best = min(seconds, key=lambda way: statistics.median(seconds[way]))
        ratios[f"{name}_vs_boto3_best"] = spread(
            [one / other for one, other in zip(ours, seconds[best], strict=True)]
        )
        speeds = {"ours": ours, **seconds}
        facts[name] = {
            "boto3_best": best,
            "mb_s": {
                way: round(store_transfer.SIZE / 1e6 / statistics.median(took))
                for way, took in speeds.items()
            },
        }
    return ratios, facts


def listing(folder: Path, sizes: Sequence[int], rounds: int) -> Any:
    """Seconds of `ls` and of the app's look, for a folder of each size and rclone at the first."""
    seconds: dict[str, Any] = {}
    for before, num in zip((0, *sizes), sizes, strict=False):
        store_listing.fill(folder, range(before, num), conditional=True)
        seconds[f"folder, {num} trials"] = store_listing.measure(str(folder), num, rounds)
        print(f"listing: {num} trials in a folder", file=sys.stderr)
    # a server of its own: one that has listed the bucket before would not see files put below it
    data = folder.parent / "rclone" / BUCKET / "listing"
    store_listing.fill(data, range(sizes[0]), conditional=False)
    with rclone_server(folder.parent) as server, environment(server.env):
        url = f"s3://{server.bucket}/listing"
        seconds[f"rclone, {sizes[0]} trials"] = store_listing.measure(url, sizes[0], rounds)
    return seconds


def spread(ratios: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(ratios, n=4)
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def main() -> None:
    """One run of all three; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="of each comparison; 7, --quick: 2")
    parser.add_argument("--window", type=float, default=10.0, help="seconds of steps around a save")
    parser.add_argument("--quick", action="store_true", help="few rounds, 100 and 1000 trials")
    parser.add_argument("--only", default="loop,transfer,listing", help="some of these")
    parser.add_argument("--save", action="store_true", help="keep the result in RESULTS")
    given = parser.parse_args()
    rounds = given.rounds or (2 if given.quick else 7)
    parts = given.only.split(",")
    torch.set_num_threads(1)
    ratios: dict[str, Any] = {}
    facts: dict[str, Mapping[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temp, rclone_server(Path(temp)) as server:
        os.environ.update(server.env)
        if "loop" in parts:
            found, facts["loop"] = loop(server, Path(temp), rounds, given.window)
            ratios.update(found)
        if "transfer" in parts:
            found, facts["transfer"] = transfer(server, rounds)
            ratios.update(found)
        if "listing" in parts:
            sizes = (100, 1_000) if given.quick else (1_000, 10_000)
            (Path(temp) / "listing").mkdir()
            at = Path(temp) / "listing" / "store"
            facts["listing_s"] = listing(at, sizes, 1 + rounds // 3)
    report(
        "bench_store",
        ratios,
        **facts,
        rounds=rounds,
        threads=1,
        torch=str(torch.__version__),
        boto3=boto3.__version__,
        time="wall time, medians and quartiles of paired ratios, rounds interleaved",
    )


if __name__ == "__main__":
    main()

"""The whole job on street scenes that are drawn here: dataset, grid of four, scores, masks.

Runs the flows as a user would, one command after the other, without a Prefect server. A second call
finds everything in the store and trains nothing. The last line of stdout is one JSON object.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCENES = ("--scenes", "72", "--height", "112", "--width", "224")
TRAINING = ("--epochs", "3", "--threads", "1")
JOBS = str(min(4, len(os.sched_getaffinity(0))))  # a trial a core: 1.6 times as quick as one on two
AXES = ("--grid", "lr=0.001,0.003", "--grid", "batch_size=2,4")


def run_flow(name: str, *flags: str) -> dict:
    """The JSON line of `python flows/NAME.py FLAGS`; leaves with its exit code if it fails."""
    command = [sys.executable, f"flows/{name}.py", *flags]
    print(f"\n$ python {shlex.join(command[1:])}", file=sys.stderr, flush=True)
    environment = os.environ | {"PREFECT_API_URL": "", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        print(done.stdout, end="")
        raise SystemExit(done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def baselines(store_url: str, dataset: str) -> dict[str, float]:
    """What a prediction that never looks at a frame scores on val: `prior_miou`, `constant_miou`."""
    from segnets.store.bag import read_done
    from segnets.store.log import read_file
    from segnets.store.open import open_store

    store = open_store(store_url, write=False)
    done = read_done(store, "dataset", dataset)
    assert done is not None, "preprocess said that it is there"
    stats = json.loads(read_file(store, done.file("stats.json")))
    return {name: stats[name] for name in ("prior_miou", "constant_miou")}


def main() -> None:
    """Preprocess, train the grid, score the best, write masks; then say what is where."""
    start = time.monotonic()
    made = run_flow("preprocess", *SCENES)
    dataset = made["dataset"]
    grid = run_flow("train_grid", "--dataset", dataset, *TRAINING, "--jobs", JOBS, *AXES)
    best = grid["best"]["trial"]
    scores = run_flow("evaluate", "--trial", best)
    masks = run_flow("predict", "--trial", best, "--split", "val", "--out", "masks")
    result = {
        "flow": "demo",
        "status": "done",
        "seconds": round(time.monotonic() - start, 1),
        "store": grid["store"],
        "dataset": dataset,
        "leaderboard": grid["leaderboard"],
        "ran": grid["ran"],
        "masks": masks["written"] + masks["reused"],
        "out": masks["out"],
        "val_miou": grid["best"]["val_miou"],
        **baselines(grid["store"], dataset),
        "classes_over_0_2": sum(
            value is not None and value > 0.2 for value in scores["network"]["iou"].values()
        ),
    }
    print(f"\n{'trial':<26} {'val mIoU':>8}  settings")
    for row in grid["leaderboard"]:
        settings = " ".join(f"{name}={value}" for name, value in row["settings"].items())
        print(f"{row['trial']:<26} {row['val_miou']:>8.3f}  {settings}")
    print(
        f"without looking at a frame: {result['prior_miou']:.3f}\n"
        f"{result['masks']} masks under {result['out']}; look at everything with: make app\n"
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()

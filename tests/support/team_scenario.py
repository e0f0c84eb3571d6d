"""What a team does in a day, inside tests/support/team.py; prints one JSON object of what was seen.

A dataset and a grid on S3; the trials' worker is stopped politely in the middle of a trial, another one
joins and the grid completes; a prediction; the server without its password; the app.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TINY = {"height": 64, "width": 128, "scenes": 9, "clip_frames": 2}
LOG = Path("/tmp/worker-trials-cpu.log")


def run(deployment: str, config: dict[str, object]) -> subprocess.Popen[str]:
    """Start a run of a deployment and watch it to its end."""
    command = ["prefect", "deployment", "run", deployment, "-p", f"config={json.dumps(config)}"]
    return subprocess.Popen([*command, "--watch"], stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> int:
    """Exit code of a watched run; what it said goes to stderr if it failed."""
    said, _ = process.communicate()
    if process.returncode:
        print(said, file=sys.stderr)
    return process.returncode


def store() -> str:
    """What the store holds, a line a subject."""
    command = [sys.executable, "-m", "segnets.store", "ls", os.environ["SEGNETS_STORE"]]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def pid_of(*words: str) -> int:
    """The process whose command holds all these words."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if all(word in command for word in words):
            return int(path.parent.name)
    raise AssertionError(words)


def wait_for(pattern: str, log: Path, wait_s: float = 240) -> None:
    """Return once the log has a line like this."""
    deadline = time.monotonic() + wait_s
    while not re.search(pattern, log.read_text()):
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.1)


def main() -> None:
    """The day."""
    seen: dict[str, object] = {"preprocess": finish(run("preprocess/preprocess", TINY))}
    dataset = re.search(r"streets-\S+", store())
    assert dataset is not None
    trial = {"dataset": dataset[0], "epochs": 12, "batch_size": 2}
    config = {"trial": trial, "grid": ["seed=0,1"]}
    grid = run("train-grid/train-grid", config)
    wait_for(r"epoch 1 of 12 saved", LOG)
    began = time.monotonic()
    worker = pid_of("deployments/worker.py", "gpu")
    os.kill(worker, signal.SIGTERM)
    while Path(f"/proc/{worker}").exists() and "State:\tZ" not in status(worker):
        time.sleep(0.05)
    seen["worker_left_s"] = time.monotonic() - began
    seen["trial_saved"] = bool(
        re.search(
            r"step \d+, in epoch \d+, saved|epoch \d+ of 12 saved",
            LOG.read_text().partition("SIGTERM to run")[2],
        )
    )
    joined = Path("/tmp/joined.log")
    command = [sys.executable, "deployments/worker.py", "--queue", "gpu", "--gpu", ""]
    with joined.open("wb") as log:
        other = subprocess.Popen(command, stderr=log, stdout=log)
    seen["grid"] = finish(grid)
    seen["goes_on"] = bool(re.search(r"goes on from the checkpoint", joined.read_text()))
    seen["again"] = finish(run("train-grid/train-grid", config))
    seen["predict"] = finish(run("predict/predict", {}))
    seen["masks"] = sum(1 for _ in Path("masks").rglob("*_color.png"))
    seen["trials_done"] = len(
        re.findall(r"^trial\s+\S+\s+[\d,]+\s+done, epoch 12", store(), re.MULTILINE)
    )
    try:
        urllib.request.urlopen("http://server:4200/api/flow_runs/count")
    except urllib.error.HTTPError as refusal:
        seen["without_password"] = refusal.code
    with urllib.request.urlopen("http://127.0.0.1:5006/results_app") as page:
        seen["app"] = page.status
    other.terminate()
    seen["other_worker"] = other.wait()
    print(json.dumps(seen))


def status(pid: int) -> str:
    """/proc/PID/status, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main()

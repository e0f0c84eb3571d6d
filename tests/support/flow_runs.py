"""Flow runs on a real Prefect server, asked for and looked at as anybody may: by its API."""

import contextlib
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

ENDS = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def ask(server, path, **body):
    """POST to the server's API."""
    return _answer(
        urllib.request.Request(
            f"{server.url}/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
    )


def read(server, run):
    """A flow run as the server knows it now."""
    return _answer(f"{server.url}/flow_runs/{run['id']}")


def _answer(request, tries=20):
    for left in reversed(range(tries)):
        try:
            with urllib.request.urlopen(request, timeout=90) as reply:  # SQLite may stall a minute
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            if error.code != 503 or not left:  # 503: its SQLite database is busy
                raise
            time.sleep(0.5)
    raise AssertionError


def newest_run(server, flow):
    runs = ask(
        server,
        "flow_runs/filter",
        flows={"name": {"any_": [flow]}},
        sort="START_TIME_DESC",
        limit=1,
    )
    return runs[0]


def lines_of(server, run, count=1, timeout_s=20):
    """The log lines of a run; they come in batches, so this waits for some."""
    until = time.monotonic() + timeout_s
    while True:
        logs = ask(server, "logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}}, limit=200)
        said = [line["message"] for line in logs]
        if len(said) >= count or time.monotonic() > until:
            return said
        time.sleep(0.2)


def start(server, deployment, config):
    """A flow run of a deployment, started as anybody may: by the API."""
    found = _answer(f"{server.url}/deployments/name/{deployment}/{deployment}")
    return ask(server, f"deployments/{found['id']}/create_flow_run", parameters={"config": config})


def wait_for_end(server, run, timeout_s=240):
    until = time.monotonic() + timeout_s
    while (now := read(server, run))["state"]["type"] not in ENDS:
        assert time.monotonic() < until, now["state"]
        time.sleep(0.5)
    return now["state"]


def trials_of(server, trial):
    """The flow runs of a trial, the newest first."""
    runs = {"tags": {"all_": [f"trial:{trial}"]}}
    return ask(server, "flow_runs/filter", flow_runs=runs, sort="EXPECTED_START_TIME_DESC")


def wait_for(question, timeout_s=120):
    until = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < until
        time.sleep(0.3)
    return answer


def process_of(run_id):
    """The pid of the process that works on a flow run: its environment names it."""
    wanted = f"PREFECT__FLOW_RUN_ID={run_id}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
    return None

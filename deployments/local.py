"""Prefect on this machine: python deployments/local.py up | down  (make up, make down).

up starts a server on 127.0.0.1 with its database in .prefect/, the pool and queues, the deployments of
prefect.yaml, and workers: one for the queue default, and for the queue gpu one a GPU that torch can use
(one for the CPU where there is none), or as many as --workers says. It writes prefect.toml with the
server's address, so that in this folder `prefect deployment run ...` and `python flows/x.py` find it with
nothing exported. Safe to repeat: what lives stays, what died is started again, runs that a dead worker
left are set to Crashed.

down takes prefect.toml away, pauses the pool, lets running trials save (30 s), and ends workers and
server. Processes are known by pid and start time, so nobody else's process is ever signalled.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from gpus import seen_by_torch
from place import LOOPBACK, NEAR, PORT, Fault, Place, say
from processes import children, end, run_processes

from tasks.gpus import visible_gpus

DEPLOYMENTS = Path(__file__).resolve().parent
REPOSITORY = DEPLOYMENTS.parent
POOL = "segnets"
HEALTH_S = 120.0
"""Seconds to wait for the server: its first start makes a database, 9 s here, more on a slow disk."""
WORKER_S = 60.0
"""Seconds for a worker to report to the server; 2 here."""
LEAVE_S = 45.0
"""Seconds for a worker to leave: 30 for its runs to save, 10 for their reports, and some."""
NO_WORKERS = frozenset({"server", "logs"})
OPEN_STATES = frozenset({"RUNNING", "PENDING", "CANCELLING"})


def main() -> int:
    """Up or down, one at a time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("verb", choices=("up", "down"))
    parser.add_argument(
        "--port",
        type=int,
        help=f"port of the server (default {PORT}, or a free one if it is taken)",
    )
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY, help="folder of prefect.yaml and .prefect/"
    )
    parser.add_argument(
        "--workers",
        type=int,
        help="trials at a time, dealt to the GPUs in turn (default one a GPU, or one on the CPU)",
    )
    given = parser.parse_args()
    if given.workers is not None and given.workers < 1:
        parser.error(f"--workers {given.workers}: at least one worker takes trials")
    if not Path("/proc/self/stat").exists():
        print("error: make up and make down need Linux's /proc. Use deployments/compose.yaml.")
        return 1
    place = Place(given.folder.resolve())
    try:
        with place.lock():
            up(place, given.port, given.workers) if given.verb == "up" else down(place)
    except Fault as fault:
        say(f"error: {fault}")
        return 1
    except OSError as fault:
        say(f"error: the Prefect server gave no answer: {place.api} ({fault}). make down, make up.")
        return 1
    return 0


def up(place: Place, port: int | None, workers: int | None) -> None:
    """Start what is not there yet."""
    began = time.monotonic()
    named = os.environ.get("PREFECT_API_URL")
    there = urlsplit(named or place.api)
    is_near = there.hostname in NEAR
    if not is_near or there.port not in {port, place.port}:
        raise Fault(
            f"PREFECT_API_URL names another server: {named}. Unset it to start one here; to work for "
            "that one start python deployments/worker.py --queue gpu"
        )
    if "server" not in place.processes():
        start_server(place, port)
    if "logs" not in place.processes():
        place.start("logs", [sys.executable, str(DEPLOYMENTS / "logs.py"), str(place.logs)])
    wait_until_healthy(place)
    deploy(place)
    sweep(place)
    place.call("PATCH", f"/work_pools/{POOL}", {"is_paused": False})
    names = start_workers(place, workers)
    (place.folder / "prefect.toml").write_text(f'[api]\nurl = "{place.api}"\n')
    say(
        f"up in {time.monotonic() - began:.0f} s: {place.url} with workers "
        f"{', '.join(names)}; logs in {place.logs}"
    )


def start_server(place: Place, wanted: int | None) -> None:
    """A server on the port of last time, or `wanted`, or a free one."""
    old = place.port
    port = free_port(wanted, old)
    if port != old:  # workers that outlived the server ask at the old address
        end(place.processes().values(), LEAVE_S)
    place.keep("port", port)
    where = ["--host", LOOPBACK, "--port", str(port)]
    place.start("server", [sys.executable, "-m", "prefect", "server", "start", *where])
    say(f"server starts on {place.url}")


def deploy(place: Place) -> None:
    """Pool, queues and deployments on the server; a Fault if Prefect refuses them."""
    command = [sys.executable, str(DEPLOYMENTS / "pool.py")]
    with place.log("deploy") as log:
        done = subprocess.run(
            command, cwd=place.folder, env=place.environment(), stdout=log, stderr=log, check=False
        )
    if done.returncode:
        raise Fault(
            f"the deployments of prefect.yaml were refused: {place.logs / 'deploy.log'}. "
            "Read its last lines; make down stops the server."
        )
    say("pool, queues and deployments are there")


def start_workers(place: Place, number: int | None) -> list[str]:
    """The workers that do not live yet; the names of all of them.

    Trials have a queue of their own: a grid and its trials on one limited queue would wait for each
    other for ever. What runs on the queue default (scores, predictions) may use any GPU there is.
    """
    command = [sys.executable, str(DEPLOYMENTS / "worker.py")]
    wanted = {"default": ["-q", "default", "--limit", "4"]}
    for name, device in deal(usable_gpus(), number).items():
        wanted[name] = ["-q", "gpu", "--limit", "1", "--gpu", device]
    living = place.processes()
    surplus = [] if number is None else living.keys() - wanted.keys() - NO_WORKERS
    if surplus:
        say(f"workers that are too many leave when their runs have saved: {', '.join(surplus)}")
        end([living[name] for name in surplus], LEAVE_S)
    since = datetime.now(UTC)
    missing = [name for name in wanted if name not in living]
    for name in missing:
        place.start(name, [*command, *wanted[name], "--name", worker_name(name)])
    wait_until_heard(place, missing, since)
    return sorted(place.processes().keys() - NO_WORKERS)


def usable_gpus() -> list[str]:
    """The GPUs that torch can use, by their names for CUDA_VISIBLE_DEVICES; none is no fault."""
    listed = visible_gpus()
    if not listed:
        return []
    try:
        seen = len(seen_by_torch())
    except RuntimeError as error:
        say(f"torch cannot use the GPU, trials run on the CPU: {error}. make doctor says more.")
        return []
    if seen < len(listed):
        say(f"torch sees {seen} of {len(listed)} GPUs. make doctor says more.")
    return listed[:seen]


def deal(devices: list[str], number: int | None) -> dict[str, str]:
    """Names of `number` workers for trials -> their device, GPUs in turn; "" is the CPU."""
    named = {f"gpu{device}": device for device in devices} or {"cpu": ""}
    first = list(named.items())
    dealt = {}
    for index in range(len(first) if number is None else number):
        round_, place = divmod(index, len(first))
        name, device = first[place]
        dealt[name if round_ == 0 else f"{name}-{round_ + 1}"] = device
    return dealt


def worker_name(name: str) -> str:
    """A worker's name in Prefect's UI."""
    return f"{socket.gethostname()}-{name}"


def wait_until_heard(place: Place, names: list[str], since: datetime) -> None:
    """Return once each worker has reported to the server; a Fault if one ends or stays silent."""
    deadline = time.monotonic() + WORKER_S
    while names:
        heard = {
            worker["name"]
            for worker in place.call("POST", f"/work_pools/{POOL}/workers/filter", {})
            if datetime.fromisoformat(worker["last_heartbeat_time"]) >= since
        }
        names = [name for name in names if worker_name(name) not in heard]
        living = place.processes()
        for name in names:
            if name not in living or time.monotonic() > deadline:
                raise Fault(
                    f"the worker {name} did not start: {place.logs / name}.log. "
                    "Read its last lines, then make down."
                )
        time.sleep(0.1)


def down(place: Place) -> None:
    """Let the runs save, then end workers and server; nothing is left."""
    (place.folder / "prefect.toml").unlink(missing_ok=True)  # first: new commands run without
    living = place.processes()
    if "server" in living:
        with contextlib.suppress(OSError):  # a server that is ill must not keep us from stopping it
            place.call("PATCH", f"/work_pools/{POOL}", {"is_paused": True})
    workers = [process for name, process in living.items() if name not in NO_WORKERS]
    saving = sum(len(children(process.pid)) for process in workers)
    if saving:
        say(f"{saving} runs get SIGTERM and 30 s to save")
    end(workers, LEAVE_S)  # worker.py lets its runs save before it leaves
    end(run_processes(place.api), 5.0)  # such as outlived a worker that was killed
    end([process for name, process in living.items() if name in NO_WORKERS], 15.0)
    place.state_file.unlink(missing_ok=True)
    say("down" if living else "nothing was up")


def sweep(place: Place) -> None:
    """Set to Crashed the runs of our deployments that no process works at any more.

    A worker that was killed leaves its runs Running for ever, and nobody else picks them up. Right on
    one machine only, where every run of a deployment is a process of this machine. A Pending run may
    be on its way to a process while a worker lives, so those wait for an `up` without workers.
    """
    working = {process.run for process in run_processes(place.api)}
    alone = not place.processes().keys() - NO_WORKERS
    states = OPEN_STATES if alone else OPEN_STATES - {"PENDING"}
    for run in place.runs(sorted(states)):
        if run["id"] not in working:
            place.set_state(run, "CRASHED", "its worker is gone")
            say(f"run {run['name']} was left {run['state']['name']} by a dead worker: Crashed")
    if alone:
        oversleep(place)


def oversleep(place: Place) -> None:
    """Cancel what a schedule missed while nothing was up, but for the newest of each deployment.

    One prediction run does the work of all that were missed; ten at once would only fight for it.
    """
    now = datetime.now(UTC).isoformat()
    missed = [run for run in place.runs(["SCHEDULED"], until=now) if run["auto_scheduled"]]
    missed.sort(key=lambda run: str(run["expected_start_time"]))
    newest = {run["deployment_id"]: run["id"] for run in missed}
    for run in missed:
        if run["id"] != newest[run["deployment_id"]]:
            place.set_state(run, "CANCELLED", "missed while nothing was up; a later one runs")


def wait_until_healthy(place: Place) -> None:
    """Poll /api/health; a Fault if the server dies or does not answer in HEALTH_S."""
    deadline = time.monotonic() + HEALTH_S
    while True:
        with contextlib.suppress(OSError):
            place.call("GET", "/health")
            return
        if "server" not in place.processes():
            what = "the Prefect server ended while it started"
        elif time.monotonic() > deadline:
            what = f"the Prefect server did not answer within {HEALTH_S:.0f} s"
        else:
            time.sleep(0.2)
            continue
        raise Fault(f"{what}: {place.logs / 'server.log'}. Read its last lines, then make down.")


def free_port(wanted: int | None, usual: int) -> int:
    """`wanted` (a Fault if it is taken), else the usual one if it is free, else any free one."""
    for port in (wanted,) if wanted else (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                return int(probe.getsockname()[1])
    raise Fault(f"the port is taken: {wanted}. Choose another --port.")


if __name__ == "__main__":
    raise SystemExit(main())

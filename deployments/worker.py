"""A process worker that lets its runs save before it leaves: python deployments/worker.py -q gpu -l 1.

Prefect 3.8.8 answers SIGTERM to a process worker by SIGKILL to its runs, within 0.04 s: nothing is
saved, and the runs stay Running for ever. This worker is the same one with another way out, for
`make up`, for containers (as entry point, so that `docker stop` is harmless) and by hand:

1. it asks for no more runs; a run it has already taken still starts, so that none is lost;
2. each of its runs gets SIGTERM: the step ends, the trial is saved, the run reports Crashed, and a grid
   that still has a parent starts it again elsewhere;
3. when all are gone, or after --wait seconds and SIGKILL, the worker itself ends, with code 0.

A second signal skips the waiting. A server that is away or answers with errors is waited for (polite.py);
Prefect's own worker ends after a minute and a half, and kills its runs. Needs PREFECT_API_URL (or
prefect.toml in the working directory).
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from processes import Process, children

from tasks.gpus import visible_gpus

POOL = "segnets"
REPORT_S = 10.0
"""Seconds in which a killed run is still reported as Crashed."""


def main() -> int:
    """Run one worker until SIGTERM or SIGINT."""
    given = parse_args(sys.argv[1:])
    os.environ.setdefault("SEGNETS_HOME", str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # pyproject.toml says it too, to who starts in the repository; automations.yaml counts on it
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")
    if given.each_gpu:
        return one_a_gpu(given)
    if given.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = given.gpu  # the runs inherit it
    return asyncio.run(serve(given))


def parse_args(argv: list[str]) -> argparse.Namespace:
    """The flags; --queue and --limit go by the names of `prefect worker start`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "-q", "--queue", required=True, help="queue to take runs from: default, gpu"
    )
    parser.add_argument("-l", "--limit", type=int, default=1, help="runs at a time (default 1)")
    parser.add_argument("-n", "--name", help="name in the UI (default HOST-QUEUE-PID)")
    parser.add_argument("--gpu", help="CUDA_VISIBLE_DEVICES of its runs; empty hides every GPU")
    parser.add_argument(
        "--each-gpu", action="store_true", help="be one such worker for every GPU there is"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=30.0,
        help="seconds a stop waits for runs to save (default 30)",
    )
    parser.add_argument(
        "--health", action="store_true", help="answer on $PREFECT_WORKER_WEBSERVER_PORT /health"
    )
    return parser.parse_args(argv)


def one_a_gpu(given: argparse.Namespace) -> int:
    """A worker process for each GPU; signals reach all, and the end of one is the end of all.

    The exit code is the highest of theirs, so that whoever watches this process starts it again.
    """
    devices = visible_gpus()
    if not devices:
        say("error: there is no GPU here: nvidia-smi lists none. Say --gpu '' to train on the CPU.")
        return 2
    base = [sys.executable, __file__, "--queue", given.queue, "--limit", str(given.limit)]
    base += ["--wait", str(given.wait)]
    workers = []
    for number, device in enumerate(devices):
        name = [] if given.name is None else ["--name", f"{given.name}-{device}"]
        health = ["--health"] if given.health and number == 0 else []  # one port, one answer
        command = [*base, "--gpu", device, *name, *health]
        # sessions of their own: Ctrl-C would reach them twice, and a second signal ends the waiting
        workers.append(subprocess.Popen(command, start_new_session=True))

    def hand_on(signum: int, _frame: object) -> None:
        for worker in workers:
            worker.send_signal(signum)

    signal.signal(signal.SIGTERM, hand_on)
    signal.signal(signal.SIGINT, hand_on)
    while all(worker.poll() is None for worker in workers):
        time.sleep(0.2)
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    return max(abs(worker.wait()) for worker in workers)


async def serve(given: argparse.Namespace) -> int:
    """Work until a signal; then the way out described above."""
    # here, because Prefect's import takes 1.2 s that --help does without
    import httpx
    from polite import PoliteWorker, hear_cancels_again
    from pool import NOBODY, api_url

    if api_url() is None:
        say(NOBODY)
        return 1
    hear_cancels_again()
    worker = PoliteWorker(
        work_pool_name=POOL,
        work_queues=[given.queue],
        limit=given.limit,
        name=given.name or f"{socket.gethostname()}-{given.queue}-{os.getpid()}",
    )
    asked = asyncio.Event()
    hurry = asyncio.Event()

    def on_signal() -> None:
        (hurry if asked.is_set() else asked).set()

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, on_signal)

    working = asyncio.create_task(worker.start(with_healthcheck=given.health, printer=say))
    stopping = asyncio.create_task(asked.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        await let_runs_save(worker, given.wait, hurry)
    working.cancel()
    stopping.cancel()
    try:
        await working
    except asyncio.CancelledError:
        say(f"worker {worker.name} has left")
    except httpx.HTTPError as error:  # at its first question; later ones are asked again
        say(f"error: {no_entry(error, str(api_url()))}")
        return 1
    return 0


def no_entry(error: Exception, url: str) -> str:
    """Why a worker could not begin, in one sentence."""
    from pool import REFUSED

    code = getattr(getattr(error, "response", None), "status_code", None)
    if code in {401, 403}:
        return REFUSED.format(url)
    said = f"answers {code}" if code else "does not answer"
    return f"the Prefect server {said}: {url}. Start it, then this worker again."


async def let_runs_save(worker: Any, wait_s: float, hurry: asyncio.Event) -> None:
    """SIGTERM to each run, then wait until all are gone and reported; SIGKILL after `wait_s`."""
    worker.leaving = True
    asked: set[Process] = set()
    deadline = time.monotonic() + wait_s
    while is_busy(worker) and time.monotonic() < deadline and not hurry.is_set():
        for run in set(children(os.getpid())) - asked:  # one that was being started appears late
            say(f"SIGTERM to run process {run.pid}, {deadline - time.monotonic():.0f} s to save")
            run.send_group(signal.SIGTERM)
            asked.add(run)
        await asyncio.sleep(0.1)
    for run in children(os.getpid()):
        say(f"SIGKILL to run process {run.pid}: it did not leave in time")
        run.send_group(signal.SIGKILL)
    deadline = time.monotonic() + REPORT_S
    while is_busy(worker) and time.monotonic() < deadline:  # noqa: ASYNC110  # no event for it
        await asyncio.sleep(0.1)


def is_busy(worker: Any) -> bool:
    """True while a run is asked for, started, running or reported: each holds a slot."""
    slots = worker._limiter  # None before the worker is set up  # noqa: SLF001
    return worker.asking or (slots is not None and slots.borrowed_tokens > 0)


def say(text: str) -> None:
    """One line for people on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""A trial on several ranks: torchrun as a child of the one flow run, and what runs on each rank.

this process                 python -m tasks.ranks FLAGS      torchrun in it, one process a rank
one JSON object a line    <- {"log"}, {"step"}, {"epoch"} of rank 0, then {"result"}, {"fault"} or {"stopped"}
SIGTERM, or the end of it -> torchrun hands SIGTERM to the ranks; rank 0 saves, the others leave with it
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from segnets import errors
from segnets.cli import keep_stdout, parse, to_flags
from segnets.config.build import build
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError, RankLost, SegnetsError, Stopped
from segnets.store.open import open_store, resolve_url
from tasks.stops import PARENT, die_with_parent

if TYPE_CHECKING:  # it imports torch, which a grid does without
    from segnets.training.outcome import TrialResult

STOP_S = 35.0
"""How long the ranks may take to save after SIGTERM; torchrun kills what is left after 30."""

Say = Callable[[dict[str, Any]], None]

logger = logging.getLogger("segnets")


# --- in the process of the trial ---------------------------------------------------------------------


def train_on_ranks(
    config: TrainConfig,
    *,
    on_epoch: Callable[[dict[str, Any]], None],
    on_step: Callable[[int, int], None],
) -> "TrialResult":
    """Train the trial of `config` on `config.ranks` processes; what rank 0 says is said here.

    Raises what rank 0 raised, ConfigError where the ranks are more than the GPUs, RankLost where one
    was killed.
    """
    from segnets.inference.device import default_threads
    from segnets.training.outcome import TrialResult

    _check_devices(config)
    config = replace(config, store=resolve_url(config.store))
    env = {**os.environ, "PREFECT_API_URL": "", PARENT: str(os.getpid())}
    threads = max(1, default_threads() // config.ranks)
    env["OMP_NUM_THREADS"] = str(threads)  # torchrun would say 1
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.ranks", *to_flags(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=env,
        start_new_session=True,  # Ctrl-C comes here first, and goes on as one SIGTERM
    )
    assert process.stdout is not None
    with process.stdout as lines:
        try:
            said = _listen(lines, on_epoch, on_step)
        except BaseException:  # stopped: what they save is told before this ends
            _stop(process, lines, on_epoch)
            raise
        finally:
            _end(process)
    if "result" in said:
        return TrialResult(**said["result"])
    if "stopped" in said:
        raise Stopped(said["stopped"])
    if "fault" in said:
        kind, *words = said["fault"]
        raise getattr(errors, kind)(*words)
    raise RankLost(
        "the ranks of this trial ended without a word",
        f"torchrun ended with exit code {process.returncode}",
        "The lines above may say why; run the same command again: it goes on from the last save.",
    )


def _check_devices(config: TrainConfig) -> None:
    import torch

    there = torch.cuda.device_count()
    if config.device == "cpu" or not there:
        return
    if config.ranks > there:
        raise ConfigError(
            f"each rank needs a GPU, and {there} can be seen here",
            f"--ranks {config.ranks}",
            "Take fewer, or show more: CUDA_VISIBLE_DEVICES=0,1, worker.py --gpu 0,1.",
        )


def _listen(
    lines: IO[bytes],
    on_epoch: Callable[[dict[str, Any]], None],
    on_step: Callable[[int, int], None],
) -> dict[str, Any]:
    """Pass on what rank 0 says until it has ended; its last word."""
    last: dict[str, Any] = {}
    for line in lines:
        said = json.loads(line)
        if "log" in said:
            name, level, message = said["log"]
            logging.getLogger(name).log(level, "%s", message)
        elif "epoch" in said:
            on_epoch(said["epoch"])
        elif "step" in said:
            on_step(*said["step"])
        else:
            last = said
    return last


def _stop(
    process: subprocess.Popen[bytes],
    lines: IO[bytes],
    on_epoch: Callable[[dict[str, Any]], None],
) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    patience = threading.Timer(STOP_S, _kill, [process])
    patience.start()
    try:
        _listen(lines, on_epoch, lambda _done, _all: None)
    finally:
        patience.cancel()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for torchrun, which has nothing left to wait for; never for long."""
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


# --- in torchrun and its ranks -----------------------------------------------------------------------


def main() -> None:
    """Without a rank be torchrun, with one be that rank."""
    die_with_parent()
    config = build(TrainConfig, parse(TrainConfig, sys.argv[1:], prog="tasks.ranks")[0])
    if "LOCAL_RANK" in os.environ:
        _be_rank(config, int(os.environ["LOCAL_RANK"]))
    else:
        _be_torchrun(config)


def _be_torchrun(config: TrainConfig) -> None:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the trial says it
    os.environ[PARENT] = str(os.getpid())
    words = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", str(config.ranks)]
    try:
        torchrun([*words, "-m", "tasks.ranks", *sys.argv[1:]])
    except SignalException as stopped:
        raise SystemExit(128 + stopped.sigval) from None
    except ChildFailedError:  # a rank that was killed; one with a bug has printed its traceback
        raise SystemExit(1) from None


def _be_rank(config: TrainConfig, rank: int) -> None:
    import torch

    from segnets.training.distributed import join

    is_gpu = config.device != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda", rank) if is_gpu else torch.device("cpu")
    if rank > 0:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_IGN)  # it leaves when rank 0 does
        with contextlib.suppress(RankLost, Stopped):  # rank 0 says what there is to say
            _follow(config, join(rank, config.ranks, device))
        return
    with keep_stdout() as say_line:
        lock = threading.Lock()

        def say(content: dict[str, Any]) -> None:
            with lock:
                say_line(content)

        with _logs_to(say):
            try:
                ranks = join(rank, config.ranks, device)
                try:
                    say({"result": asdict(_lead(replace(config, device_index=rank), ranks, say))})
                finally:
                    with contextlib.suppress(RankLost):
                        ranks.begin(None)  # if nobody has said anything yet: they may leave
            except Stopped as stopped:
                say({"stopped": stopped.signum})
            except SegnetsError as fault:
                say({"fault": [type(fault).__name__, *fault.args]})


def _lead(config: TrainConfig, ranks: Any, say: Say) -> "TrialResult":
    from segnets.data.reader import open_dataset
    from segnets.training.loop import train

    store = open_store(config.store, write=True, wait_s=60 * config.store_wait)
    told = time.monotonic()

    def on_step(done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > 0.2:  # a bar needs no more
            told = time.monotonic()
            say({"step": [done, of]})

    with open_dataset(store, config.dataset, _cache(config)) as dataset:
        return train(
            config,
            dataset,
            store,
            on_epoch=lambda row: say({"epoch": row}),
            on_step=on_step,
            ranks=ranks,
        )


def _follow(config: TrainConfig, ranks: Any) -> None:
    from segnets.data.reader import open_dataset
    from segnets.training.loop import follow

    begin = ranks.begin(None)
    if begin is None:
        return
    store = open_store(config.store, write=False, wait_s=60 * config.store_wait)
    with open_dataset(store, config.dataset, _cache(config)) as dataset:
        follow(config, dataset, ranks, begin)


def _cache(config: TrainConfig) -> Path | None:
    return Path(config.cache) if config.cache else None


@contextlib.contextmanager
def _logs_to(say: Say) -> Iterator[None]:
    """What the core logs as lines for the process of the trial."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say({"log": [record.name, record.levelno, record.getMessage()]})

    logger.addHandler(Lines())
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield


if __name__ == "__main__":
    main()

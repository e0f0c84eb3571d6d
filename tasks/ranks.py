"""A trial on several ranks: torchrun as a child of the one flow run, and what runs on each rank.

this process                 python -m tasks.ranks FLAGS      torchrun in it, one process a rank
one JSON object a line    <- {"log"}, {"step"}, {"epoch"} of rank 0, then {"result"}, {"fault"} or {"stopped"}
SIGINT, also at its end   -> torchrun hands SIGINT on: rank 0 saves, the others leave with it
a rank dies               -> torchrun sends SIGTERM: the others end, rank 0 meets RankLost
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
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from segnets import errors
from segnets.cli import keep_stdout, parse, to_flags
from segnets.config.build import build
from segnets.config.ids import trial_id
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError, Diverged, RankLost, SegnetsError, Stopped
from segnets.store.base import Store
from segnets.store.log import read_env
from segnets.store.open import open_store, resolve_url
from tasks.stops import PARENT, die_with_parent, signals_stop

if TYPE_CHECKING:  # it imports torch, which a grid does without
    from segnets.training.distributed import Ranks
    from segnets.training.result import TrialResult

STOP_S = 35.0
"""How long the ranks may take to save after a stop; torchrun kills what is left after 30."""

Say = Callable[[dict[str, Any]], None]

logger = logging.getLogger("segnets")


def train_here(
    config: TrainConfig,
    store: Store,
    *,
    on_epoch: Callable[[dict[str, Any]], None],
    on_step: Callable[[int, int], None],
    ranks: "Ranks | None" = None,
) -> "TrialResult":
    """Train the trial in this process: alone, or as rank 0 of several."""
    from segnets.data.reader import open_dataset
    from segnets.training.distributed import ALONE
    from segnets.training.loop import train

    with open_dataset(store, config.dataset, _cache(config)) as dataset:
        return train(
            config, dataset, store, on_epoch=on_epoch, on_step=on_step, ranks=ranks or ALONE
        )


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
    from segnets.training.result import TrialResult

    config = replace(config, store=resolve_url(config.store))
    _check_devices(config)
    env = {**os.environ, "PREFECT_API_URL": "", PARENT: str(os.getpid())}
    env.pop("LOCAL_RANK", None)  # of a launcher that knows nothing of us
    threads = max(1, default_threads() // config.ranks)
    env["OMP_NUM_THREADS"] = str(threads)  # torchrun would say 1
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.ranks", *to_flags(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=env,
        start_new_session=True,  # Ctrl-C comes here first, and goes on as one SIGINT
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
    if "bug" in said:  # its traceback stands above
        raise RuntimeError(said["bug"])
    raise RankLost(
        "the ranks of this trial ended without a word",
        f"torchrun ended with exit code {process.returncode}",
        "Run the same command again: it goes on from the last save. The lines above may say why.",
    )


def _check_devices(config: TrainConfig) -> None:
    import torch

    there = torch.cuda.device_count()
    if _kind_of_device(config) == "cpu":
        return
    if config.ranks > there:
        raise ConfigError(
            f"each rank needs a GPU, and {there} can be seen here",
            f"--ranks {config.ranks}",
            "Take fewer, or show more: CUDA_VISIBLE_DEVICES=0,1, worker.py --gpu 0,1.",
        )


def _kind_of_device(config: TrainConfig) -> str:
    """Where the ranks compute, cpu or cuda: as it was sealed, else as the settings say."""
    import torch

    store = open_store(config.store, write=False, wait_s=60 * config.store_wait)
    sealed = (read_env(store, trial_id(config)) or {}).get("device")
    if sealed is not None:
        return str(sealed)
    return "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"


def _listen(
    lines: IO[bytes],
    on_epoch: Callable[[dict[str, Any]], None],
    on_step: Callable[[int, int], None],
) -> dict[str, Any]:
    """Pass on what the ranks say until the last word; a fault of another rank stands above RankLost."""
    last: dict[str, Any] = {}
    for line in lines:
        try:
            said = json.loads(line)
            assert isinstance(said, dict)
        except (ValueError, AssertionError):  # a library that prints
            sys.stderr.write(line.decode(errors="replace"))
            continue
        if "log" in said:
            name, level, message = said["log"]
            logging.getLogger(name).log(level, "%s", message)
        elif "epoch" in said:
            on_epoch(said["epoch"])
        elif "step" in said:
            on_step(*said["step"])
        elif last.get("fault", ["RankLost"])[0] == "RankLost":
            last = said
            if "result" in said:
                break
    return last


def _stop(
    process: subprocess.Popen[bytes],
    lines: IO[bytes],
    on_epoch: Callable[[dict[str, Any]], None],
) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
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
    rank = os.environ.get("LOCAL_RANK")
    die_with_parent(signal.SIGINT if rank in {None, "0"} else signal.SIGKILL)
    config = build(TrainConfig, parse(TrainConfig, sys.argv[1:], prog="tasks.ranks")[0])
    if rank is None:
        _be_torchrun(config)
    else:
        with keep_stdout() as say:
            raise SystemExit(_be_rank(config, int(rank), say))


def _be_torchrun(config: TrainConfig) -> None:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the trial says it
    os.environ[PARENT] = str(os.getpid())
    words = ["--standalone", "--local-addr", "127.0.0.1", "--log-dir", os.devnull]
    words += ["--nproc-per-node", str(config.ranks)]
    try:
        torchrun([*words, "-m", "tasks.ranks", *sys.argv[1:]])
    except SignalException as stopped:
        raise SystemExit(128 + stopped.sigval) from None
    except ChildFailedError:  # a rank that was killed; one with a bug has printed its traceback
        raise SystemExit(1) from None


def _be_rank(config: TrainConfig, rank: int, say_line: Say) -> int:
    """Make the steps of this rank; 0 if it came to its end, or to one that all ranks know of."""
    import torch

    from segnets.training.distributed import join

    # rank 0 saves on SIGINT; SIGTERM comes when another one has died, which it will notice itself
    signal.signal(signal.SIGTERM if rank == 0 else signal.SIGINT, signal.SIG_IGN)
    if rank == 0:
        signals_stop()
    lock = threading.Lock()

    def say(content: dict[str, Any]) -> None:
        with lock:
            say_line(content)

    try:
        kind = _kind_of_device(config)
        device = torch.device("cuda", rank) if kind == "cuda" else torch.device("cpu")
        ranks = join(rank, config.ranks, device)
        if rank > 0:
            _follow(config, ranks)
            return 0
        with _logs_to(say), _company(ranks):
            if device.type == "cuda":
                config = replace(config, device_index=0)
            say({"result": asdict(_lead(config, ranks, say))})
        return 0
    except Stopped as stopped:
        if rank == 0:
            say({"stopped": stopped.signum})
        return 0
    except SegnetsError as fault:
        if rank == 0 or not isinstance(fault, (RankLost, Diverged)):  # all ranks have met these
            say({"fault": [type(fault).__name__, *fault.args]})
        return 0 if isinstance(fault, Diverged) else 1
    except Exception as error:  # noqa: BLE001  # a bug: its traceback is for us
        traceback.print_exc()
        say({"bug": f"{type(error).__name__}: {error}"})
        return 1


@contextlib.contextmanager
def _company(ranks: "Ranks") -> Iterator[None]:
    """In rank 0: the others leave with it, whatever it meets and wherever they wait."""
    others = ranks.processes()[1:]
    try:
        yield
        with contextlib.suppress(RankLost):
            ranks.begin(None)  # if there was nothing to do: nobody has told them yet
    except BaseException:
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        raise


def _lead(config: TrainConfig, ranks: "Ranks", say: Say) -> "TrialResult":
    store = open_store(config.store, write=True, wait_s=60 * config.store_wait)
    told = time.monotonic()

    def on_step(done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > 0.2:  # a bar needs no more
            told = time.monotonic()
            say({"step": [done, of]})

    return train_here(
        config, store, on_epoch=lambda row: say({"epoch": row}), on_step=on_step, ranks=ranks
    )


def _follow(config: TrainConfig, ranks: "Ranks") -> None:
    from segnets.data.reader import open_dataset
    from segnets.training.loop import follow

    ranks.processes()
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

"""Trials as processes of this machine: one session each, stderr straight into the trial's log file."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segnets.cli import to_flags
from segnets.config.ids import trial_id
from segnets.config.train import TrainConfig
from segnets.errors import OutOfSpace
from segnets.store.open import resolve_url
from tasks.display import TrialLines
from tasks.gpus import gpus_for
from tasks.launch import End
from tasks.notify import ENVIRONMENT as NOTIFY
from tasks.stops import PARENT

STOP_S = 30.0
"""How long a trial may take to save after SIGTERM."""


@dataclass(slots=True)
class Running:
    """A trial's process, its log file, and how far that was read."""

    trial: str
    process: subprocess.Popen[bytes]
    log: Path
    read: int
    gpu: str | None


class Processes:
    """Starts trials as processes, each on free GPUs where there are GPUs: one, or one a rank."""

    poll_s = 0.2

    def __init__(self, lines: TrialLines, *, jobs: int | None, device: str, ranks: int = 1) -> None:
        self._lines = lines
        gpus = gpus_for(device, ranks)
        self.slots = slots_for(jobs, gpus)
        # More jobs than GPUs share them in turn.
        self._gpus = [gpus[i % len(gpus)] for i in range(self.slots)] if gpus else []
        self._logs = Path(os.environ.get("SEGNETS_LOGS") or "logs").absolute()

    def start(self, config: TrainConfig, launch: int) -> Running:
        """Start `python -m flows.train` with every flag spelt out."""
        trial = trial_id(config)
        # Its log file is for reading afterwards, however quiet the grid itself is.
        config = replace(config, store=resolve_url(config.store), quiet=False)
        path = self._logs / f"{trial}.log"
        gpu = self._gpus.pop(0) if self._gpus else None
        # A make up in mid-grid must not turn trials into flow runs, so no Prefect for the child.
        env = {**os.environ, "PREFECT_API_URL": "", PARENT: str(os.getpid())}
        env.pop(NOTIFY, None)  # the grid tells of its trials, after their last launch
        if gpu is not None:
            env["CUDA_VISIBLE_DEVICES"] = gpu
        elif self.slots > 1:  # side by side, not each with a thread for every core
            env.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.slots)))
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as log:
                read = log.tell()
                process = subprocess.Popen(
                    [sys.executable, "-m", "flows.train", *to_flags(config)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=env,
                    start_new_session=True,
                )
        except OSError as error:
            raise OutOfSpace(
                f"the log file of a trial cannot be written ({error.strerror})",
                path,
                "Free some space, or set SEGNETS_LOGS to another folder.",
            ) from None
        self._lines.say(trial, f"launch {launch}, log in {path}")
        return Running(trial, process, path, read, gpu)

    def poll(self, handle: Running) -> End | None:
        """Show what it wrote; its end, once it has ended."""
        code = handle.process.poll()
        self._show(handle)
        if code is None:
            return None
        if handle.gpu is not None:
            self._gpus.append(handle.gpu)
        assert handle.process.stdout is not None
        with handle.process.stdout as out:
            sentence = _sentence(out.read())
        if code < 0:
            name = signal.Signals(-code).name
            return End(128 - code, f"its process was killed by {name}", died=True)
        return End(code, sentence or _last_line(handle.log))

    def stop(self, handles: Sequence[Running]) -> None:
        """SIGTERM to each group, 30 s to save, then SIGKILL, also if a second signal cuts it short."""
        alive = [handle for handle in handles if handle.process.poll() is None]
        try:
            for handle in alive:
                _signal(handle, signal.SIGTERM)
            until = time.monotonic() + STOP_S
            while time.monotonic() < until and any(one.process.poll() is None for one in alive):
                time.sleep(0.05)
                for handle in alive:
                    self._show(handle)
        finally:
            for handle in alive:
                if handle.process.poll() is None:
                    _signal(handle, signal.SIGKILL)
                    handle.process.wait()
                self._show(handle)

    def _show(self, handle: Running) -> None:
        """Hand on what it has written since; a log that was taken away or cut is no reason to stop."""
        try:
            with handle.log.open("rb") as log:
                handle.read = min(handle.read, log.seek(0, os.SEEK_END))
                log.seek(handle.read)
                new = log.read()
        except OSError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        handle.read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if line.strip():
                self._lines.say(handle.trial, line)


def slots_for(jobs: int | None, gpus: Sequence[str]) -> int:
    """How many trials run at a time on this machine: as asked, else one a GPU, else one."""
    return jobs or max(1, len(gpus))


def _signal(handle: Running, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(handle.process.pid, signum)


def _sentence(out: bytes) -> str:
    """The sentence of the JSON line a trial wrote; empty if it wrote none."""
    try:
        content: Any = json.loads(out.splitlines()[-1])
        return str(content.get("error", {}).get("sentence", ""))
    except (IndexError, ValueError, AttributeError):
        return ""


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("error: ") if lines else ""

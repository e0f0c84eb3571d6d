"""A grid on two machines while everything dies once: it completes, with the bits of an undisturbed one.

    python -m tests.crash deaths --part k/10 --store rclone       10 grids in 1/1; PostgreSQL must be installed

Two machines are two folders with homes of their own; each has a worker for grids and one for trials. They
share a Prefect server on PostgreSQL and an S3 server. While a grid of 12 trials trains, in a random order
and at random times: a worker for trials is killed and comes back, a trial is killed, the server is
restarted, PostgreSQL is restarted, the S3 server is away for a minute, the grid itself is killed and
retried as anybody would. Each process that trains holds a lock file of its trial, outside the store;
one that finds it held is an overlap.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.commands import ROOT, World, new_world
from support.flow_runs import process_of, read, start, trials_of
from support.machines import Machine, Server, deploy
from support.postgres import Postgres
from support.servers import S3Server, free_port, rclone_server

from crash import worlds
from crash.places import damage, environment, share
from crash.shell import fill
from segnets.store.names import list_subjects
from segnets.store.open import open_store

GRIDS = 10
AXES = ("seed=0,1,2,3,4,5", "lr=0.001,0.003")
EPOCHS = 8
S3_AWAY_S = 60.0
LIMIT_S = 1200.0
RETRIES = 4
"""Most times that the grid is retried: once as it is killed, and when it began while a server was away."""
CRASHED_S = 12.0
"""A late report of a crash overwrites a retry that came before it."""

WATCHED = '''
"""flows/train.py, whose trials train under a lock; who finds it held is written down."""
import fcntl as _fcntl
import json as _json
import os as _os
import time as _time
from pathlib import Path as _Path

import tasks.train as _edge
from segnets.config.ids import trial_id as _trial_id

_real = _edge.train_trial


def _watched(config):
    folder, trial = _Path(_os.environ["DEATHS_LOCKS"]), _trial_id(config)

    def note(what):
        line = _json.dumps({"trial": trial, "pid": _os.getpid(), "t": _time.time(), "what": what})
        with (folder / "log").open("a") as log:
            log.write(line + "\\n")

    with (folder / trial).open("a") as lock:
        try:
            _fcntl.flock(lock, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            note("start")
        except BlockingIOError:
            note("overlap")
        try:
            return _real(config)
        finally:
            note("end")


_edge.train_trial = _watched

'''


def run(part: int, parts: int, seed: int, store: str, grids: int = GRIDS) -> dict[str, Any]:
    """This part's share of the grids; `told` is what was wrong, `table` what happened when."""
    assert store == "rclone", "its data lie in files, so a server that was killed goes on with them"
    chance = random.Random(f"deaths {seed} {part}/{parts}")
    found: dict[str, Any] = dict.fromkeys(
        ("points", "ok", "lost_epochs", "corrupt", "not_bit_equal", "overlaps", "trials"), 0
    )
    found |= {"told": [], "table": []}
    with worlds.prepare() as commands:
        with commands.copy() as world:
            flags = ["--dataset", commands.dataset, *worlds.QUICK, "--epochs", str(EPOCHS)]
            axes = [word for axis in AXES for word in ("--grid", axis)]
            calm = world.popen("train_grid", *flags, *axes, "--jobs", "2")
            said = calm.communicate(timeout=900)[1]
            assert calm.returncode == 0, said
            expected = worlds.digests(open_store(str(world.store), write=False))
        for number in range(share(grids, part, parts)):
            folder = Path(tempfile.mkdtemp(prefix=f"segnets-deaths-{number}-"))
            try:
                one = _grid(folder, commands, expected, chance)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            found = {name: found[name] + one[name] for name in found}
    return found


def _grid(
    folder: Path, commands: worlds.Commands, expected: Any, chance: random.Random
) -> dict[str, Any]:
    """One grid from its start to its end."""
    trial = {"dataset": commands.dataset, "epochs": EPOCHS, "threads": 1, "precision": "fp32"}
    config = {"trial": trial, "grid": list(AXES)}
    with team(folder, commands) as there:
        began = time.monotonic()
        parent = start(there.server, "train-grid", config)
        deaths = Deaths(there, parent, chance, began)
        told = deaths.all()
        state = there.end_of(parent, began + LIMIT_S)
        while (
            state == "CRASHED" and deaths.retries < RETRIES
        ):  # it had begun while a server was away
            deaths.retry()
            state = there.end_of(parent, began + LIMIT_S)
        seconds = time.monotonic() - began
        deaths.join()
        if state != "COMPLETED":
            told.append(f"the grid ended as {state}")
        store = open_store(there.store, write=False)
        found = worlds.digests(store)
        corrupt = [fault for fault in damage(store) if "no line of it" not in fault]
        trials = set(list_subjects(store)["trial"]) & (expected.keys() - {commands.trial})
        notes = [json.loads(line) for line in (there.locks / "log").read_text().splitlines()]
        launches = {name: len(trials_of(there.server, name)) for name in trials}
        if told:
            told.append(there.logs())
    overlaps = sum(note["what"] == "overlap" for note in notes)
    differ = sum(expected[name] != found.get(name) for name in expected)
    right = not (told or corrupt or differ or overlaps)
    return {
        "points": 1,
        "ok": int(right),
        "lost_epochs": sum(name not in found for name in expected),
        "corrupt": len(corrupt),
        "not_bit_equal": differ,
        "overlaps": overlaps,
        "trials": len(trials),
        "told": [*told, *corrupt],
        "table": [
            {
                "seconds": round(seconds),
                "deaths": deaths.table,
                "retries": deaths.retries,
                "flow_runs": sum(launches.values()),
                "starts": sum(note["what"] != "end" for note in notes),
            }
        ],
    }


@dataclass
class Team:
    """The servers, the machines, and what they share; the server answers as in flow_runs.py."""

    folder: Path
    postgres: Postgres
    s3: S3Server
    env: dict[str, str]
    server: Server
    s3_process: contextlib.AbstractContextManager[S3Server]
    machines: list[Machine] = field(default_factory=list)

    @property
    def store(self) -> str:
        return f"s3://{self.s3.bucket}/team"

    @property
    def locks(self) -> Path:
        return self.folder / "locks"

    def end_of(self, run: Any, until: float) -> str:
        """The type of the state in which a run ended; the last one seen if it did not."""
        state = "?"
        while time.monotonic() < until:
            with contextlib.suppress(OSError, AssertionError):
                state = str(read(self.server, run)["state"]["type"])
                if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
                    return state
            time.sleep(1)
        return state

    def logs(self) -> str:
        """The ends of all logs, for whoever looks what went wrong."""
        files = [self.server.log, *self.folder.glob("machine-*/*.log")]
        return "\n".join(f"--- {file.name}\n{file.read_text()[-6000:]}" for file in files)


@contextlib.contextmanager
def team(folder: Path, commands: worlds.Commands) -> Iterator[Team]:
    """PostgreSQL, S3 with the dataset in it, the Prefect server, deployments, two machines."""
    world: World = new_world(folder / "home")
    for name in ("locks", "server"):
        (folder / name).mkdir()
    code = folder / "code"
    shutil.copytree(ROOT / "flows", code / "flows")
    shutil.copy(ROOT / "pyproject.toml", code)
    train = code / "flows" / "train.py"
    train.write_text(WATCHED + train.read_text())
    with contextlib.ExitStack() as closing:
        postgres = Postgres(folder / "postgres")
        closing.callback(postgres.stop, "immediate")
        port = free_port()
        s3_process = rclone_server(folder, port=port)
        s3 = s3_process.__enter__()
        server = Server(folder / "server", {**world.env, **s3.env}, postgres.url)
        there = Team(folder, postgres, s3, {**world.env, **s3.env}, server, s3_process)
        closing.callback(lambda: there.s3_process.__exit__(None, None, None))
        closing.enter_context(environment(s3.env))
        fill(commands.world.store, there.store)
        closing.callback(server.stop)
        server.start()
        there.env |= {
            **server.env,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DEATHS_LOCKS": str(there.locks),
            "SEGNETS_STORE": there.store,
        }
        deploy(there.env)
        for name in ("machine-a", "machine-b"):
            home = folder / name
            home.mkdir()
            own = {"HOME": str(home), "PREFECT_HOME": str(home / "prefect"), "TMPDIR": str(home)}
            own |= {"XDG_CACHE_HOME": str(home / "cache"), "SEGNETS_HOME": str(code)}
            machine = Machine(home, {**there.env, **own})
            there.machines.append(machine)
            closing.callback(machine.stop)
            for queue in ("default", "gpu"):
                machine.start(queue)
        yield there


class Deaths:
    """Everything that dies while the grid trains, each once."""

    def __init__(self, there: Team, parent: Any, chance: random.Random, began: float) -> None:
        self.there, self.parent, self.chance, self.began = there, parent, chance, began
        self.table: list[str] = []
        self.retries = 0
        self._threads: list[threading.Thread] = []

    def all(self) -> list[str]:
        """One after the other, in a random order; what could not be done, one sentence each."""
        kinds: list[Callable[[], None]] = [
            self.worker,
            self.trial,
            self.prefect,
            self.database,
            self.s3,
            self.grid,
        ]
        self.chance.shuffle(kinds)
        told = []
        _until(lambda: self._running() is not None, 120)
        for kill in kinds:
            time.sleep(self.chance.uniform(1, 12))
            try:
                kill()
            except Exception as error:  # noqa: BLE001  # told, and the others go on
                told.append(f"{kill.__name__}: {type(error).__name__}: {error}")
        return told

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def worker(self) -> None:
        """The process only: what it had started is left to itself."""
        machine = self.chance.choice(self.there.machines)
        worker = machine.workers["gpu"]
        worker.kill()
        worker.wait()
        away = self.chance.uniform(1, 20)
        self._note(f"worker of {machine.folder.name}, back after {away:.0f} s")
        self._later(away, lambda: machine.start("gpu"))

    def trial(self) -> None:
        pid = _until(self._running, 120)
        os.kill(pid, signal.SIGKILL)
        self._note("trial")

    def prefect(self) -> None:
        self.there.server.stop()
        away = self.chance.uniform(0, 15)
        time.sleep(away)
        self._note(f"Prefect server, {away:.0f} s")
        self.there.server.start()

    def database(self) -> None:
        self.there.postgres.stop(how := self.chance.choice(["fast", "immediate"]))
        away = self.chance.uniform(0, 15)
        time.sleep(away)
        self._note(f"PostgreSQL, {how}, {away:.0f} s")
        self.there.postgres.start()

    def s3(self) -> None:
        there, s3 = self.there, self.there.s3
        port = int(s3.endpoint.rpartition(":")[2])
        os.killpg(s3.pid, signal.SIGKILL)
        os.waitpid(s3.pid, 0)
        self._note(f"S3 server, {S3_AWAY_S:.0f} s")

        def again() -> None:
            there.s3_process = rclone_server(there.folder, port=port)
            there.s3 = there.s3_process.__enter__()

        self._later(S3_AWAY_S, again)

    def grid(self) -> None:
        """Killed, then retried once it is said to have crashed."""
        pid = _until(lambda: process_of(self.parent["id"]), 60)
        os.kill(pid, signal.SIGKILL)
        self._note("grid")
        state = self.there.end_of(self.parent, time.monotonic() + 120)
        assert state == "CRASHED", state
        self.retry()

    def retry(self) -> None:
        """As anybody would: a while after the crash, by Prefect's own command."""
        self.retries += 1
        time.sleep(CRASHED_S)
        command = [sys.executable, "-m", "prefect", "flow-run", "retry", self.parent["id"]]
        for _ in range(10):  # the server may be on its way back
            done = subprocess.run(command, env=self.there.env, capture_output=True, text=True)
            if done.returncode == 0:
                return
            time.sleep(3)
        raise AssertionError(done.stdout + done.stderr)

    def _running(self) -> int | None:
        """The process of a trial that trains now, as it wrote down itself."""
        log = self.there.locks / "log"
        if not log.exists():
            return None
        notes = [json.loads(line) for line in log.read_text().splitlines()]
        ended = {note["pid"] for note in notes if note["what"] == "end"}
        living = [
            note["pid"]
            for note in notes
            if note["pid"] not in ended and Path(f"/proc/{note['pid']}").exists()
        ]
        return int(self.chance.choice(living)) if living else None

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        thread = threading.Timer(seconds, work)
        thread.start()
        self._threads.append(thread)

    def _note(self, what: str) -> None:
        self.table.append(f"{time.monotonic() - self.began:.0f} s: {what}")


def _until(question: Callable[[], Any], wait_s: float) -> Any:
    until = time.monotonic() + wait_s
    while not (answer := question()):
        assert time.monotonic() < until, "nothing came of it in time"
        time.sleep(0.2)
    return answer

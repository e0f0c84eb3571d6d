"""make up and make down, in a folder and on a port of their own, with a flow that only waits and saves."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LOCAL = REPOSITORY / "deployments" / "local.py"
PYTHON = sys.executable

FLOW = """
import time
from pathlib import Path
from prefect import flow

@flow(persist_result=False)
def wait(name: str, seconds: float):
    Path(name).write_text("running")
    try:
        time.sleep(seconds)
    except BaseException:
        Path(name).write_text("saving")
        time.sleep(1)
        Path(name).write_text("saved")
        raise
    Path(name).write_text("done")
"""

PREFECT_YAML = """
pull:
  - prefect.deployments.steps.set_working_directory: {directory: "{{ $SEGNETS_HOME }}"}
deployments:
  - name: trial
    entrypoint: flows/wait.py:wait
    work_pool: {name: segnets, work_queue_name: gpu}
  - name: score
    entrypoint: flows/wait.py:wait
    work_pool: {name: segnets, work_queue_name: default}
"""


class Machine:
    """A folder in which the team of one works: up, down, runs and what is left of them."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "flows").mkdir()
        (folder / "flows" / "wait.py").write_text(FLOW)
        (folder / "prefect.yaml").write_text(PREFECT_YAML)
        (folder / "pyproject.toml").write_text((REPOSITORY / "pyproject.toml").read_text())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        dropped = ("PREFECT_", "SEGNETS_")
        self.environment = {n: v for n, v in os.environ.items() if not n.startswith(dropped)}
        self.environment["CUDA_VISIBLE_DEVICES"] = ""

    def local(self, *words):
        command = [PYTHON, LOCAL, *words, "--folder", self.folder]
        return subprocess.Popen(
            command, env=self.environment, stderr=subprocess.PIPE, text=True, stdout=sys.stderr
        )

    def up(self, *words):
        return self.finish(self.local("up", "--port", str(self.port), *words))

    def down(self):
        return self.finish(self.local("down"))

    def finish(self, process):
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        return said

    def prefect(self, *words):
        """A prefect command in the folder with nothing exported."""
        return subprocess.run(
            [PYTHON, "-m", "prefect", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def start(self, deployment, name, seconds):
        flags = ["-p", f"name={name}", "-p", f"seconds={seconds}"]
        done = self.prefect("deployment", "run", deployment, *flags)
        assert done.returncode == 0, done.stdout + done.stderr
        self.wait_for(name, "running")

    def wait_for(self, name, text, wait_s=90):
        deadline = time.monotonic() + wait_s
        while self.read(name) != text:
            assert time.monotonic() < deadline, f"{name} is {self.read(name)!r}, not {text!r}"
            time.sleep(0.05)

    def read(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else None

    def states(self):
        """Number of flow runs in each state."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/flow_runs/filter",
            b"{}",
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [run["state"]["type"] for run in json.load(answer)]

    def processes(self):
        """Pid and command of every process that was started in the folder or for its server."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().decode().split("\0")
                where = str((entry / "cwd").readlink())
                if int(entry.name) != os.getpid() and str(self.folder) in (where, *command):
                    found[int(entry.name)] = command
        return found

    def port_is_open(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def pids_of(self, word):
        return [pid for pid, command in self.processes().items() if word in command]


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.down()
    assert made.processes() == {}


def test_up_runs_a_deployment_and_down_saves_the_running_trial_and_leaves_nothing(machine):
    said = machine.up()
    assert f"http://127.0.0.1:{machine.port}" in said
    assert machine.prefect("config", "view").stdout.count(f":{machine.port}/api") == 1
    machine.start("wait/trial", "long", 600)

    began = time.monotonic()
    assert "1 runs get SIGTERM" in machine.down()
    assert time.monotonic() - began < 30
    assert machine.read("long") == "saved"
    assert machine.processes() == {}
    assert not machine.port_is_open()
    assert not (machine.folder / "prefect.toml").exists()
    done = machine.prefect("deployment", "run", "wait/trial")
    assert done.returncode == 1  # no temporary server starts behind our back
    assert "PREFECT_API_URL" in done.stdout + done.stderr


@pytest.mark.slow
def test_up_is_safe_to_repeat_at_once_and_after_anything_has_died(machine):
    machine.up()
    pids = set(machine.processes())
    both = [machine.local("up"), machine.local("up")]
    for process in both:
        machine.finish(process)
    assert set(machine.processes()) == pids, "what lives stays"

    machine.start("wait/trial", "killed", 600)
    (worker,) = machine.pids_of("gpu")
    runs = machine.pids_of("prefect.engine")
    for pid in (worker, *runs):  # as when the machine loses its power: nobody reports anything
        os.kill(pid, signal.SIGKILL)
    assert "RUNNING" in machine.states()
    assert "left Running by a dead worker: Crashed" in machine.up()
    assert machine.states() == ["CRASHED"]

    machine.start("wait/trial", "again", 1)
    machine.wait_for("again", "done")
    (server,) = machine.pids_of("server")
    os.kill(server, signal.SIGKILL)
    machine.up()
    machine.start("wait/score", "third", 1)
    machine.wait_for("third", "done")


@pytest.mark.slow
def test_a_stopped_worker_takes_no_more_runs_and_leaves_when_its_own_have_saved(machine):
    machine.up()
    machine.start("wait/trial", "first", 600)
    machine.prefect("deployment", "run", "wait/trial", "-p", "name=second", "-p", "seconds=1")
    (worker,) = machine.pids_of("gpu")
    os.kill(worker, signal.SIGTERM)
    machine.wait_for("first", "saved", wait_s=20)
    deadline = time.monotonic() + 20
    while machine.pids_of("gpu"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert machine.read("second") is None
    assert sorted(machine.states()) == ["CRASHED", "SCHEDULED"]
    machine.up()
    machine.wait_for("second", "done")


@pytest.mark.slow
def test_as_many_workers_take_trials_as_were_asked_for_and_those_too_many_save_and_leave(machine):
    said = machine.up("--workers", "2")
    assert "with workers cpu, cpu-2, default; logs in" in said
    (keeper,) = machine.pids_of(str(REPOSITORY / "deployments" / "logs.py"))
    for name in ("one", "two"):  # two at a time
        machine.start("wait/trial", name, 600)
    big = machine.folder / ".prefect" / "server.log"
    with big.open("ab") as log:
        log.write(b"x" * 10_000_000)
    wait_until((machine.folder / ".prefect" / "server.log.1").exists)
    wait_until(lambda: big.stat().st_size < 10_000_000)

    assert "workers cpu, default;" in machine.up("--workers", "1")
    assert sorted([machine.read("one"), machine.read("two")]) == ["running", "saved"]
    assert machine.pids_of(str(REPOSITORY / "deployments" / "logs.py")) == [keeper]
    assert "workers cpu, default;" in machine.up(), "without a number what lives stays"


def wait_until(condition, wait_s=60):
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_workers_at_all_is_wrong_use(machine):
    process = machine.local("up", "--workers", "0")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "at least one worker takes trials" in said


def test_down_where_nothing_is_up_says_so_and_is_no_fault(machine):
    assert "nothing was up" in machine.down()


def test_a_taken_port_that_was_asked_for_is_one_sentence(machine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", machine.port))
        taken.listen()
        process = machine.local("up", "--port", str(machine.port))
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == f"error: the port is taken: {machine.port}. Choose another --port.\n"


def test_a_folder_without_prefect_yaml_is_one_sentence(tmp_path):
    command = [PYTHON, LOCAL, "up", "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"error: there is no prefect.yaml: {tmp_path}. Say --folder.\n"

"""Logs that are cut while their writers write, and trials' workers dealt to GPUs."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOYMENTS = Path(__file__).resolve().parents[3] / "deployments"


@pytest.fixture
def load(monkeypatch):
    """A script of deployments/ as a module, found as it finds its neighbours."""
    monkeypatch.syspath_prepend(str(DEPLOYMENTS))
    return importlib.import_module


def test_a_log_over_its_size_starts_anew_and_its_writer_goes_on(load, tmp_path):
    rotate = load("logs").rotate
    log = tmp_path / "server.log"
    with log.open("ab") as file:
        writer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
    for number in range(5):
        writer.stdin.write(b"%d" % number * 100 + b"\n")
        writer.stdin.flush()
        while log.stat().st_size < 101:
            pass
        assert rotate(log, 200) is False
        assert rotate(log, 100) is True
        assert log.read_bytes() == b""
    writer.stdin.write(b"last\n")
    writer.stdin.close()
    writer.wait()
    assert log.read_bytes() == b"last\n", "no hole of zeros where the cut lines stood"
    kept = {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir() if path != log}
    assert kept == {"server.log.1": b"4", "server.log.2": b"3", "server.log.3": b"2"}


def test_the_keeper_of_logs_leaves_at_once_when_it_is_told(load, tmp_path):
    process = subprocess.Popen([sys.executable, DEPLOYMENTS / "logs.py", tmp_path])
    process.terminate()
    assert process.wait(10) in {0, -15}  # -15: before it had its handler


@pytest.mark.parametrize(
    ("devices", "number", "dealt"),
    [
        ([], None, {"cpu": ""}),
        ([], 2, {"cpu": "", "cpu-2": ""}),
        (["0", "1"], None, {"gpu0": "0", "gpu1": "1"}),
        (["0", "1"], 1, {"gpu0": "0"}),
        (["0", "1"], 3, {"gpu0": "0", "gpu1": "1", "gpu0-2": "0"}),
    ],
)
def test_workers_are_dealt_to_the_gpus_in_turn(load, devices, number, dealt):
    assert load("local").deal(devices, number) == dealt

"""make doctor against real folders, a real S3 server, a real Prefect server, and servers that are not well."""

import contextlib
import email.utils
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest
from support.commands import ROOT, clean_env
from support.flow_runs import wait_for
from support.servers import free_port

NAMES = ["python", "packages", "gpu", "disk", "store", "server", "workers", "clock"]


class Seen:
    """What the doctor said: its exit code, its findings by name, its JSON, its lines."""

    def __init__(self, done):
        self.code, self.said = done.returncode, done.stderr
        assert "Traceback" not in self.said
        self.json = json.loads(done.stdout)
        self.found = {one["check"]: one for one in self.json["checks"]}
        assert len(self.said.splitlines()) == len(self.found), "one line a check"

    def wrong(self):
        """The names of the checks that were not ok; the exit code, the JSON and the lines agree."""
        names = [name for name, one in self.found.items() if not one["ok"]]
        assert self.code == (1 if names else 0)
        assert self.json["status"] == ("failed" if names else "done")
        marked = [line.split()[1] for line in self.said.splitlines() if line.startswith("error")]
        assert marked == names
        if names:
            sentence = self.found[names[0]]["text"]
            assert self.json["error"] == {"sentence": sentence, "exit_code": 1}
        return names

    def text(self, name):
        return self.found[name]["text"]


@pytest.fixture
def doctor(tmp_path):
    def call(*flags, **env):
        given = clean_env() | {"HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""} | env
        command = [sys.executable, ROOT / "deployments" / "doctor.py", *flags]
        return Seen(
            subprocess.run(
                command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=180
            )
        )

    return call


# --- alone ----------------------------------------------------------------------------------------


def test_with_no_server_and_no_store_it_says_so_and_makes_nothing(doctor, tmp_path):
    seen = doctor()
    assert seen.wrong() == []
    assert list(seen.found) == NAMES
    assert seen.text("store") == f"none yet: {tmp_path / 'store'} is made by the first flow"
    assert "flows run without Prefect" in seen.text("server")
    assert seen.text("packages").startswith("all ")
    assert "hides them" in seen.text("gpu")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_tried_out_and_left_as_it_was(doctor, tmp_path):
    store = tmp_path / "kept"
    (store / "obj").mkdir(parents=True)
    (store / "obj" / "mine").write_text("bytes")
    seen = doctor("--store", str(store))
    assert seen.wrong() == []
    assert seen.text("store") == f"{store}: write, read, list, delete; exclusive writes"
    assert [path for path in store.rglob("*") if path.is_file()] == [store / "obj" / "mine"]


def test_a_store_that_cannot_be_one_is_one_sentence(doctor, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    seen = doctor(SEGNETS_STORE=str(tmp_path / "file"))
    assert seen.wrong() == ["store"]
    assert str(tmp_path / "file") in seen.text("store")


def test_a_package_that_is_missing_is_named_with_its_version(doctor, tmp_path):
    without = "import runpy, sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; "
    without += f"sys.argv = ['doctor']; sys.path.insert(0, {str(ROOT / 'deployments')!r}); "
    without += "import doctor; sys.exit(doctor.main())"
    done = subprocess.run(
        [sys.executable, "-c", without],
        cwd=tmp_path,
        env=clean_env(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    lines = done.stderr.splitlines()
    (packages,) = [line for line in lines if line.split()[1] == "packages"]
    assert "aiosqlite missing instead of " in packages
    assert packages.endswith("more. Run make clean setup.")
    (server,) = [line for line in lines if line.split()[1] == "server"]
    assert "Run make setup." in server or server.startswith("ok")


def test_a_gpu_that_the_driver_lists_and_torch_cannot_use_is_told(doctor, tmp_path):
    listing = tmp_path / "bin" / "nvidia-smi"
    listing.parent.mkdir()
    listing.write_text("#!/bin/sh\necho 'GPU 7: Test (UUID: none)'\n")
    listing.chmod(0o755)
    path = f"{listing.parent}:{os.environ['PATH']}"
    given = clean_env() | {"HOME": str(tmp_path), "PATH": path}
    given.pop("CUDA_VISIBLE_DEVICES", None)  # it would be believed before the driver
    done = subprocess.run(
        [sys.executable, ROOT / "deployments" / "doctor.py"],
        cwd=tmp_path,
        env=given,
        capture_output=True,
        text=True,
        timeout=180,
    )
    seen = Seen(done)
    if not Path("/dev/nvidiactl").exists():
        assert seen.wrong() == ["gpu"]
        assert "torch sees 0 of 1 GPUs" in seen.text("gpu")


def test_a_wrong_flag_is_wrong_use():
    command = [sys.executable, ROOT / "deployments" / "doctor.py", "--stor", "x", "y"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""


# --- S3 -------------------------------------------------------------------------------------------


@pytest.mark.s3
def test_an_s3_server_is_tried_out_with_its_clock(doctor, s3_server):
    seen = doctor("--store", f"s3://{s3_server.bucket}/doctor", **s3_server.env)
    assert seen.wrong() == []
    assert seen.text("store").endswith("no exclusive writes, names per writer")
    assert seen.text("clock").endswith("from the store")


@pytest.mark.s3
def test_a_wrong_secret_is_named_and_not_shown(doctor, s3_server):
    env = s3_server.env | {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    seen = doctor("--store", f"s3://{s3_server.bucket}/doctor", **env)
    assert seen.wrong() == ["store"]
    assert "the secret key does not fit the access key id" in seen.text("store")
    assert "not-the-secret" not in seen.said


def test_an_s3_server_that_is_away_is_told_within_its_wait(doctor, s3_server):
    env = s3_server.env | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    began = time.monotonic()
    seen = doctor("--store", "s3://segnets/doctor", **env)
    assert time.monotonic() - began < 60
    assert seen.wrong() == ["store"]


# --- Prefect --------------------------------------------------------------------------------------


def test_a_server_that_is_away_is_one_sentence_and_its_workers_are_not_asked(doctor):
    url = f"http://127.0.0.1:{free_port()}/api"
    seen = doctor(PREFECT_API_URL=url)
    assert seen.wrong() == ["server"]
    assert f"does not answer: {url} (" in seen.text("server")
    assert seen.text("server").endswith("Run make up to start it, or make down to work without it.")
    assert "workers" not in seen.found


@contextlib.contextmanager
def http_server(answer, host="127.0.0.1"):
    """A server whose GETs are answered by `answer(handler)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}/api"
    finally:
        server.shutdown()
        server.server_close()


def test_a_clock_that_is_an_hour_off_is_told_with_its_direction(doctor):
    def later(handler):
        handler.send_response_only(200)
        handler.send_header("Date", email.utils.formatdate(time.time() + 3600, usegmt=True))
        handler.end_headers()
        handler.wfile.write(json.dumps(version("prefect")).encode())

    with http_server(later) as url:
        seen = doctor(PREFECT_API_URL=url)
    assert "clock" in seen.wrong()
    assert " s behind that of the Prefect server" in seen.text("clock")
    assert 3500 < int(seen.text("clock").split(" s behind")[0].split()[-1]) < 3700


@pytest.mark.parametrize(
    ("status", "body", "part"),
    [
        (401, b"", "PREFECT_API_AUTH_STRING"),
        (200, b'"0.1"', "another version: 0.1"),
        pytest.param(404, b"", "The address ends in /api", marks=pytest.mark.slow),
        pytest.param(500, b"", "answers 500", marks=pytest.mark.slow),
        pytest.param(200, b"<html>", "does not answer", marks=pytest.mark.slow),
    ],
)
def test_whatever_else_answers_is_one_sentence(doctor, status, body, part):
    def answer(handler):
        is_open = handler.path == "/api/health" and status != 404  # Prefect asks no password there
        handler.send_response(200 if is_open else status)
        handler.end_headers()
        handler.wfile.write(b"true" if is_open else body)

    with http_server(answer) as url:
        seen = doctor(PREFECT_API_URL=url)
    assert seen.wrong() == ["server"]
    assert part in seen.text("server")


def test_a_server_for_other_machines_that_asks_for_no_password_is_told(doctor):
    host = "127.0.0.2"  # stands for an address that others reach; every Linux has it

    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(json.dumps(version("prefect")).encode())

    with http_server(answer, host) as url:
        seen = doctor(PREFECT_API_URL=url, no_proxy=host)
    assert seen.wrong() == ["server"]
    assert f"lets everybody in: {url}" in seen.text("server")


@pytest.mark.slow
def test_a_server_that_says_nothing_is_not_waited_for(doctor):
    silent = threading.Event()
    with http_server(lambda _: silent.wait(120)) as url:
        began = time.monotonic()
        seen = doctor(PREFECT_API_URL=url)
        assert time.monotonic() - began < 60
        silent.set()
    assert seen.wrong() == ["server"]


def test_a_server_without_pool_is_told_what_makes_it(doctor, prefect_server):
    seen = doctor(**prefect_server.env)
    assert seen.text("server") == f"{prefect_server.url}, Prefect {version('prefect')}"
    assert seen.text("clock").endswith("from the Prefect server")
    if not seen.found["workers"]["ok"]:  # another test of this server may have made one
        assert seen.wrong() == ["workers"]
        assert "there is no work pool segnets" in seen.text("workers")


@pytest.mark.slow
def test_workers_that_ask_are_online_and_one_that_has_left_is_missed(
    doctor, workers, prefect_server
):
    polled = wait_for(
        lambda: (seen := doctor(**prefect_server.env)).found["workers"]["ok"] and seen
    )
    assert polled.wrong() == []
    assert " online (" in polled.text("workers")
    assert all(f"-{queue}-" in polled.text("workers") for queue in workers.workers)
    prefect(prefect_server, "work-pool", "pause", "segnets")
    assert "is paused" in doctor(**prefect_server.env).text("workers")
    prefect(prefect_server, "work-pool", "resume", "segnets")
    prefect(prefect_server, "work-queue", "pause", "gpu", "--pool", "segnets")
    assert "the queue gpu is paused" in doctor(**prefect_server.env).text("workers")
    prefect(prefect_server, "work-queue", "resume", "gpu", "--pool", "segnets")
    workers.workers["gpu"].send_signal(signal.SIGTERM)
    workers.workers["gpu"].wait(60)
    missed = wait_for(
        lambda: not (seen := doctor(**prefect_server.env)).found["workers"]["ok"] and seen
    )
    assert missed.wrong() == ["workers"]
    assert "no worker takes runs from the queue gpu: nobody asked for" in missed.text("workers")


def prefect(server, *words):
    """A command of Prefect's."""
    command = [sys.executable, "-m", "prefect", *words]
    env = clean_env() | server.env
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

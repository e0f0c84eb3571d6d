"""Word to people by a real command and a real HTTP server, and what a hook that fails may cost."""

import contextlib
import json
import shlex
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from segnets.config.predict import PredictConfig
from segnets.errors import DatasetError, Stopped, TrialsFailed
from tasks import notify
from tasks.notify import ENVIRONMENT, tell, tells_failure, tells_night


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A command that keeps what it is told; a function that reads it."""
    path = tmp_path / "told"
    keep = f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read())"
    monkeypatch.setenv(ENVIRONMENT, shlex.join([sys.executable, "-c", keep]))
    return lambda: (
        [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    )


@contextlib.contextmanager
def listener(status=200, wait_s=0.0):
    """A server that keeps the bodies of POSTs; its URL and the bodies."""
    bodies = []
    leave = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(
                (self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            )
            if leave.wait(wait_s):
                return  # the one who asked has gone
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # server_close waits for their sockets
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook/a-secret-word", bodies
    finally:
        leave.set()
        server.shutdown()
        server.server_close()


def test_a_command_gets_one_json_object_on_its_stdin(told):
    tell("trial failed", "/some/store", trial="t-1", exit_code=1, sentence="é: a fault")
    (event,) = told()
    assert event.pop("time").endswith("+00:00")
    assert event.pop("host")
    assert event == {
        "event": "trial failed",
        "store": "/some/store",
        "trial": "t-1",
        "exit_code": 1,
        "sentence": "é: a fault",
    }


def test_a_url_gets_the_same_object_as_a_post(monkeypatch):
    with listener() as (url, bodies):
        monkeypatch.setenv(ENVIRONMENT, url)
        tell("drift", "s3://bucket/prefix", night="n", share=float("nan"))
    ((path, headers, body),) = bodies
    assert path == "/hook/a-secret-word"
    assert headers["Content-Type"] == "application/json"
    event = json.loads(body)
    assert (event["event"], event["store"], event["share"]) == ("drift", "s3://bucket/prefix", None)


def test_without_a_hook_nobody_is_told(monkeypatch, caplog):
    for empty in ("", "  "):
        monkeypatch.setenv(ENVIRONMENT, empty)
        tell("drift", None)
    monkeypatch.delenv(ENVIRONMENT)
    tell("drift", None)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("hook", "part"),
    [
        ("/no/such/command --token a-secret-word", "No such file"),
        ("sh -c 'exit 3' a-secret-word", "it ended with 3"),
        ("sh -c 'exec <&-; exit 4' a-secret-word", "it ended with 4"),
        ("sh -c 'a-secret-word", "No closing quotation"),
        ("http://127.0.0.1:9/a-secret-word", "refused"),
        ("http://no-such-host.invalid/a-secret-word", "drift"),
    ],
)
def test_a_hook_that_fails_is_a_warning_without_its_secret(monkeypatch, caplog, hook, part):
    monkeypatch.setenv(ENVIRONMENT, hook)
    tell("drift", None, why="x" * 200_000)  # more than a pipe holds
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert part in record.getMessage()
    assert "a-secret-word" not in record.getMessage()


def test_a_server_that_says_no_is_a_warning(monkeypatch, caplog):
    with listener(status=500) as (url, _):
        monkeypatch.setenv(ENVIRONMENT, url)
        tell("drift", None)
    assert "500" in caplog.text


def test_a_hook_that_hangs_is_left_after_its_time(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(notify, "LIMIT_S", 0.5)
    child = tmp_path / "child"
    hangs = f"sh -c 'sleep 60 & echo $! > {child}; wait'"
    with listener(wait_s=60) as (url, _):
        for hook in (hangs, url):
            monkeypatch.setenv(ENVIRONMENT, hook)
            began = time.monotonic()
            tell("drift", None)
            assert time.monotonic() - began < 5
    assert caplog.text.count("within 0.5 s") == 2
    assert not is_alive(int(child.read_text())), "what the command started goes with it"


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass(frozen=True)
class Night:
    trial: str = "t-1"
    run: str = "pred-1"
    night: str = "night-1"
    drift: dict | None = None


@pytest.mark.parametrize(
    ("drift", "events"),
    [
        (None, []),
        ({"why": []}, []),
        ({"why": ["sky covers twice what it did"]}, ["drift"]),
    ],
)
def test_a_night_that_says_why_it_drifts_is_told_of(told, drift, events):
    result = Night(drift=drift)
    assert (
        tells_night(lambda config: result if config else None)(config=PredictConfig(store="/s"))
        is result
    )
    assert [event["event"] for event in told()] == events
    for event in told():
        assert event["why"] == ["sky covers twice what it did"]
        assert (event["run"], event["night"]) == ("pred-1", "night-1")


def test_a_night_that_fails_is_told_of_with_its_sentence_and_raises_its_own_fault(told):
    fault = DatasetError("2 of 9 frames could not be read", "/frames", "Replace them.")

    @tells_night
    def fails(config):
        raise fault

    with pytest.raises(DatasetError) as raised:
        fails(PredictConfig(data="/frames", store="/s"))
    assert raised.value is fault
    (event,) = told()
    assert (event["event"], event["exit_code"], event["data"]) == ("night failed", 3, "/frames")
    assert event["sentence"] == str(fault)


def test_a_bug_is_told_of_and_a_stop_is_not(told):
    @tells_failure(
        "trial failed", lambda config: 1 / len(config.store or "")
    )  # its facts must not hide the fault
    def broken(config):
        raise KeyError("nobody expected this")

    with pytest.raises(KeyError):
        broken(PredictConfig())

    @tells_failure("trial failed")
    def ends(config):
        raise config

    for silent in (Stopped(15), TrialsFailed("1 of 2", "t-1", "Again.")):
        with pytest.raises(type(silent)):
            ends(silent)
    assert told() == []

    with pytest.raises(KeyError):
        ends(KeyError("nobody expected this"))
    (event,) = told()
    assert (event["exit_code"], event["sentence"]) == (1, "KeyError: 'nobody expected this'")

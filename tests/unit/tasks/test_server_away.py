"""A Prefect server that says 500, is away and comes back is waited for, by a real HTTP server."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import httpx
import pytest

from segnets.errors import ServerAway
from tasks import flow_runs
from tasks.flow_runs import FlowRuns


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(flow_runs, "PAUSE_S", 0.1)


class Answers:
    """A server that gives these codes, one an answer, and the last one again and again."""

    def __init__(self, *codes, port=0):
        outer, self.codes = self, list(codes)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                code = outer.codes.pop(0) if len(outer.codes) > 1 else outer.codes[0]
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def answers():
    made = []

    def start(*codes, port=0):
        made.append(Answers(*codes, port=port))
        return made[-1]

    yield start
    for one in made:
        one.close()


def asked(port, **limits):
    """One question to the server on that port, as a grid asks."""
    url = f"http://127.0.0.1:{port}/api"
    runs = FlowRuns(SimpleNamespace(api_url=url), "root", None, None)
    return runs._ask(lambda: httpx.get(url).raise_for_status().status_code, **limits)


def test_errors_of_the_server_are_waited_out(answers, caplog):
    assert asked(answers(500, 503, 200).port) == 200
    assert caplog.text.count("waiting for the Prefect server http://127.0.0.1") == 1


def test_a_server_that_comes_back_on_its_port_is_found(answers):
    before = answers(200)
    before.close()
    threading.Timer(0.5, lambda: answers(200, port=before.port)).start()
    assert asked(before.port) == 200


def test_a_server_that_stays_away_is_one_sentence_after_its_time(answers):
    gone = answers(200)
    gone.close()
    began = time.monotonic()
    with pytest.raises(ServerAway, match=r"not answered for 1 s: http://127.0.0.1.*same command"):
        asked(gone.port, until=began + 1)
    assert time.monotonic() - began < 5


def test_an_answer_that_says_no_is_an_answer(answers):
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        asked(answers(404).port)


def test_runs_of_a_server_that_is_away_are_left_to_themselves_at_a_stop(
    answers, caplog, monkeypatch
):
    monkeypatch.setattr(flow_runs, "STOP_S", 0.5)
    gone = answers(200)
    gone.close()
    url = f"http://127.0.0.1:{gone.port}/api"
    client = SimpleNamespace(api_url=url, set_flow_run_state=lambda *_: httpx.get(url))
    FlowRuns(client, "root", None, None).stop([SimpleNamespace(id="a"), SimpleNamespace(id="b")])
    assert "2 trials were not cancelled and go on" in caplog.text

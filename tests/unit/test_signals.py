"""A stop is a question: asked at safe points, never lost, and never kept waiting by a store."""

import os
import signal
import threading
import time

import pytest

from segnets.errors import Stopped, Unavailable
from segnets.signals import HURRY_S, catch_stop
from segnets.store.retry import Patience, hurry_all


@pytest.fixture
def outer():
    """The signals that reach whoever handled them before the loop."""
    seen = []
    before = signal.signal(signal.SIGTERM, lambda signum, _frame: seen.append(signum))
    yield seen
    signal.signal(signal.SIGTERM, before)


def send(signum=signal.SIGTERM):
    os.kill(os.getpid(), signum)


def test_a_signal_is_a_flag_until_the_loop_asks(outer):
    def loop():
        with catch_stop() as stop:
            stop.raise_if_requested()
            send()
            stop.raise_if_requested()

    with pytest.raises(Stopped) as stopped:
        loop()
    assert stopped.value.exit_code == 143
    assert outer == []


def test_a_signal_after_the_last_question_is_not_swallowed(outer):
    with catch_stop():
        send()
    assert outer == [signal.SIGTERM]


def test_a_loop_that_ends_without_a_signal_sends_none(outer):
    with catch_stop() as stop:
        stop.raise_if_requested()
    assert outer == []


def test_a_fault_of_the_loop_is_not_hidden_by_a_signal(outer):
    def loop():
        with catch_stop():
            send()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    assert outer == []


def test_a_store_that_is_away_is_not_waited_for_once_a_stop_is_asked_for(outer, monkeypatch):
    monkeypatch.setattr("segnets.signals.HURRY_S", 0.3)
    patience = Patience(wait_s=60)

    def never():
        raise Unavailable("no answer", "somewhere", "Wait.")

    began = time.monotonic()
    timer = threading.Timer(0.2, send)
    timer.start()
    with pytest.raises(Stopped), catch_stop(hurry_all(patience)):
        patience.run(never, "put")
    timer.join()
    assert time.monotonic() - began < 10
    assert HURRY_S < 20


def test_a_store_that_is_away_stays_a_fault_where_nobody_asked_for_a_stop(outer):
    with pytest.raises(Unavailable), catch_stop():
        raise Unavailable("no answer", "somewhere", "Wait.")

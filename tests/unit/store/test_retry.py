import logging
import random
import threading
import time

import pytest

from segnets.errors import Denied, Unavailable
from segnets.store import retry


def away():
    raise Unavailable("no answer", "somewhere", "Wait.")


def test_an_answer_that_comes_back_is_taken_and_the_wait_is_noted(caplog):
    caplog.set_level(logging.INFO)
    answers = iter([away, away, lambda: 7])
    patience = retry.Patience(30)

    def ask():
        return next(answers)()

    assert patience.run(ask, "read x") == 7
    assert "waiting for the store to read x: no answer: somewhere" in caplog.text
    assert "the store is back" in caplog.text
    assert len(patience.take_waits()) == 1
    assert patience.take_waits() == []


def test_a_wait_draws_nothing_from_the_generator_that_a_trial_saves(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.001)
    answers = iter([away, away, away, lambda: 7])

    def ask():
        return next(answers)()

    before = random.getstate()
    retry.Patience(30).run(ask, "read x")
    assert random.getstate() == before


def test_a_deadline_ends_a_wait_and_says_how_long_it_was():
    with pytest.raises(Unavailable, match=r"no answer \(tried for \d+ s\): somewhere"):
        retry.Patience(0.3).run(away, "read x")


def test_a_refusal_is_not_tried_again():
    tries = []

    def refuse():
        tries.append(1)
        raise Denied("no", "there", "Ask.")

    with pytest.raises(Denied):
        retry.Patience(30).run(refuse, "read x")
    assert len(tries) == 1


def test_a_line_about_a_wait_comes_again_and_again(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(retry, "SAY_EVERY_S", 0.1)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_S", 0.05)
    with pytest.raises(Unavailable):
        retry.Patience(0.5).run(away, "write y")
    assert 3 <= caplog.text.count("waiting for the store to write y") <= 6


def test_a_limit_of_a_thread_holds_for_all_that_it_does():
    started = time.monotonic()
    with retry.at_most(0.2), retry.at_most(50):
        for _ in range(3):
            with pytest.raises(Unavailable):
                retry.Patience(30).run(away, "read x")
    assert time.monotonic() - started < 2


def test_somebody_in_a_hurry_ends_a_wait_in_another_thread():
    patience = retry.Patience(60)
    ended = threading.Event()

    def wait():
        with pytest.raises(Unavailable):
            patience.run(away, "read x")
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    patience.hurry(0.2)
    assert ended.wait(5)
    thread.join()

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from support.memory_store import MemoryStore

from segnets.errors import TakenOver, Unavailable
from segnets.store import beat
from segnets.store.beat import Beat, is_gone, this_process, wait_until_still
from segnets.store.keys import beat_key, new_writer
from segnets.store.log import claim

TRIAL = "m-1"
SHA = "0" * 64


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(beat, "PERIOD_S", 0.2)


def put_beat(store, **changed):
    key = beat_key(TRIAL, new_writer())
    store.put(key, json.dumps({**this_process(), "n": 1, **changed}).encode())
    return key


def seconds_until_still(store):
    started = time.monotonic()
    wait_until_still(store, TRIAL)
    return time.monotonic() - started


def a_dead_process():
    """(pid, start) of a process that was killed; its zombie may still be there."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    start = beat._start_time(process.pid)
    process.kill()
    until = time.monotonic() + 5
    while beat._start_time(process.pid):
        assert time.monotonic() < until, "a zombie counts as alive"
        time.sleep(0.01)
    return process, {"pid": process.pid, "start": start}


def test_after_a_kill_on_this_machine_the_same_command_goes_on_at_once():
    process, dead = a_dead_process()
    store = MemoryStore()
    put_beat(store, **dead)
    assert is_gone({**this_process(), **dead})
    assert seconds_until_still(store) < 0.1
    process.wait()


def test_a_process_of_another_boot_or_host_or_namespace_is_never_taken_for_gone():
    process, dead = a_dead_process()
    process.wait()
    for elsewhere in ({"host": "h"}, {"boot": "b"}, {"namespace": "pid:[1]"}):
        assert not is_gone({**this_process(), **dead, **elsewhere})
    assert not is_gone(this_process())


def test_a_pid_that_another_process_has_now_is_gone():
    assert is_gone({**this_process(), "start": "1"})


def test_a_beat_that_stands_still_for_two_periods_is_no_hindrance():
    store = MemoryStore()
    put_beat(store, host="elsewhere")
    assert seconds_until_still(store) >= 0.4


def test_a_torn_beat_is_not_moving():
    store = MemoryStore()
    store.put(beat_key(TRIAL, new_writer()), b'{"host":"els')
    assert seconds_until_still(store) < 0.1


def test_a_second_launch_beside_a_living_one_is_refused_and_says_who_it_is():
    store = MemoryStore()
    with claim(store, TRIAL, SHA, env={}):
        with pytest.raises(TakenOver, match=f"m-1, by process {os.getpid()} on .*--take-over"):
            claim(store, TRIAL, SHA, env={})
        with claim(store, TRIAL, SHA, env={}, take_over=True) as log:
            assert log.attempt == 2


def test_a_beat_moves_until_its_log_is_closed_and_then_it_is_gone():
    store = MemoryStore()
    with claim(store, TRIAL, SHA, env={}):
        (listed,) = store.list("beat/")
        before, until = store.get(listed.key), time.monotonic() + 5
        while store.get(listed.key) == before:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert not store.list("beat/")


def test_who_claims_removes_the_beats_of_those_before():
    store = MemoryStore()
    process, dead = a_dead_process()
    put_beat(store, **dead)
    process.wait()
    with claim(store, TRIAL, SHA, env={}) as log:
        assert [listed.key for listed in store.list("beat/")] == [beat_key(TRIAL, log.writer)]


def test_a_store_that_fails_every_beat_never_breaks_a_training():
    store = MemoryStore()

    def fail(operation, key):
        if key.startswith("beat/"):
            raise Unavailable("no answer", key, "Wait.") if operation != "put" else RuntimeError

    store.before = fail
    pulse = Beat(store, TRIAL, new_writer())
    pulse.start()
    time.sleep(0.5)
    assert pulse._thread.is_alive()
    pulse.close()
    assert not pulse._thread.is_alive()
    assert threading.active_count() < 20


def test_beats_of_a_trial_whose_id_begins_with_ours_are_not_ours():
    store = MemoryStore()
    with claim(store, "m-12", SHA, env={}):
        assert seconds_until_still(store) < 0.1

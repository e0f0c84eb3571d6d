"""The table of tasks/launch.py: what the parent does after each end of a launch."""

import itertools
import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from segnets import signals
from segnets.config.ids import trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.errors import Stopped, Unavailable
from segnets.store.log import claim
from segnets.store.open import open_store
from tasks import launch
from tasks.launch import DEATHS, FALSE_STARTS, End, launch_all

CONFIGS = [TrainConfig(dataset="d", seed=seed) for seed in range(3)]
ONE = CONFIGS[0]
KILLED = End(137, "its process was killed by SIGKILL", died=True)


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"), write=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(launch, "LOOK_S", 0.02)


def commit(store, config, event, epoch=1, **metrics):
    """What a process that trains this trial would write."""
    with claim(store, trial_id(config), trial_sha256(config), env={}, take_over=True) as log:
        log.commit(event, epoch=epoch, step=epoch, files=[], live=[], metrics=metrics, view={})


def is_complete(store, config):
    head = launch.read_head(store, trial_id(config))
    return head is not None and head.event == "done"


class Script:
    """A starter whose launches end as a script says; a step of it may be a function that is called."""

    poll_s = 0.0

    def __init__(self, *ends, slots=1):
        self.ends = itertools.chain(ends)
        self.slots = slots
        self.started = []
        self.running = 0
        self.most = 0
        self.stopped = []

    def start(self, config, number):
        self.started.append((config.seed, number, config.take_over))
        self.running += 1
        self.most = max(self.most, self.running)
        return config

    def poll(self, handle):
        end = next(self.ends)
        if callable(end):
            end = end(handle)
        if end is not None:
            self.running -= 1
        return end

    def stop(self, handles):
        self.stopped = list(handles)


def done(store):
    def end(config):
        commit(store, config, "done")
        return End(0)

    return end


def run(store, configs, starter):
    return launch_all(store, configs, starter, is_complete=is_complete)


def test_zero_is_complete_once_the_store_says_so_too(store):
    found = run(store, CONFIGS, Script(*[done(store)] * 3))
    assert len(found.ran) == 3
    assert not found.failed


def test_zero_without_a_result_in_the_store_is_a_failure(store):
    found = run(store, [ONE], Script(End(0)))
    assert found.failed[0].exit_code == 1
    assert "store has no result" in found.failed[0].sentence


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_failed_trial_is_not_launched_again_and_stops_no_other(store, code):
    script = Script(End(code, "why"), done(store), done(store))
    found = run(store, CONFIGS, script)
    assert [(one.exit_code, one.sentence) for one in found.failed] == [(code, "why")]
    assert len(found.ran) == 2
    assert len(script.started) == 3


@pytest.mark.parametrize("end", [End(130), End(143), End(143, "cancelled", stopped=True)])
def test_a_stopped_trial_is_not_launched_again(store, end):
    script = Script(end)
    found = run(store, [ONE], script)
    assert found.failed[0].exit_code == end.code
    assert len(script.started) == 1


def test_a_killed_trial_is_taken_over_until_it_died_too_often_without_a_checkpoint(store):
    script = Script(*[KILLED] * (DEATHS + 1))
    found = run(store, [ONE], script)
    assert script.started == [(0, 1, False), (0, 2, True), (0, 3, True), (0, 4, True)]
    assert found.failed[0].exit_code == 137
    assert "SIGKILL" in found.failed[0].sentence


def test_a_new_checkpoint_starts_the_count_of_deaths_again(store):
    epochs = itertools.count(1)

    def saved_then_killed(config):
        commit(store, config, "checkpoint", epoch=next(epochs))
        return KILLED

    script = Script(*[saved_then_killed] * 6, done(store))
    found = run(store, [ONE], script)
    assert len(found.ran) == 1
    assert len(script.started) == 7


def test_a_launch_that_died_before_it_began_is_no_death_of_the_trial(store):
    false_start = replace(KILLED, begun=False)
    found = run(store, [ONE], Script(*[false_start] * FALSE_STARTS, done(store)))
    assert len(found.ran) == 1
    found = run(store, [CONFIGS[1]], Script(*[false_start] * (FALSE_STARTS + 1)))
    assert found.failed[0].sentence.endswith(f"{FALSE_STARTS + 1} times in a row")


def test_a_trial_that_is_complete_counts_whatever_became_of_its_report(store):
    def lost(config):
        commit(store, config, "done")
        return End(1, "Internal Server Error")

    assert len(run(store, [ONE], Script(lost)).ran) == 1


def test_a_store_that_was_away_costs_a_launch_not_the_trial(store):
    script = Script(End(4, "no answer"), done(store))
    found = run(store, [ONE], script)
    assert len(found.ran) == 1
    assert script.started == [(0, 1, False), (0, 2, True)]


def test_a_store_that_stays_away_fails_the_trial_with_four(store, monkeypatch):
    def away(*args):
        raise Unavailable("no answer", "there", "Wait.")

    def goes_away(config):
        monkeypatch.setattr(launch, "read_head", away)
        return End(4, "no answer")

    found = run(store, [replace(ONE, store_wait=0.001)], Script(goes_away))
    assert found.failed[0].exit_code == 4


def test_a_trial_that_somebody_else_finishes_is_reused(store):
    def taken(config):
        commit(store, config, "done")
        return End(5, "another process trains it")

    found = run(store, [ONE], Script(taken))
    assert found.reused == (trial_id(ONE),)
    assert not found.ran


def test_a_trial_that_somebody_else_fails_has_that_result(store):
    def taken(config):
        commit(store, config, "failed", exit_code=3, sentence="a label is missing")
        return End(5, "another process trains it")

    found = run(store, [ONE], Script(taken))
    assert (found.failed[0].exit_code, found.failed[0].sentence) == (3, "a label is missing")


def test_a_trial_that_somebody_else_only_paused_is_gone_on_with(store):
    def taken(config):
        commit(store, config, "stopped", reason="paused")
        return End(5, "another process trains it")

    script = Script(taken, done(store))
    assert run(store, [ONE], script).ran == (trial_id(ONE),)
    assert script.started == [(0, 1, False), (0, 2, False)]


def test_a_trial_whose_holder_stands_still_is_launched_once_without_taking_it(store):
    store.put(f"beat/trial/{trial_id(ONE)}.0123456789abcdef", b"{}")
    script = Script(End(5, "taken"), End(5, "taken"))
    found = run(store, [ONE], script)
    assert script.started == [(0, 1, False), (0, 2, False)]
    assert found.failed[0].exit_code == 5


def test_a_trial_whose_holder_moves_is_waited_for(store, monkeypatch):
    monkeypatch.setattr(launch, "LOOK_S", 0.3)
    key, pause = f"beat/trial/{trial_id(ONE)}.0123456789abcdef", threading.Event()

    def hold():
        for number in range(60):
            store.put(key, b"%d" % number)
            pause.wait(0.02)
        commit(store, ONE, "done")
        store.delete([key])

    holder = threading.Thread(target=hold)

    def taken(config):
        holder.start()
        return End(5, "taken")

    script = Script(taken)
    found = run(store, [ONE], script)
    holder.join()
    assert found.reused == (trial_id(ONE),)
    assert len(script.started) == 1


def test_no_more_run_at_a_time_than_there_are_slots(store):
    script = Script(None, None, done(store), done(store), None, done(store), slots=2)
    assert len(run(store, CONFIGS, script).ran) == 3
    assert script.most == 2


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_that_run_and_launches_no_more(store, signum):
    def send(config):
        os.kill(os.getpid(), signum)

    script = Script(send, *[None] * 50, slots=2)
    with pytest.raises(Stopped) as caught:
        run(store, CONFIGS, script)
    assert caught.value.signum == signum
    assert [config.seed for config in script.stopped] == [0, 1]


def test_a_signal_is_heard_while_the_grid_waits_for_a_store_that_is_away(store, monkeypatch):
    def away():
        raise Unavailable("the store does not answer", "s3://bucket", "Start it.")

    def wait(*_):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return store.patience.run(away, "read")

    def store_goes(_config):
        monkeypatch.setattr(launch, "read_head", wait)
        return KILLED

    monkeypatch.setattr(signals, "HURRY_S", 0.1)
    store.patience.wait_s = 20.0
    began = time.monotonic()
    with pytest.raises(Stopped):
        run(store, CONFIGS, Script(store_goes))
    assert time.monotonic() - began < 10


def test_a_trial_that_lost_a_rank_is_launched_again_as_one_that_was_killed(store):
    script = Script(End(137, "a process of this trial was killed"), done(store))
    assert not run(store, [ONE], script).failed
    assert [take_over for _, _, take_over in script.started] == [False, True]

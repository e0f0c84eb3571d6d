"""What a grid concludes from a trial's log and beats when its flow run says nothing any more."""

import itertools
from types import SimpleNamespace

import pytest

from segnets.config.ids import trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.errors import Unavailable
from segnets.store.log import claim, read_head
from segnets.store.open import open_store
from tasks import signs
from tasks.signs import LOOK_S, NEVER_S, STILL_S, Signs

ONE = TrainConfig(dataset="d")
BEAT = f"beat/trial/{trial_id(ONE)}.0123456789abcdef"
LOOKS = int(STILL_S / LOOK_S)


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"), write=True)


@pytest.fixture
def look(store, monkeypatch):
    """A function that looks LOOK_S after the last time, by a clock of its own."""
    clock = itertools.count(1000.0, LOOK_S)
    monkeypatch.setattr(signs, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    return Signs(store, ONE, is_complete).look


def is_complete(store, config):
    head = read_head(store, trial_id(config))
    return head is not None and head.event == "done"


def commit(store, event):
    with claim(store, trial_id(ONE), trial_sha256(ONE), env={}, take_over=True) as log:
        log.commit(event, epoch=1, step=1, files=[], live=[], metrics={}, view={})


def test_a_trial_whose_beats_and_log_stand_still_is_gone_after_two_minutes(store, look):
    commit(store, "checkpoint")
    store.put(BEAT, b"{}")
    assert [look() for _ in range(LOOKS)] == ["lives"] * LOOKS
    assert look() == "gone"


def test_a_beat_or_an_entry_of_the_log_is_a_sign_of_life(store, look):
    for number in range(3):
        store.put(BEAT, b"%d" % number)
        assert {look() for _ in range(LOOKS)} == {"lives"}
    commit(store, "checkpoint")
    assert {look() for _ in range(LOOKS)} == {"lives"}


def test_before_its_first_beat_and_after_its_last_nothing_can_be_said_for_half_an_hour(store, look):
    assert {look() for _ in range(3 * LOOKS)} == {"lives"}
    commit(store, "checkpoint")
    looks = int(NEVER_S / LOOK_S)
    assert {look() for _ in range(looks)} == {"lives"}
    assert look() == "gone"


def test_a_trial_that_is_complete_needs_no_report(store, look):
    commit(store, "done")
    assert [look() for _ in range(LOOKS + 1)] == ["lives"] * LOOKS + ["complete"]


def test_the_time_in_which_the_store_is_away_does_not_count(store, look, monkeypatch):
    store.put(BEAT, b"{}")
    assert {look() for _ in range(LOOKS - 1)} == {"lives"}

    def away(*_):
        raise Unavailable("no answer", "there", "Wait.")

    with monkeypatch.context() as patch:
        patch.setattr(signs, "read_head", away)
        assert {look() for _ in range(3 * LOOKS)} == {"lives"}
    assert {look() for _ in range(LOOKS)} == {"lives"}
    assert look() == "gone"


def test_a_look_is_taken_once_a_beat_only(store, monkeypatch):
    seen = []
    monkeypatch.setattr(signs, "beats_of", lambda *found: seen.append(found) or ())
    watched = Signs(store, ONE, is_complete)
    for _ in range(5):
        watched.look()
    assert len(seen) == 1

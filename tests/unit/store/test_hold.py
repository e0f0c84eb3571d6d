import threading

import pytest

from segnets.store import hold
from segnets.store.bag import Bag
from segnets.store.keys import parse_beat
from segnets.store.open import open_store

NAMES = [f"city_{number:06d}" for number in range(12)]


@pytest.fixture
def bag(tmp_path):
    return Bag(open_store(str(tmp_path / "store"), write=True), "run", "pred-1", "0" * 64)


def test_who_is_alone_takes_the_first_names_in_their_order(bag):
    assert bag.hold().take(NAMES, 5) == NAMES[:5]


def test_the_next_one_takes_what_nobody_has_in_hand(bag):
    first, second, third = bag.hold(), bag.hold(), bag.hold()
    assert first.take(NAMES, 5) == NAMES[:5]
    assert second.take(NAMES, 5) == NAMES[5:10]
    assert third.take(NAMES, 5) == NAMES[10:]
    assert first.take(NAMES[5:], 5) == NAMES[5:10]  # all is in hand: what is left is done twice
    first.close()
    assert bag.hold().take(NAMES[:5], 5) == NAMES[:5]


def test_what_a_dead_process_had_in_hand_is_free_and_forgotten(bag, monkeypatch):
    dead, living = bag.hold(), bag.hold()
    dead.take(NAMES, 5)
    monkeypatch.setattr(hold, "is_gone", lambda content: content["names"] == NAMES[:5])
    assert living.take(NAMES, 12) == NAMES
    living.close()
    assert bag._store.list("beat/") == []


def test_a_torn_hold_says_nothing_and_is_no_beat_of_a_trial(bag):
    one = bag.hold()
    one.take(NAMES, 5)
    (listed,) = bag._store.list("beat/")
    assert parse_beat(listed.key) is None
    bag._store.put(listed.key, b'{"names": [')
    assert bag.hold().take(NAMES, 5) == NAMES[:5]


@pytest.mark.parametrize("seed", range(4))
def test_two_in_lockstep_do_at_most_one_portion_twice(bag, seed):
    """Both begin at one moment; each reads what is done after it has said what it takes."""
    done: list[str] = []
    start = threading.Barrier(2)

    def work():
        mine = bag.hold()
        start.wait()
        while todo := [name for name in NAMES if name not in done]:
            taken = mine.take(todo, 2)
            here = [name for name in taken if name not in done]
            done.extend(here)

    both = [threading.Thread(target=work) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert set(done) == set(NAMES)
    assert len(done) - len(NAMES) <= 2

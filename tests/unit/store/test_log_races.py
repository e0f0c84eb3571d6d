"""Several processes on one log, stopped and gone on with between any two store operations.

Each schedule is one seed: threads that move one at a time, replies that are lost with the request
applied or not, and deaths. Taking away the look, the second listing after a claim, the higher attempt,
or the head rule makes these tests fail within the first hundred schedules.
"""

import hashlib
import random
import threading

import pytest
from support.memory_store import MemoryStore

from segnets.errors import Conflict, NotFound, TakenOver, Unavailable
from segnets.store import log as logs
from segnets.store.entry import Live, digest_of, to_bytes
from segnets.store.log import claim, read_head, read_history

SHA = hashlib.sha256(b"config").hexdigest()
TRIAL, EPOCHS = "m-1", 3


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Race:
    """Actors on one store that move one at a time, in an order drawn from a seed."""

    def __init__(self, seed, conditional):
        self.draw = random.Random(seed)
        self.objects, self.said, self.broken = {}, [], []
        self.conditional = conditional
        self.here = threading.Semaphore(0)
        self.turns, self.alive = [], []

    def start(self, num_actors):
        threads = []
        for number in range(num_actors):
            self.turns.append(threading.Semaphore(0))
            self.alive.append(True)
            threads.append(threading.Thread(target=self._act, args=(number,), daemon=True))
        for thread in threads:
            thread.start()
        for _ in range(20_000):
            waiting = [number for number, alive in enumerate(self.alive) if alive]
            if not waiting:
                break
            self.turns[self.draw.choice(waiting)].release()
            self.here.acquire()
        else:
            raise AssertionError("the actors never end")
        for thread in threads:
            thread.join()

    def _act(self, number):
        store = MemoryStore(conditional=self.conditional, objects=self.objects)
        store.times = dict.fromkeys(self.objects, 0.0)
        store.list = lambda prefix, **more: self._list(store, number, prefix, **more)
        store.get = lambda key: self._step(number, lambda: MemoryStore.get(store, key))
        store.put = lambda key, data: self._step(
            number, lambda: MemoryStore.put(store, key, data), loses=True
        )
        store.put_if_absent = lambda key, data: self._append(store, number, key, data)
        store.delete = lambda keys: [
            self._step(number, lambda key=key: self.objects.pop(key, None)) for key in keys
        ]
        self.turns[number].acquire()
        try:
            train(store, self.said)
        except (TakenOver, Unavailable, Conflict, Killed):
            pass
        except Exception as error:  # noqa: BLE001  # a fault of the rules, told at the end
            self.broken.append(repr(error))
        self.alive[number] = False
        self.here.release()

    def _list(self, store, number, prefix, **more):
        def look():
            store.times = dict.fromkeys(self.objects, 0.0)
            return MemoryStore.list(store, prefix, **more)

        return self._step(number, look)

    def _append(self, store, number, key, data):
        """As a backend does it: after a lost reply read first, then repeat the same bytes."""
        for _ in range(3):
            try:
                self._step(number, lambda: MemoryStore.put_if_absent(store, key, data), loses=True)
            except Unavailable:
                if self._step(number, lambda: self.objects.get(key)) == data:
                    return
            else:
                return
        raise Unavailable("no answer", key, "Wait.")

    def _step(self, number, action, *, loses=False):
        self.here.release()
        self.turns[number].acquire()
        fate = self.draw.random()
        if fate < 0.01:
            raise Killed
        if loses and fate < 0.05:
            raise Unavailable("no answer", "the request is lost", "Wait.")
        result = action()
        if fate > 0.99:
            raise Killed
        if loses and fate > 0.95:
            raise Unavailable("no answer", "the reply is lost", "Wait.")
        return result


def train(store, said):
    """What a training does with its log, and what it tells people."""
    with claim(store, TRIAL, SHA, env={}, take_over=True) as log:
        if log.head is not None:
            assert log.get_file(log.head.file("state.pt")) == b"%d" % log.head.epoch
        start = 0 if log.head is None else log.head.epoch
        for epoch in range(start + 1, EPOCHS + 1):
            file = log.put_file("state.pt", b"%d" % epoch)
            live = (*(() if log.head is None else log.head.live), Live(epoch, 0, (), (file,)))
            event = "done" if epoch == EPOCHS else "checkpoint"
            entry = log.commit(
                event, epoch=epoch, step=0, files=[file], live=live[-2:], metrics={}, view={}
            )
            said.append(entry)


@pytest.mark.parametrize("conditional", [True, False], ids=["conditional", "named"])
@pytest.mark.parametrize("block", range(4))
def test_what_was_said_to_be_saved_is_in_the_history_of_the_last_head(
    conditional, block, monkeypatch
):
    class NoBeat:
        def __init__(self, *_):
            pass

        def start(self):
            pass

        def close(self):
            pass

    monkeypatch.setattr(logs, "Beat", NoBeat)
    monkeypatch.setattr(logs, "delete_other_beats", lambda *_: None)
    monkeypatch.setattr(logs.time, "sleep", lambda _: None)
    said = 0
    for seed in range(block * 60, block * 60 + 60):
        race = Race(seed, conditional)
        race.start(3)
        assert not race.broken, (seed, race.broken)
        said += len(race.said)
        check(race, seed)
    assert said > 60  # the schedules are no walk-over, but most get somewhere


def check(race, seed):
    """An undisturbed start finds everything that was said, and can finish."""
    store = MemoryStore(conditional=race.conditional, objects=race.objects)
    store.times = dict.fromkeys(race.objects, 0.0)
    history = {digest_of(to_bytes(entry)): entry for entry in read_history(store, TRIAL)}
    head = read_head(store, TRIAL)
    chain, entry = set(), head
    while entry is not None:
        chain.add(digest_of(to_bytes(entry)))
        entry = history.get(entry.prev)
    lost = [one for one in race.said if digest_of(to_bytes(one)) not in chain]
    assert not lost, (seed, head, lost)
    if head is not None:
        for key in head.live_keys():
            try:
                store.get(key)
            except NotFound:
                raise AssertionError((seed, "the head names a file that is gone", key)) from None
    again = []
    train(store, again)
    assert read_head(store, TRIAL).event == "done"

import hashlib

import pytest
from support.memory_store import MemoryStore

from segnets.errors import TakenOver
from segnets.store.bag import Bag
from segnets.store.entry import Live
from segnets.store.folder import FolderStore
from segnets.store.gc import collect, plan
from segnets.store.log import claim, read_head

SHA = hashlib.sha256(b"config").hexdigest()


@pytest.fixture
def store():
    return MemoryStore()


def take(store):
    return claim(store, "m-1", SHA, env={}, take_over=True)


def save(log, epoch, event="checkpoint"):
    file = log.put_file("state.pt", b"%d" % epoch)
    live = [Live(epoch, epoch, ("last",), (file,))]
    return log.commit(event, epoch=epoch, step=epoch, files=[file], live=live, metrics={}, view={})


def doomed(store):
    return {blob.key for blob in plan(store, courtesy_s=-1).blobs}


def test_what_a_dead_attempt_left_goes_once_a_higher_one_has_committed(store):
    with take(store) as log:
        save(log, 1)
        orphan = log.put_file("state.pt", b"never committed")
    with take(store) as log:
        assert doomed(store) == set()
        save(log, 2)
        mine = log.put_file("state.pt", b"perhaps the next epoch")
        assert doomed(store) == {orphan.key}
        save(log, 3, "done")
    assert doomed(store) == {orphan.key, mine.key}
    found = plan(store, courtesy_s=-1)
    collect(store, found)
    collect(store, found)
    assert {listed.key for listed in store.list("obj/")} == read_head(store, "m-1").live_keys()


def test_nothing_goes_while_somebody_has_claimed_above_the_head(store):
    old = take(store)
    save(old, 1)
    old.put_file("state.pt", b"in flight")
    new = take(store)
    save(new, 2)
    late = take(store)
    assert doomed(store) == set()
    assert plan(store).kept == {"trial/m-1": "somebody has claimed it since its head"}
    with pytest.raises(TakenOver):
        save(new, 3)
    save(late, 3)
    assert len(doomed(store)) >= 1
    for log in (old, new, late):
        log.close()


def test_nothing_goes_while_an_entry_is_torn_or_nothing_is_committed(store):
    with take(store) as log:
        log.put_file("state.pt", b"x")
        assert plan(store).kept == {"trial/m-1": "it has no commit yet"}
    with take(store) as log:
        save(log, 1)
    first = max(key for key in store.objects if key.startswith("log/"))
    store.objects[first] = b"rot"
    assert doomed(store) == set()
    assert plan(store).kept == {"trial/m-1": "an entry of its log is torn"}


def test_of_a_bag_nothing_goes_before_a_done_and_nothing_that_any_done_names(store):
    bags = [Bag(store, "dataset", "d-1", SHA) for _ in range(2)]
    lines = [bag.put_item("clips", [bag.put_file("clips.parquet", b"1")]) for bag in bags]
    orphan = bags[0].put_file("clips.parquet", b"2")
    assert doomed(store) == set()
    bags[0].put_done({"clips": lines[0]})
    assert doomed(store) == {orphan.key, lines[1].files[0].key}
    bags[1].put_done({"clips": lines[1]})
    assert doomed(store) == {orphan.key}


def test_a_done_that_comes_while_gc_reads_keeps_its_blobs(store):
    first, second = (Bag(store, "eval", "e-1", SHA) for _ in range(2))
    lost = first.put_file("table.parquet", b"scores")
    first.put_done({"scores": first.put_item("scores", [lost])})
    store.delete([lost.key])
    again = second.put_item("scores", [second.put_file("table.parquet", b"scores")])
    real, listings = store.list, []

    def list_then_put_done(prefix, **more):
        found = real(prefix, **more)
        if prefix.startswith("log/") and not listings:
            listings.append(prefix)
            second.put_done({"scores": again})
        return found

    store.list = list_then_put_done
    assert doomed(store) == set()
    assert listings


def test_a_run_is_left_alone(store):
    bag = Bag(store, "run", "pred-1", SHA)
    bag.put_file("run.json", b"{}")
    assert doomed(store) == set()


def test_what_is_young_stays_for_slow_readers(store):
    with take(store) as log:
        log.put_file("state.pt", b"x")
    with take(store) as log:
        save(log, 1, "done")
    assert not plan(store).blobs
    assert plan(store, courtesy_s=-1).blobs


def test_temporary_files_of_dead_attempts_go(tmp_path):
    store = FolderStore(tmp_path)
    with take(store) as log:
        folder = store.local_path(log.put_file("state.pt", b"x").key).parent
    with take(store) as log:
        save(log, 1)
    (folder / ".tmp-dead").write_bytes(b"half")
    found = plan(store)
    assert len(found.leftovers) == 1
    collect(store, found)
    assert not (folder / ".tmp-dead").exists()

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory_store import MemoryStore

from segnets.errors import ConfigError, NotFound
from segnets.store.bag import Bag, read_done, read_items
from segnets.store.views import list_views, read_view

SHA = hashlib.sha256(b"config").hexdigest()


def a_bag(store, kind="dataset", sha=SHA):
    return Bag(store, kind, "s-1", sha, env={"pyarrow": "25"})


def add(bag, item, data=b"x"):
    return bag.put_item(item, [bag.put_file(f"{item}.parquet", data)], {"rows": len(data)})


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["clips", "tables", "frames-00000"]))))
def test_whoever_adds_items_in_whatever_order_everybody_sees_them_all(steps):
    store = MemoryStore()
    bags = [a_bag(store) for _ in range(3)]
    for number, item in steps:
        add(bags[number], item)
    for bag in bags:
        seen = {item: len(lines) for item, lines in bag.items().items()}
        assert seen == {item: [one for _, one in steps].count(item) for _, item in steps}


def test_a_bag_is_complete_from_its_first_done_on():
    store = MemoryStore()
    bag = a_bag(store)
    items = {name: add(bag, name, name.encode()) for name in ("clips", "tables")}
    assert bag.done() is None
    assert read_done(store, "dataset", "s-1") is None
    done = bag.put_done(items, {"frames": 8})
    assert bag.done() == done
    found = read_done(store, "dataset", "s-1")
    assert found.items == items
    assert found.item.metrics == {"frames": 8}
    assert bag.get_file(found.file("tables.parquet")) == b"tables"
    with pytest.raises(NotFound, match=r"there is no nosuch in the dataset: s-1"):
        found.file("nosuch")


def test_a_done_whose_blobs_are_gone_is_passed_over_for_the_next():
    store = MemoryStore()
    bags = [a_bag(store), a_bag(store)]
    dones = []
    for bag in bags:
        line = add(bag, "clips")
        dones.append((bag.put_done({"clips": line}), line))
    first, second = sorted(dones, key=lambda pair: pair[0].key)
    store.delete([first[1].files[0].key])
    assert read_done(store, "dataset", "s-1").item == second[0]
    store.delete([second[1].files[0].key])
    assert read_done(store, "dataset", "s-1") is None


def test_an_item_counts_only_while_its_blobs_are_there_and_whole():
    store = MemoryStore()
    bag = a_bag(store, "run")
    lines = {name: add(bag, name, b"12") for name in ("part-000000-aaaaaaaa", "night-1")}
    assert set(read_items(store, "run", "s-1")) == set(lines)
    store.objects[lines["night-1"].files[0].key] = b"1"
    assert set(bag.items()) == {"part-000000-aaaaaaaa"}


def test_a_torn_item_does_not_count_and_is_not_deleted():
    store = MemoryStore()
    bag = a_bag(store)
    line = add(bag, "clips")
    store.objects[line.key] = store.objects[line.key][:-2]
    assert read_items(store, "dataset", "s-1") == {}
    assert line.key in store.objects


def test_a_line_is_read_once_however_often_a_bag_is_looked_at():
    store = MemoryStore()
    bag = a_bag(store)
    add(bag, "clips")
    bag.items()
    gets = []
    store.before = lambda operation, key: gets.append(key) if operation == "get" else None
    bag.items()
    bag.done()
    assert gets == []


def test_equal_bytes_get_keys_of_their_own():
    bag = a_bag(MemoryStore())
    assert bag.put_file("a", b"x").key != bag.put_file("a", b"x").key


def test_an_item_made_twice_by_one_process_is_two_lines_under_two_keys():
    store = MemoryStore()
    bag = a_bag(store)
    assert add(bag, "clips").key != add(bag, "clips").key
    assert len(bag.items()["clips"]) == 2


def test_after_a_fork_the_child_writes_under_a_name_of_its_own(monkeypatch):
    store = MemoryStore()
    bag = a_bag(store)
    parent = add(bag, "clips")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert add(bag, "tables").writer != parent.writer


def test_another_config_under_the_same_short_id_is_refused():
    store = MemoryStore()
    add(a_bag(store), "clips")
    other = a_bag(store, sha="1" * 64)
    with pytest.raises(ConfigError, match="the store holds a dataset of this id"):
        other.items()


def test_the_view_of_a_bag_is_the_newest_and_the_only_one():
    store = MemoryStore()
    bag = a_bag(store)
    add(bag, "clips")
    bag.put_view({"frames": 1})
    add(bag, "tables")
    bag.put_view({"frames": 2, "miou": float("nan")})
    bag.put_view({"frames": 2, "miou": float("nan")})
    (listed,) = store.list("view/")
    assert list_views(store, "dataset") == {"s-1": listed}
    assert read_view(store, listed.key) == {"frames": 2, "miou": None}

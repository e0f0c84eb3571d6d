"""What verify says of bags; of trials, and of whole stores, test_store_commands.py asks."""

import hashlib

import pytest
from support.memory_store import MemoryStore

from segnets.store.bag import Bag, read_done
from segnets.store.gc import collect, plan
from segnets.store.keys import new_writer, view_key
from segnets.store.verify import Found, verify, verify_views

SHA = hashlib.sha256(b"config").hexdigest()
WHOLE = b"0123456789abcdef"


@pytest.fixture
def store():
    return MemoryStore()


def make(store, kind, items=("clips", "frames-00000")):
    """A bag by a writer of its own: its lines, and its done where the kind has one."""
    bag = Bag(store, kind, "s-1", SHA)
    lines = {one: bag.put_item(one, [bag.put_file(f"{one}.parquet", WHOLE)]) for one in items}
    return lines, None if kind == "run" else bag.put_done(lines)


def faults(store, kind):
    verify(store, kind, "s-1", found := Found())
    return found.faults


def gone(store, key):
    store.delete([key])


def cut(store, key):
    store.objects[key] = store.objects[key][: len(store.objects[key]) // 2]


def flip(store, key):
    store.objects[key] = b"X" + store.objects[key][1:]


@pytest.mark.parametrize("kind", ["dataset", "eval", "grid", "run"])
@pytest.mark.parametrize(("harm", "word"), [(gone, "missing"), (cut, "damaged"), (flip, "damaged")])
def test_a_blob_that_is_lost_cut_or_changed_is_told_whatever_else_is_whole(store, kind, harm, word):
    lines, done = make(store, kind)
    assert faults(store, kind) == []
    key = lines["clips"].files[0].key
    harm(store, key)
    found = faults(store, kind)
    assert found[-1] == f"{kind} s-1: clips.parquet is {word}: {key}"
    unusable = done is not None and harm is not flip
    assert found[:-1] == unusable * [f"{kind} s-1: no done of it is whole, so it does not count"]


@pytest.mark.parametrize("kind", ["dataset", "run"])
def test_a_torn_line_is_told_by_its_key(store, kind):
    lines, _ = make(store, kind)
    cut(store, lines["clips"].key)
    assert f"{kind} s-1: a line is torn: {lines['clips'].key}" in faults(store, kind)


def test_a_torn_done_and_a_lost_line_are_told(store):
    lines, done = make(store, "dataset")
    gone(store, lines["clips"].key)
    assert faults(store, "dataset") == [
        "dataset s-1: no done of it is whole, so it does not count",
        f"dataset s-1: a line is missing: {lines['clips'].key}",
    ]
    cut(store, done.key)
    assert faults(store, "dataset") == [f"dataset s-1: a line is torn: {done.key}"]
    for line in lines.values():
        gone(store, line.key)
    assert "dataset s-1: no line of it can be read" in faults(store, "dataset")


@pytest.mark.parametrize("harm", [gone, cut])
def test_what_was_made_anew_after_damage_is_no_fault_any_more(store, harm):
    lines, _ = make(store, "dataset")
    harm(store, lines["clips"].files[0].key)
    assert faults(store, "dataset")
    again, _ = make(store, "dataset", ("clips",))
    Bag(store, "dataset", "s-1", SHA).put_done(lines | again)
    assert faults(store, "dataset") == []
    parts, _ = make(store, "run")
    harm(store, parts["clips"].files[0].key)
    assert faults(store, "run")
    make(store, "run", ("clips",))
    assert faults(store, "run") == []


def test_a_torn_line_of_what_was_made_anew_is_told_with_leave_to_delete_it(store):
    lines, _ = make(store, "dataset")
    cut(store, lines["clips"].key)
    make(store, "dataset")
    [said] = faults(store, "dataset")
    assert said.startswith(f"dataset s-1: a line is torn: {lines['clips'].key}")
    assert said.endswith("this key may be deleted)")
    store.delete([lines["clips"].key])
    assert faults(store, "dataset") == []


def test_a_damaged_summary_is_told_and_one_that_is_whole_is_not(store):
    for subject, content in (("s-1", b'{"v": 1}'), ("s-2", b'{"v"')):
        store.put(view_key("dataset", subject, 1, new_writer()), content)
    verify_views(store, found := Found())
    [said] = found.faults
    assert said.startswith("dataset s-2: its summary is damaged")
    assert "view/dataset/" in said


def test_a_second_done_is_read_too(store):
    made = [make(store, "dataset") for _ in range(2)]
    for lines, _ in made:
        key = lines["clips"].files[0].key
        flip(store, key)
        assert f"dataset s-1: clips.parquet is damaged: {key}" in faults(store, "dataset")


def test_garbage_is_no_fault_before_gc_has_taken_it_nor_after(store):
    lines, _ = make(store, "dataset")
    bag = Bag(store, "dataset", "s-1", SHA)
    slow = bag.put_item("clips", [bag.put_file("clips.parquet", WHOLE)])
    flip(store, slow.files[0].key)
    assert faults(store, "dataset") == []
    collect(store, found := plan(store, courtesy_s=-1))
    assert [blob.key for blob in found.blobs] == [slow.files[0].key]
    assert faults(store, "dataset") == []
    # one that names what gc has taken meanwhile: readers take the other
    bag.put_done(lines | {"clips": slow})
    assert read_done(store, "dataset", "s-1").items == lines
    assert faults(store, "dataset") == []

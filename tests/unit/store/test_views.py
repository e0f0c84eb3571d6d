import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory_store import MemoryStore

from segnets.errors import Corrupt, Unavailable
from segnets.store.keys import new_writer, view_key
from segnets.store.views import list_views, read_view, refresh_view, write_view


@given(st.permutations(range(5)))
def test_whatever_order_views_arrive_in_the_newest_is_shown(order):
    store = MemoryStore()
    for seq in order:
        write_view(store, "trial", "m-1", seq, new_writer(), {"epoch": seq})
    assert read_view(store, list_views(store, "trial")["m-1"].key) == {"epoch": 4}


def test_a_view_of_one_trial_replaces_no_other():
    store = MemoryStore()
    for trial in ("m-1", "m-12"):
        write_view(store, "trial", trial, 3, new_writer(), {})
    write_view(store, "trial", "m-1", 4, new_writer(), {})
    assert set(list_views(store, "trial")) == {"m-1", "m-12"}
    assert len(store.list("view/")) == 2


def test_a_strange_key_among_the_views_is_passed_over():
    store = MemoryStore()
    store.put("view/trial/readme.txt", b"hello")
    assert list_views(store, "trial") == {}


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_view_that_is_no_object_is_corrupt_not_a_crash(data):
    store = MemoryStore()
    key = view_key("trial", "m-1", 1, new_writer())
    store.put(key, data)
    with pytest.raises(Corrupt, match="a summary is no JSON object"):
        read_view(store, key)


def test_a_view_is_refreshed_only_if_it_is_older():
    store = MemoryStore()
    refresh_view(store, "trial", "m-1", 2, new_writer(), {"epoch": 2})
    refresh_view(store, "trial", "m-1", 2, new_writer(), {"epoch": "again"})
    refresh_view(store, "trial", "m-1", 1, new_writer(), {"epoch": 1})
    assert read_view(store, list_views(store, "trial")["m-1"].key) == {"epoch": 2}


def test_a_view_that_cannot_be_written_is_no_fault():
    store = MemoryStore()

    def fail(operation, key):
        raise Unavailable("no answer", f"{operation} {key}", "Wait.")

    store.before = fail
    write_view(store, "trial", "m-1", 2, new_writer(), {})

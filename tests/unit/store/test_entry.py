import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory_store import MemoryStore

from segnets.errors import Corrupt
from segnets.store.entry import (
    Entry,
    FileRef,
    Live,
    Note,
    digest_of,
    from_bytes,
    read_file,
    seal,
    to_bytes,
    unseal,
)

SHA = hashlib.sha256(b"config").hexdigest()
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def an_entry(**changed):
    file = FileRef("state.pt", "obj/trial/m-1/000001-00000000000000aa/0-x", SHA, 3)
    values = {
        "id": "m-1",
        "config_sha256": SHA,
        "seq": 4,
        "attempt": 1,
        "writer": "00000000000000aa",
        "event": "checkpoint",
        "epoch": 2,
        "step": 20,
        "files": (file,),
        "live": (Live(2, 20, ("last", "best"), (file,)),),
        "notes": (Note(1.5, "resumed", "from epoch 1"),),
        "metrics": {"miou": 0.5},
        "env": {"threads": 2},
        "time": 7.25,
    }
    return Entry(**{**values, **changed})


@given(st.dictionaries(st.text(), JSON))
def test_what_was_sealed_comes_back(content):
    assert unseal(seal(content)) == json.loads(json.dumps(content))


@given(st.dictionaries(st.text(), JSON), st.data())
def test_no_changed_byte_survives_the_seal(content, data):
    sealed = bytearray(seal(content))
    where = data.draw(st.integers(0, len(sealed) - 1))
    sealed[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt):
        unseal(bytes(sealed))


@given(st.integers(0, 400))
def test_no_beginning_of_an_entry_is_taken_for_it(length):
    sealed = to_bytes(an_entry())
    with pytest.raises(Corrupt, match="torn"):
        from_bytes(sealed[: min(length, len(sealed) - 1)])


def test_an_entry_comes_back_as_it_was():
    assert from_bytes(to_bytes(an_entry())) == an_entry()


def test_the_bytes_of_version_1_stay_readable():
    golden = (
        b'{"attempt":1,"config_sha256":"' + SHA.encode() + b'","env":{},"epoch":1,"event":"done",'
        b'"files":[],"id":"m-1","kind":"trial","live":[],"metrics":{"val_miou":0.5},"notes":[],'
        b'"prev":"","seq":3,"step":10,"time":1.0,"v":1,"writer":"00000000000000aa"}\n'
        b"d7a2f2fda43db4900095cdde75f7caf97a2beb02b11ad50835c7b4cc390564db\n"
    )
    entry = from_bytes(golden)
    assert (entry.event, entry.metrics["val_miou"], entry.seq) == ("done", 0.5, 3)
    assert to_bytes(entry) == golden


def test_an_unknown_number_is_null_not_a_crash():
    assert unseal(seal({"a": [math.nan, math.inf, 1.0]})) == {"a": [None, None, 1.0]}


def test_an_entry_of_a_newer_version_is_not_guessed_at():
    with pytest.raises(Corrupt, match="newer segnets"):
        from_bytes(to_bytes(an_entry(v=99)))


@pytest.mark.parametrize("key", ["obj/../../etc/passwd", "../x"])
def test_a_sealed_entry_cannot_point_out_of_the_store(key):
    with pytest.raises(Corrupt):
        from_bytes(to_bytes(an_entry(files=(FileRef("a", key, SHA, 1),))))


def test_a_file_damaged_on_its_way_is_read_again():
    store = MemoryStore()
    store.put("a", b"good")
    reads = iter([b"bad!", b"good"])
    store.get = lambda _: next(reads)
    assert read_file(store, FileRef("a", "a", digest_of(b"good"), 4)) == b"good"


def test_a_file_that_stays_damaged_is_named():
    store = MemoryStore()
    store.put("a", b"bad!")
    with pytest.raises(Corrupt, match=r"state\.pt is not what was sealed: memory:///a"):
        read_file(store, FileRef("state.pt", "a", digest_of(b"good"), 4))

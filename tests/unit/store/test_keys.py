import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.errors import NotInStore
from segnets.store import keys

NUMBERS = st.integers(0, 99_999_999)
WRITER = "0123456789abcdef"


@given(NUMBERS, NUMBERS)
def test_the_newer_number_lists_first(a, b):
    assert (keys.inverted(a) < keys.inverted(b)) == (a > b)


@given(NUMBERS, st.integers(0, 999_999), st.booleans())
def test_a_slot_says_what_its_name_was_made_of(seq, attempt, conditional):
    key = keys.slot_key("m-1", seq, attempt, WRITER, conditional=conditional)
    slot = keys.parse_slot(keys.check_key(key))
    said = (None, None) if conditional else (attempt, WRITER)
    assert (slot.seq, slot.attempt, slot.writer) == (seq, *said)


def test_every_other_name_says_what_it_was_made_of():
    blob = keys.blob_key("dataset", "d-1", 0, WRITER, 3, "ab")
    assert keys.parse_blob(blob) == keys.BlobName("dataset", "d-1", 0, WRITER)
    assert keys.parse_item(keys.item_key("run", "r-1", "part-000001-aabbccdd", WRITER)) == (
        "part-000001-aabbccdd",
        WRITER,
    )
    assert keys.parse_view(keys.view_key("trial", "m-1", 12, WRITER)) == ("m-1", 12)
    assert keys.parse_beat(keys.beat_key("m-1", WRITER)) == ("m-1", WRITER)
    assert keys.parse_blob("obj/x") is keys.parse_slot("log/trial/m-1/x.json") is None


@pytest.mark.parametrize("subject", ["../up", "A", "a/b", "a.b", "", "<img src=x>", "x\n"])
def test_an_id_that_no_subject_can_have_is_not_in_the_store(subject):
    with pytest.raises(NotInStore, match="there is no such trial"):
        keys.check_id("trial", subject)


@pytest.mark.parametrize("key", ["", "/a", "a//b", "a/", "a/../b", ".", "A", "a b", "a/.tmp-1"])
def test_no_key_of_another_form_is_written(key):
    with pytest.raises(AssertionError):
        keys.check_key(key)

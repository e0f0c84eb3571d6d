import io
import logging
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from support.results_store import LiveTrial, names, reader_of, scene, write_store

from segnets.app import records
from segnets.app.cache import Cache
from segnets.app.read import Reader, ReadOnlyStore, Snapshot
from segnets.errors import Unavailable
from segnets.store.bag import read_items
from segnets.store.keys import new_writer, view_key
from segnets.store.open import open_store
from segnets.store.views import list_views


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("results") / "store"), write=True)
    made = write_store(store, samples=3)
    yield store, made
    for trial in made["live"]:
        trial.close()


@pytest.fixture
def reader(filled):
    reader = reader_of(filled[0])
    yield reader
    reader.close()


def test_a_look_finds_every_trial_of_the_store_and_the_queued_ones_of_the_plan(filled, reader):
    snapshot = reader.look()
    statuses = {row[0]: row[1] for row in filled[1]["plan"]}
    assert {t.id: t.status for t in snapshot.trials.values()} == {
        **statuses,
        filled[1]["queued"]: "queued",
    }
    assert snapshot.fault == ""
    assert snapshot.datasets[filled[1]["dataset"]].clips["val"] == 3


def test_the_version_moves_with_a_new_epoch_and_stays_without(tmp_path):
    store = open_store(str(tmp_path / "store"), write=True)
    reader = reader_of(store)
    trial = LiveTrial(store, "resnet_convlstm-00000001", "d", epochs=5, best=0.5, settings={})
    try:
        trial.epoch()
        first = reader.look()
        assert reader.look().version == first.version
        trial.epoch()
        second = reader.look()
        assert second.version == first.version + 1
        assert second.trials[trial.trial].epoch == 2
        assert [row["epoch"] for row in reader.curve(trial.trial)] == [1, 1, 2, 2]
    finally:
        trial.close()
        reader.close()


def test_a_known_view_is_not_read_again(filled):
    class Counting(ReadOnlyStore):
        gets = 0

        def get(self, key):
            self.gets += 1
            return super().get(key)

    counting = Counting(filled[0])
    reader = Reader("folder", lambda: counting)
    reader.look()
    before = counting.gets
    reader.look()
    assert counting.gets == before
    reader.close()


def test_a_store_that_does_not_answer_is_one_sentence_and_what_was_seen_stays(filled):
    class Flaky(ReadOnlyStore):
        away = False

        def list(self, prefix, *, after="", limit=None):
            if self.away:
                raise Unavailable("no answer", "http://127.0.0.1:9", "Start the server.")
            return super().list(prefix, after=after, limit=limit)

    flaky = Flaky(filled[0])
    reader = Reader("folder", lambda: flaky)
    seen = reader.look()
    flaky.away = True
    away = reader.look()
    assert away.fault == "no answer: http://127.0.0.1:9. Start the server."
    assert away.trials == seen.trials
    assert away.version == seen.version + 1
    flaky.away = False
    assert reader.look().fault == ""
    reader.close()


def test_a_store_that_cannot_even_be_opened_is_tried_again(tmp_path):
    answers = iter([Unavailable("no answer", "there", "Start it."), None])

    def connect():
        error = next(answers)
        if error is not None:
            raise error
        return open_store(str(tmp_path), write=False)

    reader = Reader("folder", connect)
    assert reader.look().fault == "no answer: there. Start it."
    assert reader.look().fault == ""
    assert not reader.snapshot.trials
    reader.close()


def test_a_folder_that_is_not_there_yet_is_an_empty_store(tmp_path):
    url = str(tmp_path / "later")
    reader = Reader(url, lambda: open_store(url, write=False))
    snapshot = reader.look()
    assert snapshot == replace(Snapshot(), version=1, looked=snapshot.looked)
    assert not (tmp_path / "later").exists()  # looking makes nothing
    reader.close()


def test_a_running_trial_without_a_beat_is_silent(filled, tmp_path):
    store = open_store(str(tmp_path / "store"), write=True)
    trial = LiveTrial(store, "resnet_convlstm-00000002", "d", epochs=5, best=0.5, settings={})
    trial.epoch()
    reader = reader_of(store)
    assert reader.look().trials[trial.trial].status == "running"
    trial.close()  # deletes the beat
    assert reader.look().trials[trial.trial].status == "silent"
    reader.close()


@pytest.mark.parametrize(
    "view",
    [
        b'{"miou": 1' + b"0" * 400 + b', "best": {"miou": 1' + b"0" * 400 + b"}}",
        b'{"settings": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"settings": {"a": 1' + b"0" * 5000 + b"}}",
    ],
    ids=["a number that no float holds", "lists without end", "a number that is too long to read"],
)
def test_a_bad_view_keeps_no_other_from_the_page(filled, view):
    store = open_store(str(filled[0].root), write=True)
    key = view_key("trial", "resnet_convlstm-0bad0001", 1, new_writer())
    store.put(key, view)
    reader = reader_of(store)
    try:
        snapshot = reader.look()
        assert snapshot.fault == ""
        assert set(snapshot.trials) >= {row[0] for row in filled[1]["plan"]}
        assert snapshot.unread == 0  # it may have been replaced since the listing
        assert reader.look().unread == (not view.startswith(b'{"miou"'))
        store.delete([key])
        assert reader.look().unread == 0
    finally:
        store.delete([key])
        reader.close()


def test_a_view_that_only_a_bug_can_refuse_is_left_out_and_said_once(
    filled, reader, monkeypatch, caplog
):
    known = filled[1]["plan"][0][0]

    def trial(subject, key, view):
        if subject == known:
            raise TypeError("nobody has thought of this")
        return read(subject, key, view)

    read = records.trial
    monkeypatch.setattr(records, "trial", trial)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            snapshot = reader.look()
    assert snapshot.fault == ""
    assert known not in snapshot.trials
    assert len(snapshot.trials) >= len(filled[1]["plan"]) - 1
    [record] = caplog.records
    assert "is left out: nobody has thought of this" in record.getMessage()


@pytest.mark.parametrize("damage", ["another byte", "cut"])
def test_a_damaged_plan_takes_only_the_queued_trials_with_it(filled, damage, caplog):
    store, made = filled
    [grid] = list_views(store, "grid")
    [ref] = [
        ref
        for items in read_items(store, "grid", grid).values()
        for item in items
        for ref in item.files
        if ref.name == "plan.json"
    ]
    file = store.local_path(ref.key)
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"{", b"(", 1) if damage == "another byte" else whole[:-3])
    reader = reader_of(store)
    try:
        with caplog.at_level(logging.WARNING):
            snapshot = reader.look()
            reader.look()
        assert snapshot.fault == ""
        assert set(snapshot.trials) == {row[0] for row in made["plan"]}
        assert len(caplog.records) == (damage == "another byte")  # one that is cut counts as none
        file.write_bytes(whole)
        assert made["queued"] in reader.look().trials  # put right, it is read again
    finally:
        file.write_bytes(whole)
        reader.close()


def test_the_pictures_of_a_sample_are_the_bytes_that_were_packed(filled, reader):
    reader.look()
    evaluation = next(iter(reader.snapshot.evals.values()))
    table = reader.samples(evaluation.id)
    display = reader.display(evaluation.dataset)
    for index, name in enumerate(names(3)):
        row = display.rows["val", name]
        data = reader.picture(display.pack, row["truth_offset"], row["truth_size"])
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        assert np.array_equal(pixels, scene(index))
        assert sum(table.rows["val", name]["inter"]) > 0


@pytest.mark.parametrize(("offset", "size"), [(-1, 0), (None, 5), (0, 10**12), ("0", "5"), (5, -3)])
def test_a_span_outside_the_pack_is_no_picture(filled, reader, offset, size):
    reader.look()
    display = reader.display(filled[1]["dataset"])
    assert reader.picture(display.pack, offset, size) is None


def test_the_cache_drops_what_was_not_used_for_longest():
    cache = Cache(10)
    for key in "abc":
        cache.get(key, lambda: b"1234", len)
    made = []
    cache.get("a", lambda: made.append("a") or b"1234", len)
    cache.get("c", lambda: made.append("c") or b"1234", len)
    assert made == ["a"]


def test_nothing_is_not_held():
    cache = Cache(10)
    assert cache.get("a", lambda: b"", len) == b""
    assert cache.get("a", lambda: b"x", len) == b"x"


def test_the_face_of_the_store_has_no_way_to_write(filled):
    face = ReadOnlyStore(filled[0])
    assert not {"put", "put_if_absent", "delete", "drop_leftover"} & set(dir(face))


def test_the_thread_looks_by_itself_until_it_is_closed(filled):
    reader = Reader("folder", lambda: filled[0], every_s=0.05)
    reader.start()
    until = time.monotonic() + 10
    while not reader.snapshot.trials and time.monotonic() < until:
        time.sleep(0.02)
    assert reader.snapshot.trials
    reader.close()

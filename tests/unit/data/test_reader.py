import errno
import io
import json
import os
import resource
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.descriptors import open_below

from segnets.data import convert, reader
from segnets.data.cache import ShardCache
from segnets.data.reader import open_dataset
from segnets.data.shards import write_shard
from segnets.errors import Corrupt, Denied, Misconfigured, NotInStore, OutOfSpace, Unavailable
from segnets.store.bag import read_done


class Remote:
    """A folder store that has no local files, as object storage has none; counts what is fetched."""

    def __init__(self, store):
        self._store = store
        self.fetched = []
        self.damage = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def local_path(self, key):  # noqa: ARG002
        return None

    def get_range(self, key, offset, size):
        self.fetched.append(key)
        data = self._store.get_range(key, offset, size)
        if self.damage:
            self.damage -= 1
            return data[:-1] + bytes([data[-1] ^ 1])
        return data


@pytest.fixture
def made(folder, preprocess):
    summary, store = preprocess(folder)
    return summary.dataset, store


@pytest.fixture
def many(folder, preprocess, monkeypatch):
    """A dataset of 14 clips in 13 shards, of which two may be open."""
    for seq in range(2, 10):
        folder.clip("train", "bonn", seq, 19)
    monkeypatch.setattr(convert, "rows_per_shard", lambda _: 4)
    monkeypatch.setattr(reader, "MAX_OPEN", 2)
    summary, store = preprocess(folder)
    return summary.dataset, store


@contextmanager
def no_more_files():
    """Whatever is opened in here is one file too many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def shard_path(store, dataset, name):
    return store.local_path(read_done(store, "dataset", dataset).file(name).key)


def test_given_buffers_are_filled_and_nothing_else(made):
    with open_dataset(made[1], made[0]) as dataset:
        frames = np.full((5, 4, 32, 64, 3), 9, dtype=np.uint8)
        labels = np.full((5, 32, 64), 9, dtype=np.uint8)
        got_frames, got_labels = dataset.read("train", [2, 0], frames, labels)
        assert np.shares_memory(got_frames, frames)
        assert np.array_equal(got_frames, dataset.read("train", [2, 0])[0])
        assert np.array_equal(got_labels, dataset.read("train", [2, 0])[1])
        assert (frames[2:] == 9).all()
        assert (labels[2:] == 9).all()


def test_repeated_frames_and_frames_of_two_groups_are_read_right(folder, preprocess):
    for frame in range(20, 80):
        folder.clip("train", "aachen", 0, frame)
    folder.clip("train", "zell", 0, 1)
    summary, store = preprocess(folder, on_missing="repeat")
    with open_dataset(store, summary.dataset) as dataset:
        frames, _ = dataset.read("train", range(len(dataset.clips["train"])))
        shared = {}
        for index, record in enumerate(dataset.clips["train"]):
            for step, row in enumerate(record.frame_rows):
                known = shared.setdefault(row, frames[index, step])
                assert np.array_equal(known, frames[index, step])
        assert max(shared) > 2 * 32  # rows of three groups
        assert len({row.tobytes() for row in shared.values()}) == len(shared)
        assert dataset.clips["train"][-1].frame_rows[:3] == (dataset.clips["train"][-1].frame_rows[0],) * 3  # fmt: skip


def test_an_unknown_id_is_said_to_be_unknown(made):
    with pytest.raises(NotInStore, match=r"no finished dataset nosuch-1: .*preprocess") as caught:
        open_dataset(made[1], "nosuch-1")
    assert caught.value.exit_code == 3


def test_a_flipped_byte_in_a_shard_is_refused_when_it_is_read(made):
    path = shard_path(made[1], made[0], "frames-00000.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with (
        open_dataset(made[1], made[0]) as dataset,
        pytest.raises(Corrupt, match=r"page of a shard is damaged.*frames-00000\.parquet of tiny-"),
    ):
        dataset.read("train", [0])


def test_a_whole_shard_that_is_not_the_manifests_is_refused(made):
    path = shard_path(made[1], made[0], "frames-00000.parquet")
    grey = (np.full((22, 32 * 64 * 3), level, dtype=np.uint8) for level in range(256))
    others = (write_shard(pixels) for pixels in grey)
    # whole in itself, and as long as the one that was sealed (a checksum takes 4 or 5 bytes)
    path.write_bytes(next(data for data in others if len(data) == path.stat().st_size))
    with (
        open_dataset(made[1], made[0]) as dataset,
        pytest.raises(Corrupt, match="a shard is not the one of the manifest: frames-00000"),
    ):
        dataset.read("train", [0])


def test_a_shard_that_shrinks_under_the_reader_is_corrupt_not_a_crash(made):
    path = shard_path(made[1], made[0], "frames-00000.parquet")
    with open_dataset(made[1], made[0]) as dataset:
        dataset.read("train", [0])
        with path.open("r+b") as file:
            file.truncate(100)
        with pytest.raises(Corrupt, match="shorter than it was"):
            dataset.read("train", [0])


def test_a_dataset_of_object_storage_is_fetched_once_and_read_alike(made, tmp_path):
    remote = Remote(made[1])
    for _ in range(2):
        with (
            open_dataset(remote, made[0], tmp_path / "c") as there,
            open_dataset(*made[::-1]) as here,
        ):
            for one, two in zip(
                there.read("train", [0, 1, 2]), here.read("train", [0, 1, 2]), strict=True
            ):
                assert np.array_equal(one, two)
    assert len(remote.fetched) == len(set(remote.fetched)) == 2


def test_what_arrives_damaged_is_fetched_again_and_then_refused(made, tmp_path):
    remote = Remote(made[1])
    remote.damage = 1
    with open_dataset(remote, made[0], tmp_path / "c") as dataset:
        dataset.read("test", [0])
    assert len(remote.fetched) == 2
    remote.damage = 100
    with (
        open_dataset(remote, made[0], tmp_path / "d") as dataset,
        pytest.raises(Corrupt, match=r"frames-00000\.parquet is not what was sealed"),
    ):
        dataset.read("test", [0])
    assert not list((tmp_path / "d" / "shards").glob("*.shard"))


def test_the_cache_stays_within_its_bound_and_never_disturbs_a_reader(made, tmp_path):
    done = read_done(made[1], "dataset", made[0])
    files = [done.file(name) for name in ("frames-00000.parquet", "display.pack", "clips.parquet")]
    stranger = tmp_path / "shards" / "notes.txt"
    stranger.parent.mkdir()
    stranger.write_text("mine")
    cache = ShardCache(tmp_path, limit_bytes=files[0].size + files[1].size)
    opened = []
    for ref in files:
        opened.append(cache.open(Remote(made[1]), ref))
        held = sum(path.stat().st_size for path in (tmp_path / "shards").glob("*.shard"))
        assert held <= files[0].size + files[1].size
    with io.FileIO(opened[0]) as evicted:
        assert evicted.read() == made[1].get(files[0].key)
    for descriptor in opened[1:]:
        io.FileIO(descriptor).close()
    assert stranger.read_text() == "mine"
    with pytest.raises(OutOfSpace, match="limited to 10 bytes"):
        ShardCache(tmp_path, limit_bytes=10).open(made[1], files[0])


def test_threads_that_want_one_file_fetch_it_once(made, tmp_path):
    remote = Remote(made[1])
    ref = read_done(made[1], "dataset", made[0]).file("display.pack")
    cache = ShardCache(tmp_path)
    threads = [
        threading.Thread(target=lambda: io.FileIO(cache.open(remote, ref)).close())
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(remote.fetched) == 1


@pytest.mark.parametrize("is_remote", [False, True])
def test_few_shards_are_open_however_many_there_are(many, tmp_path, is_remote):
    dataset_id, store = many
    place = tmp_path / "c" if is_remote else store.root
    with open_dataset(Remote(store) if is_remote else store, dataset_id, tmp_path / "c") as dataset:
        assert len(dataset._frames.shards) > 8
        num = len(dataset.clips["train"])
        expected = dataset.read("train", range(num))
        for index in np.random.default_rng(0).permutation(4 * num) % num:
            frames, labels = dataset.read("train", [index])
            assert np.array_equal(frames[0], expected[0][index])
            assert np.array_equal(labels[0], expected[1][index])
            assert 0 < len(open_below(place)) <= 2
    assert open_below(place) == []


def test_a_shard_that_falls_out_while_it_is_read_closes_when_that_is_done(many, monkeypatch):
    dataset_id, store = many
    with open_dataset(store, dataset_id) as dataset:
        num = len(dataset.clips["train"])
        expected = dataset.read("train", range(num))
        preadv, opened = os.preadv, []

        def slow(descriptor, buffers, offset):
            monkeypatch.setattr(os, "preadv", preadv)
            for index in range(num - 1, 0, -1):  # what other threads do meanwhile
                dataset.read("train", [index])
            opened.append(len(open_below(store.root)))
            return preadv(descriptor, buffers, offset)

        monkeypatch.setattr(os, "preadv", slow)
        frames, labels = dataset.read("train", [0])
        assert np.array_equal(frames[0], expected[0][0])
        assert np.array_equal(labels[0], expected[1][0])
        assert opened == [3]
        assert len(open_below(store.root)) == 2


def test_threads_read_right_while_shards_open_and_close(many):
    dataset_id, store = many
    with open_dataset(store, dataset_id) as dataset:
        num = len(dataset.clips["train"])
        expected = dataset.read("train", range(num))

        def read(seed):
            for index in np.random.default_rng(seed).integers(num, size=100):
                frames, labels = dataset.read("train", [index])
                assert np.array_equal(frames[0], expected[0][index])
                assert np.array_equal(labels[0], expected[1][index])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(read, range(6)))
        assert len(open_below(store.root)) == 2


def test_a_shard_that_was_replaced_since_it_was_open_is_refused(many):
    dataset_id, store = many
    with open_dataset(store, dataset_id) as dataset:
        num = len(dataset.clips["train"])
        dataset.read("train", range(num))
        first, other = (shard.ref.key for shard in dataset._frames.shards[1:3])
        beside = store.root / "beside"
        beside.write_bytes(store.get(other))
        beside.rename(store.local_path(first))
        with pytest.raises(Corrupt, match="a shard is not the one of the manifest"):
            dataset.read("train", range(num))


@pytest.mark.parametrize("is_remote", [False, True])
def test_too_many_open_files_are_not_the_fault_of_the_dataset(made, tmp_path, is_remote):
    store = Remote(made[1]) if is_remote else made[1]
    with open_dataset(store, made[0], tmp_path / "c") as dataset:
        with no_more_files(), pytest.raises(Unavailable) as caught:
            dataset.read("train", [0])
        assert "a shard cannot be opened (Too many open files): " in str(caught.value)
        assert "Raise the limit with ulimit -n, or end other programs" in str(caught.value)
        dataset.read("train", [0])


def test_a_shard_that_may_not_be_read_is_not_called_damaged(made, monkeypatch):
    def deny(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    with open_dataset(made[1], made[0]) as dataset:
        monkeypatch.setattr(os, "open", deny)
        with pytest.raises(Denied, match=r"may not use the store: .*Change the folder's rights"):
            dataset.read("train", [0])


@pytest.mark.parametrize("place", ["c", "c/shards"])
def test_a_file_in_the_place_of_the_cache_is_named_with_what_to_do(made, tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with (
        open_dataset(Remote(made[1]), made[0], tmp_path / "c") as dataset,
        pytest.raises(Misconfigured) as caught,
    ):
        dataset.read("train", [0])
    assert str(caught.value) == (
        f"a file stands where the cache needs a folder: {file}. Name another folder with --cache."
    )
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        (errno.ENOSPC, OutOfSpace, "cannot keep a fetched shard (No space left on device)"),
        (errno.EROFS, OutOfSpace, "cannot keep a fetched shard (Read-only file system)"),
        (errno.EACCES, OutOfSpace, "cannot keep a fetched shard (Permission denied)"),
        (errno.EIO, Unavailable, "the cache cannot be used (Input/output error)"),
        (errno.ENOLCK, Unavailable, "the cache cannot be used (No locks available)"),
        (errno.ENAMETOOLONG, Unavailable, "the cache cannot be used (File name too long)"),
    ],
)
def test_every_error_of_the_caches_disk_is_one_sentence(
    made, tmp_path, monkeypatch, code, kind, sentence
):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    with open_dataset(Remote(made[1]), made[0], tmp_path / "c") as dataset:
        monkeypatch.setattr("fcntl.flock", fail)
        with pytest.raises(kind) as caught:
            dataset.read("train", [0])
    assert str(caught.value).startswith(f"{sentence}: {tmp_path}/c/shards. ")
    assert "another folder with --cache" in str(caught.value)


def test_the_app_finds_every_frame_and_truth(made):
    dataset_id, store = made
    done = read_done(store, "dataset", dataset_id)
    pack = store.get(done.file("display.pack").key)
    rows = pq.read_table(io.BytesIO(store.get(done.file("display.parquet").key))).to_pylist()
    with open_dataset(store, dataset_id) as dataset:
        records = [record for split in ("test", "train", "val") for record in dataset.clips[split]]
        assert [row["name"] for row in rows] == [record.name for record in records]
        for row in rows:
            index = [one.name for one in dataset.clips[row["split"]]].index(row["name"])
            frames, labels = dataset.read(row["split"], [index])
            spans = zip(row["frame_offsets"], row["frame_sizes"], strict=True)
            for step, (offset, size) in enumerate(spans):
                shown = np.asarray(Image.open(io.BytesIO(pack[offset : offset + size])))
                wanted = frames[0, step].astype(int)
                assert shown.shape == wanted.shape
                assert np.abs(shown - wanted).mean() < 12  # WebP
            if row["truth_offset"] < 0:
                assert row["split"] == "test"
                continue
            span = slice(row["truth_offset"], row["truth_offset"] + row["truth_size"])
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(pack[span]))), labels[0])
    assert (rows[0]["height"], rows[0]["width"]) == (64, 128)


def test_the_dataset_knows_its_settings_without_the_place_of_the_files(made):
    with open_dataset(made[1], made[0]) as dataset:
        assert dataset.preprocess["data"] == "files"
        assert (dataset.height, dataset.width) == (32, 64)
        assert (dataset.clip_frames, dataset.stride) == (4, 1)
        assert len(dataset.digest) == 64
        assert json.dumps(dataset.stats)


def test_checking_and_reading_need_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import segnets.data.reader, segnets.data.validate, segnets.data.convert\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("call", ["preadv", "pread"])
def test_a_disk_that_is_ill_while_a_shard_is_read_or_opened_is_one_sentence(
    made, monkeypatch, call
):
    def ill(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with open_dataset(made[1], made[0]) as dataset:
        dataset.read("train", [0])
        monkeypatch.setattr(os, call, ill)
        dataset.close()  # so that it is opened anew
        with pytest.raises(Unavailable, match="the disk does not answer"):
            dataset.read("train", [0])

import json
import os
import shutil
import signal

import numpy as np
import pytest

from segnets.data import convert
from segnets.data.decode import decode_label_ids, decode_rgb
from segnets.data.digests import DigestCache
from segnets.data.reader import open_dataset
from segnets.data.resize import resize_frame, resize_labels
from segnets.errors import DatasetError, Stopped
from segnets.labels import TRAIN_ID_OF
from segnets.store.bag import read_done
from segnets.store.views import list_views, read_view

NAMES = ("clips.parquet", "frames-00000.parquet", "labels-00000.parquet", "manifest.json",
         "stats.json", "report.parquet", "display.parquet", "display.pack")  # fmt: skip


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of eight rows, so that a tiny folder fills several."""
    monkeypatch.setattr(convert, "rows_per_shard", lambda _: 8)


def contents(store, dataset):
    """File name -> bytes of every file of a dataset."""
    done = read_done(store, "dataset", dataset)
    files = [file for item in done.items.values() for file in item.files]
    return {file.name: store.get(file.key) for file in files}


def test_a_dataset_holds_what_the_folder_holds(folder, preprocess):
    summary, store = preprocess(folder)
    assert summary.clips == {"train": 3, "val": 2, "test": 1}
    assert (summary.frames, summary.skipped, summary.reused) == (22, 0, False)
    files = contents(store, summary.dataset)
    assert sorted(files) == sorted(NAMES)
    assert summary.bytes == sum(len(data) for data in files.values())
    assert summary.dataset.startswith("tiny-32x64-4f-")


def test_every_pixel_equals_the_decoded_and_resized_file(folder, preprocess):
    summary, store = preprocess(folder)
    train_id_of = np.frombuffer(TRAIN_ID_OF, dtype=np.uint8)
    with open_dataset(store, summary.dataset) as dataset:
        for split, records in dataset.clips.items():
            frames, labels = dataset.read(split, range(len(records)))
            for index, record in enumerate(records):
                for step in range(4):
                    number = record.frame - 3 + step
                    place = (split, record.city, record.seq, number)
                    path = folder.path("leftImg8bit_sequence", *place)
                    path = path if path.exists() else folder.path("leftImg8bit", *place)
                    wanted = resize_frame(decode_rgb(path.read_bytes(), path), 32, 64)
                    assert np.array_equal(frames[index, step], wanted)
                if split == "test":
                    assert (labels[index] == 255).all()
                    continue
                path = folder.path("gtFine", split, record.city, record.seq, record.frame)
                ids = decode_label_ids(path.read_bytes(), path)
                wanted = train_id_of[resize_labels(ids, 32, 64)]
                assert np.array_equal(labels[index], wanted)
                assert np.array_equal(dataset.original_label_ids(split, index), ids)


def test_output_is_the_same_bytes_for_any_number_of_threads(folder, preprocess, small_shards):
    one, store_one = preprocess(folder, "one", workers=1)
    five, store_five = preprocess(folder, "five", workers=5)
    assert one == five
    assert contents(store_one, one.dataset) == contents(store_five, five.dataset)


def test_a_second_preprocess_reads_no_picture_and_says_reused(folder, preprocess, monkeypatch):
    first, _ = preprocess(folder)
    monkeypatch.setattr("segnets.data.validate.look_at", None)
    monkeypatch.setattr("segnets.data.convert.decode_rgb", None)
    second, store = preprocess(folder)
    assert second.reused
    assert (second.dataset, second.clips, second.bytes) == (
        first.dataset,
        first.clips,
        first.bytes,
    )
    assert len(store.list("log/")) == len(read_done(store, "dataset", first.dataset).items) + 1


def test_rehash_reads_every_file_again(folder, preprocess, monkeypatch):
    preprocess(folder)
    monkeypatch.setattr("segnets.data.validate.look_at", None)
    with pytest.raises(TypeError):
        preprocess(folder, rehash=True)


def test_the_id_is_of_the_content_not_of_the_place(folder, preprocess, tmp_path):
    here, _ = preprocess(folder)
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder.root, moved)
    folder.root = moved
    assert preprocess(folder)[0].dataset == here.dataset
    folder.put("leftImg8bit", "test", "mainz", 0, 19, folder.files()[-1].read_bytes())
    assert preprocess(folder)[0].dataset != here.dataset


def test_a_file_that_changed_under_the_same_size_is_seen(folder, preprocess):
    before, _ = preprocess(folder)
    path = folder.path("gtFine", "val", "ulm", 0, 19)
    data = path.read_bytes()
    other = bytearray(data)
    other[-20] ^= 1
    path.write_bytes(bytes(other))
    with pytest.raises(DatasetError, match="fails its checksum"):
        preprocess(folder)
    path.write_bytes(data)
    assert preprocess(folder)[0].dataset == before.dataset


def test_other_settings_are_another_dataset_in_the_same_store(folder, preprocess):
    first, store = preprocess(folder)
    second, _ = preprocess(folder, clip_frames=2)
    assert second.dataset != first.dataset
    assert sorted(list_views(store, "dataset")) == sorted([first.dataset, second.dataset])
    with open_dataset(store, second.dataset) as dataset:
        assert dataset.read("val", [1])[0].shape == (1, 2, 32, 64, 3)


def test_a_killed_preprocess_goes_on_from_its_finished_shards(
    folder, preprocess, small_shards, monkeypatch
):
    whole, reference = preprocess(folder, "reference")
    real, made = convert.write_shard, []

    def die_at_the_third(pixels, originals=None):
        if len(made) == 2:
            raise RuntimeError("killed")
        made.append(real(pixels, originals))
        return made[-1]

    monkeypatch.setattr(convert, "write_shard", die_at_the_third)
    with pytest.raises(RuntimeError, match="killed"):
        preprocess(folder)
    monkeypatch.setattr(convert, "write_shard", lambda *args: made.append(1) or real(*args))
    summary, store = preprocess(folder)
    assert len(made) == 2 + 2  # 3 frames shards and 1 labels shard, two of them taken over
    assert summary == whole
    assert contents(store, summary.dataset) == contents(reference, whole.dataset)


def test_shards_of_other_files_are_never_taken_over(folder, preprocess, forged_png, monkeypatch):
    # Four rows a shard. The first plan dies in its fourth shard of a frame that only the decoder
    # finds bad; the second leaves that clip out, which moves other frames into the third shard.
    monkeypatch.setattr(convert, "rows_per_shard", lambda _: 4)
    folder.path("leftImg8bit", "train", "bonn", 1, 19).write_bytes(forged_png)
    summary, store = preprocess(folder, on_problem="skip", workers=1)
    assert summary.clips == {"train": 2, "val": 2, "test": 1}
    with open_dataset(store, summary.dataset) as dataset:
        frames, _ = dataset.read("val", [0])
        for step in range(3):
            path = folder.path("leftImg8bit_sequence", "val", "ulm", 0, 16 + step)
            wanted = resize_frame(decode_rgb(path.read_bytes(), path), 32, 64)
            assert np.array_equal(frames[0, step], wanted)


def test_a_signal_stops_between_two_pictures_and_keeps_what_was_put(
    folder, preprocess, monkeypatch
):
    real, signals = convert.resize_frame, [signal.SIGINT]

    def interrupted(rgb, height, width):
        while signals:
            os.kill(os.getpid(), signals.pop())
        return real(rgb, height, width)

    monkeypatch.setattr(convert, "resize_frame", interrupted)
    with pytest.raises(Stopped) as caught:
        preprocess(folder, workers=1)
    assert caught.value.exit_code == 130
    monkeypatch.setattr(convert, "resize_frame", real)
    assert preprocess(folder)[0].clips["train"] == 3


def test_drawn_files_are_known_by_their_salt_alone(folder, preprocess):
    first, _ = preprocess(folder, data="synthetic", salt="streets-1")
    for path in folder.files():
        path.unlink()
    again, _ = preprocess(folder, data="synthetic", salt="streets-1")
    assert again.reused
    assert again.dataset == first.dataset
    with pytest.raises(DatasetError):
        preprocess(folder, data="synthetic", salt="streets-2")


def test_the_view_tells_the_app_what_there_is(folder, preprocess):
    summary, store = preprocess(folder)
    view = read_view(store, list_views(store, "dataset")[summary.dataset].key)
    assert view["clips"] == summary.clips
    assert (view["kind"], view["id"], view["frames"]) == ("dataset", summary.dataset, 22)
    assert 0 <= view["prior_miou"] <= 1
    assert view["classes_present"]
    assert isinstance(view["time"], float)


def test_a_lost_view_is_put_again(folder, preprocess):
    summary, store = preprocess(folder)
    store.delete([listed.key for listed in store.list("view/")])
    preprocess(folder)
    assert summary.dataset in list_views(store, "dataset")


def test_a_torn_line_of_the_digest_cache_costs_one_file(folder, preprocess, tmp_path):
    preprocess(folder)
    (path,) = (tmp_path / "cache" / "digests").iterdir()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines)[:-30])
    known = json.loads(next(line for line in lines if line.strip()))[0]
    assert known
    summary, _ = preprocess(folder)
    assert summary.reused
    assert isinstance(DigestCache, type)


def test_a_cache_that_cannot_be_written_costs_time_only(folder, preprocess, tmp_path):
    (tmp_path / "file").touch()
    summary, _ = preprocess(folder, cache=str(tmp_path / "file"))
    assert summary.clips["train"] == 3

import io
import json
import os
import shutil
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segnets.data.cityscapes import index_frames
from segnets.errors import Denied, Stopped, Unavailable
from segnets.inference import ledger, work
from segnets.inference.drift import Training
from segnets.inference.evaluate import decide, frame_logits
from segnets.inference.frames import Frames
from segnets.inference.ledger import Seen
from segnets.inference.masks import to_label_ids, to_train_ids
from segnets.inference.night import done_frames, frame_key
from segnets.inference.predict import predict_frames
from segnets.store.bag import Bag, read_items
from segnets.store.base import Sink, Source
from segnets.store.entry import read_file
from segnets.store.folder import FolderStore
from segnets.store.open import open_sink, open_source, open_store
from segnets.store.tables import from_parquet
from segnets.store.views import list_views, read_view

META = {"trial": "t", "source": "s", "out": "o"}
ALL = {"labelled": 6, "all": 12}


def picture(path):
    with Image.open(path) as image:
        image.load()
        return image


class Nights:
    """A job on a folder that can be run night after night."""

    def __init__(self, folder, tmp_path, predictor):
        self.folder, self.out, self.predictor = folder, tmp_path / "masks", predictor
        self.store = open_store(str(tmp_path / "store"), write=True)

    def jobs(self, frames="labelled", split=None):
        source = open_source(str(self.folder))
        return index_frames(source, frames=frames, split=split, clip_frames=2, stride=1)

    def run(self, jobs=None, on_frame=None, **options):
        return predict_frames(
            self.predictor,
            self.jobs() if jobs is None else jobs,
            open_source(str(self.folder)),
            open_sink(str(self.out)),
            Bag(self.store, "run", "pred-1", "0" * 64),
            meta=META,
            on_frame=on_frame,
            **{"settle_s": 0.0, **options},
        )

    def masks(self):
        return {p.relative_to(self.out): p.read_bytes() for p in self.out.rglob("*.png")}

    def rows(self, night, status=None):
        rows = from_parquet(self.file(night, "frames.parquet")).to_pylist()
        return [row for row in rows if status in (None, row["status"])]

    def items(self):
        return read_items(self.store, "run", "pred-1")

    def file(self, item, name):
        return read_file(self.store, self.items()[item][0].file(name))

    def mask(self, folder, name, split="val"):
        path = self.out / folder / split / name.split("_")[0] / f"{name}_{folder}.png"
        return picture(path)


@pytest.fixture
def nights(folder, tmp_path, predictor):
    copy = tmp_path / "data"
    shutil.copytree(folder, copy)
    return Nights(copy, tmp_path, predictor)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(work, "PART_FRAMES", 2)


@pytest.mark.parametrize("frames", ALL)
def test_every_frame_gets_three_files_named_as_in_the_layout(nights, frames):
    result = nights.run(nights.jobs(frames))
    assert (result.frames, result.written, result.reused, result.failed) == (
        ALL[frames],
        ALL[frames],
        0,
        0,
    )
    files = [p for p in nights.out.rglob("*") if p.is_file()]
    assert len(files) == 3 * ALL[frames]
    for folder in ("color", "labelIds", "overlay"):
        place = nights.out / folder / "test/bonn" / f"bonn_000009_000019_{folder}.png"
        assert place in files
        assert picture(place).size == (96, 48)


def test_a_mask_is_what_decide_says_black_where_unsure_or_unlabelled(
    nights, module, dataset, runtime
):
    nights.run()
    for index, clip in enumerate(dataset.clips["val"]):
        frames, _ = dataset.read("val", [index])
        ids, confidence = decide(
            frame_logits(module, frames[0], dataset.mean, dataset.std, runtime), (48, 96)
        )
        truth = to_train_ids(dataset.original_label_ids("val", index))
        black = (confidence < 0.5) | (truth == 255)
        assert black.any()
        expected = np.where(black, np.uint8(255), ids)
        assert (np.asarray(nights.mask("labelIds", clip.name)) == to_label_ids(expected)).all()
        shown = np.asarray(nights.mask("color", clip.name).convert("RGB"))
        assert (shown[black] == 0).all()


def test_a_second_night_does_only_what_is_new(nights):
    jobs = nights.jobs("all")
    first = nights.run([job for job in jobs if job.split == "val"])
    before = {p: p.stat().st_mtime_ns for p in nights.out.rglob("*.png")}
    second = nights.run(jobs)
    assert (first.frames, first.written) == (6, 6)
    assert (second.frames, second.written, second.reused) == (12, 6, 6)
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    third = nights.run(jobs)
    assert (third.written, third.reused) == (0, 12)
    parts = [item for item in nights.items() if item.startswith("part-")]
    assert len(parts) == 6
    assert len(done_frames(nights.items())) == 12


def test_masks_that_somebody_removed_are_written_again_and_no_others(nights):
    nights.run()
    masks = {path: path.read_bytes() for path in nights.out.rglob("*.png")}
    gone = next(path for path in masks if path.name.endswith("_overlay.png"))
    gone.unlink()
    again = nights.run()
    assert (again.written, again.reused) == (1, 5)
    assert {path: path.read_bytes() for path in nights.out.rglob("*.png")} == masks
    assert nights.run().written == 0


def test_the_table_of_a_night_and_its_parts_point_at_what_was_written(nights):
    result = nights.run()
    rows = from_parquet(nights.file(result.night, "frames.parquet")).to_pylist()
    assert {row["status"] for row in rows} == {"written"}
    assert len(rows) == 6
    for row in rows:
        pack = nights.file(row["part"], "preview.pack")
        ids = pack[row["pred_offset"] : row["pred_offset"] + row["pred_size"]]
        frame = pack[row["frame_offset"] : row["frame_offset"] + row["frame_size"]]
        assert [Image.open(io.BytesIO(data)).size for data in (ids, frame)] == [(64, 32)] * 2
        labels = np.asarray(picture(nights.out / row["label_ids"]))
        assert sum(row["share"]) == pytest.approx((labels > 0).mean())
        assert (nights.out / row["color"]).exists()
        assert (nights.out / row["overlay"]).exists()
        assert 0 < row["confidence"] <= 1
    content = json.loads(nights.file(result.night, "run.json"))
    assert content["trial"] == "t"
    assert content["status"] == "done"
    assert content["written"] == 6
    assert set(content["parts"]) == {row["part"] for row in rows}
    (listed,) = list_views(nights.store, "run").values()
    view = read_view(nights.store, listed.key)
    assert view | {"time": 0} == META | {
        "v": 2,
        "kind": "run",
        "id": "pred-1",
        "nights": 1,
        "frames": 6,
        "failed": 0,
        "time": 0,
    }


def frame_path(nights, name, folder="leftImg8bit_sequence", split="val"):
    return nights.folder / folder / split / name.split("_")[0] / f"{name}_leftImg8bit.png"


def undisturbed(nights, tmp_path, jobs=None):
    """The masks of one single night over what is there now."""
    other = Nights(nights.folder, tmp_path / "undisturbed", nights.predictor)
    other.run(jobs)
    return other.masks()


def test_a_bad_frame_is_a_row_with_its_reason_and_is_tried_again(nights):
    broken = frame_path(nights, "bonn_000005_000019")
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-200])
    for _ in range(2):
        result = nights.run()
        assert (result.frames, result.failed) == (6, 1)
        (failed,) = nights.rows(result.night, "failed")
        assert failed["name"] == "bonn_000005_000019"
        assert failed["error"].startswith("the PNG ends at byte")
        assert str(broken) in failed["error"]
    broken.write_bytes(whole)
    assert (nights.run().written, len(nights.masks())) == (1, 18)


def test_a_bad_frame_in_the_past_of_others_counts_as_one_that_never_came(nights, tmp_path):
    broken = frame_path(nights, "bonn_000005_000018")
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-200])
    result = nights.run()
    assert (result.frames, result.written, result.failed) == (7, 6, 1)
    (failed,) = nights.rows(result.night, "failed")
    assert (failed["split"], failed["name"]) == ("val", "bonn_000005_000018")
    masks = nights.masks()
    broken.unlink()
    assert undisturbed(nights, tmp_path / "without") == masks
    broken.write_bytes(whole)
    assert nights.run().written == 1
    assert undisturbed(nights, tmp_path) == nights.masks()


def test_a_frame_that_may_not_be_read_is_named_and_the_others_have_their_masks(nights, monkeypatch):
    refused = str(frame_path(nights, "bonn_000005_000019").relative_to(nights.folder))
    read = FolderStore.get

    def get(store, key):
        if key == refused:
            raise Denied("this user may not use the store", key, "Change its rights.")
        return read(store, key)

    monkeypatch.setattr(FolderStore, "get", get)  # the tests may run as root, who may read all
    result = nights.run()
    assert (result.frames, result.written, result.failed) == (6, 5, 1)
    (failed,) = nights.rows(result.night, "failed")
    assert "may not read the file" in failed["error"]
    assert refused in failed["error"]


def test_a_refusal_of_object_storage_ends_the_night_and_no_frame_is_called_bad(nights, monkeypatch):
    def get(store, key):
        raise Denied("the session token has expired", key, "Take a new one.")

    monkeypatch.setattr(FolderStore, "get", get)
    monkeypatch.setattr(Source, "local_path", lambda *_: None)  # as of a bucket
    with pytest.raises(Denied, match="token has expired"):
        nights.run()


def test_a_source_that_goes_away_ends_the_night_and_what_was_done_is_recorded(nights, monkeypatch):
    monkeypatch.setattr(work, "PART_FRAMES", 32)
    read, left = FolderStore.get, [5]

    def get(store, key):
        if key.startswith("leftImg8bit"):
            left[0] -= 1
            if left[0] < 0:
                raise Unavailable("the disk does not answer", key, "Check the disk.")
        return read(store, key)

    monkeypatch.setattr(FolderStore, "get", get)
    with pytest.raises(Unavailable):
        nights.run()
    monkeypatch.setattr(FolderStore, "get", read)
    done = done_frames(nights.items())
    assert len(nights.masks()) == 3 * len(done) > 0
    result = nights.run()
    assert result.reused == len(done)


def test_what_is_no_picture_at_all_is_named_and_nothing_else_suffers(nights):
    frame_path(nights, "aachen_000003_000019").write_text("../gtFine/somewhere.png")
    frame_path(nights, "aachen_000004_000019").write_bytes(b"")
    result = nights.run()
    assert (result.written, result.failed) == (4, 2)
    reasons = [row["error"] for row in nights.rows(result.night, "failed")]
    assert all(reason.startswith("this is no PNG file: ") for reason in reasons)


def test_the_same_bytes_again_are_no_news_and_other_bytes_are(nights, tmp_path):
    nights.run()
    before, path = nights.masks(), frame_path(nights, "aachen_000003_000019")
    path.write_bytes(path.read_bytes())
    assert nights.run().written == 0
    Image.fromarray(255 - np.asarray(picture(path))).save(path)
    result = nights.run()
    assert (result.written, result.reused) == (1, 5)
    changed = {place for place, data in nights.masks().items() if before[place] != data}
    assert {place.parent.name for place in changed} == {"aachen"}
    assert nights.masks() == undisturbed(nights, tmp_path)


def test_an_earlier_frame_that_comes_late_changes_the_masks_behind_it(nights, tmp_path):
    late = frame_path(nights, "bonn_000005_000018")
    Image.fromarray(255 - np.asarray(picture(late))).save(late)
    whole = late.read_bytes()
    late.unlink()
    nights.run()
    late.write_bytes(whole)
    assert (nights.run().written, nights.run().written) == (1, 0)
    assert nights.masks() == undisturbed(nights, tmp_path)


def test_a_file_that_still_grows_waits_for_the_next_night_and_is_no_fault(nights):
    growing = frame_path(nights, "bonn_000005_000019")
    whole, ended = growing.read_bytes(), threading.Event()

    def grow():
        with growing.open("wb") as file:
            while not ended.wait(0.005):
                file.write(b"\x89PNG")
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        result = nights.run(settle_s=0.5)
    finally:
        ended.set()
        writer.join()
    assert (result.written, result.waiting, result.failed) == (5, 1, 0)
    (waiting,) = nights.rows(result.night, "waiting")
    assert waiting["error"] == f"it is still being written: {growing}"
    growing.write_bytes(whole)
    result = nights.run(settle_s=0.05)
    assert (result.written, result.waiting) == (1, 0)


def test_a_mask_that_another_program_has_replaced_is_put_right(nights):
    nights.run()
    before = nights.masks()
    place = nights.out / "labelIds/val/bonn/bonn_000005_000019_labelIds.png"
    place.write_bytes(place.with_name("bonn_000005_000019_labelIds.png").read_bytes()[:-1] + b"x")
    assert (nights.run().written, nights.run().written) == (1, 0)
    assert nights.masks() == before


def test_a_night_reads_only_what_it_has_not_seen(nights, monkeypatch):
    monkeypatch.setattr(ledger, "RACY_S", -1.0)
    nights.run()
    nights.run()  # looks at the masks of the first
    read = []
    for place in (Source, Sink):
        real = place.get
        monkeypatch.setattr(
            place, "get", lambda one, key, real=real: (read.append(key), real(one, key))[1]
        )
    assert nights.run().reused == 6
    assert read == []


def test_without_what_earlier_nights_knew_the_files_are_read_again_and_nothing_is_written(nights):
    nights.run()
    masks = {path: path.stat().st_mtime_ns for path in nights.out.rglob("*.png")}
    for listed in nights.store.list("log/run/pred-1/night-"):
        nights.store.delete([listed.key])
    result = nights.run()
    assert (result.written, result.reused) == (0, 6)
    assert {path: path.stat().st_mtime_ns for path in nights.out.rglob("*.png")} == masks


def test_a_part_that_says_nothing_of_its_inputs_counts_for_nothing(nights):
    """As those of version 1: their frames are decided once more, and found equal."""
    nights.run()
    for listed in nights.store.list("log/run/pred-1/"):
        nights.store.delete([listed.key])
    bag = Bag(nights.store, "run", "pred-1", "0" * 64)
    bag.put_item("part-000000-00000000", [], {"frames": [frame_key(job) for job in nights.jobs()]})
    result = nights.run()
    assert (result.written, result.reused) == (6, 0)
    assert {row["status"] for row in nights.rows(result.night)} == {"unchanged"}


def test_flicker_is_the_share_of_pixels_that_change_class_whoever_decided_the_frame_before(
    nights, tmp_path
):
    for number, frame in ((18, 19), (19, 18)):  # the first night has one of two, the second both
        here = Nights(nights.folder, tmp_path / str(number), nights.predictor)
        jobs = [job for job in here.jobs("all") if job.city == "bonn" and job.split == "val"]
        here.run([job for job in jobs if job.frame == frame])
        night = here.run(jobs).night
        (row,) = [row for row in here.rows(night) if row["frame"] == 37 - frame]
        ids = [
            nights.predictor.small(
                nights.predictor.logits(
                    Frames(open_source(str(nights.folder)), 32, 64, Seen()).read(job)
                )
            )[0]
            for job in jobs
        ]
        expected = (ids[0] != ids[1]).mean() if frame == 18 else None
        assert row["flicker"] == expected
    assert expected > 0


def test_other_files_are_written_if_asked_for(nights, module, dataset, runtime):
    nights.predictor = replace(nights.predictor, columns=("label_ids", "confidence_map"))
    result = nights.run(nights.jobs(split="val"))
    assert {place.parts[0] for place in nights.masks()} == {"labelIds", "confidence"}
    rows = nights.rows(result.night)
    assert all(row["color"] is None and row["confidence_map"] for row in rows)
    for index, clip in enumerate(dataset.clips["val"]):
        frames, _ = dataset.read("val", [index])
        _, confidence = decide(
            frame_logits(module, frames[0], dataset.mean, dataset.std, runtime), (48, 96)
        )
        shown = np.asarray(nights.mask("confidence", clip.name))
        assert np.abs(shown / 255 - confidence).max() <= 0.5 / 255 + 1e-6


def test_a_night_far_from_training_is_marked_with_the_reason(nights):
    usual = [0.0] * 19
    usual[0] = 1.0  # nothing but road
    training = Training(share=usual, confidence=1.0)
    calm = nights.run(training=training, drift_above=1.0)
    assert not calm.drift["marked"]
    assert calm.drift["confidence_drop"] == pytest.approx(1 - calm.drift["confidence"])
    shutil.rmtree(nights.out)
    marked = nights.run(training=training, drift_above=0.1)
    assert marked.drift["marked"]
    assert "of other classes than in training (most road, " in marked.drift["why"][0]
    assert "1.00 on val" in marked.drift["why"][1]
    assert json.loads(nights.file(marked.night, "run.json"))["drift"] == marked.drift
    assert nights.run(training=training).drift is None  # nothing is new


def test_a_label_of_another_size_fails_its_frame_only(nights):
    label = nights.folder / "gtFine/val/bonn/bonn_000005_000019_gtFine_labelIds.png"
    Image.fromarray(np.full((24, 48), 7, np.uint8)).save(label)
    result = nights.run()
    assert (result.written, result.failed) == (5, 1)
    (failed,) = nights.rows(result.night, "failed")
    assert failed["error"] == f"the label is 48x24, its frame 96x48: {label}"


def test_a_truth_without_any_class_blackens_nothing(nights):
    """As the official test labels are."""
    label = nights.folder / "gtFine/test/bonn/bonn_000009_000019_gtFine_labelIds.png"
    label.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((48, 96), np.uint8)).save(label)
    nights.run(nights.jobs(split="test"))
    assert (np.asarray(nights.mask("labelIds", "bonn_000009_000019", "test")) > 0).any()


def test_a_signal_ends_the_night_between_frames_and_the_next_one_goes_on(nights):
    def stop_after_three(seen, _):
        if seen == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        nights.run(on_frame=stop_after_three)
    (night,) = [item for item in nights.items() if item.startswith("night-")]
    content = json.loads(nights.file(night, "run.json"))
    assert (content["status"], content["written"]) == ("stopped", 3)
    assert len(done_frames(nights.items())) == 3
    result = nights.run()
    assert (result.written, result.reused) == (3, 3)
    assert len(done_frames(nights.items())) == 6


class Killed(BaseException):
    """Stands for a kill: nothing is saved on the way out."""


def test_a_night_that_was_killed_is_gone_over_and_ends_with_the_same_masks(nights, tmp_path):
    def die_after_three(seen, _):
        if seen == 3:
            raise Killed

    with pytest.raises(Killed):
        nights.run(on_frame=die_after_three)
    assert len(done_frames(nights.items())) == 2
    assert len(list(nights.out.rglob("*.png"))) == 9
    result = nights.run()
    assert (result.written, result.reused) == (4, 2)
    rows = from_parquet(nights.file(result.night, "frames.parquet")).to_pylist()
    assert [row["status"] for row in rows] == ["unchanged", "written", "written", "written"]
    undisturbed = Nights(nights.folder, tmp_path / "other", nights.predictor)
    undisturbed.run()
    for path in undisturbed.out.rglob("*.png"):
        assert path.read_bytes() == (nights.out / path.relative_to(undisturbed.out)).read_bytes()


def test_the_mask_of_a_night_that_was_overtaken_and_killed_is_found_by_the_next(
    nights, tmp_path, monkeypatch
):
    """It decided old bytes, wrote after a night that had seen newer ones, and recorded nothing."""
    path, put = frame_path(nights, "aachen_000003_000019"), Sink.put

    def put_late(sink, key, data):
        monkeypatch.setattr(Sink, "put", put)
        Image.fromarray(255 - np.asarray(picture(path))).save(path)
        assert nights.run().written == 6
        put(sink, key, data)
        raise Killed

    monkeypatch.setattr(Sink, "put", put_late)
    with pytest.raises(Killed):
        nights.run(nights.jobs(split="val"))
    right = undisturbed(nights, tmp_path)
    assert nights.masks() != right
    assert nights.run().written == 1
    assert nights.masks() == right


def test_two_nights_at_once_share_the_work(nights):
    """What another night has recorded meanwhile is left out at the next part."""
    jobs = nights.jobs()
    other = []

    def another_night(seen, _):
        if seen == 1 and not other:
            other.append(nights.run(jobs))

    mine = nights.run(jobs, on_frame=another_night)
    assert other[0].written == 6
    assert (mine.written, mine.reused) == (2, 4)
    assert len(done_frames(nights.items())) == 6


def test_without_a_split_level_the_masks_have_none(nights):
    for kind in ("leftImg8bit", "leftImg8bit_sequence", "gtFine"):
        for split in ("val", "test"):
            shutil.rmtree(nights.folder / kind / split, ignore_errors=True)
        for city in list((nights.folder / kind / "train").iterdir()):
            city.rename(nights.folder / kind / city.name)
        (nights.folder / kind / "train").rmdir()
    nights.run()
    assert (nights.out / "color/aachen/aachen_000000_000019_color.png").exists()
    assert done_frames(nights.items()) == {"aachen_000000_000019", "bonn_000001_000019"}


def test_frames_of_other_sizes_keep_their_size(nights):
    for path in nights.folder.rglob("bonn_000009_*_leftImg8bit.png"):
        picture(path).resize((130, 50)).save(path)
    nights.predictor = replace(nights.predictor, min_confidence=0.0)
    nights.run(nights.jobs(split="test"))
    assert nights.mask("overlay", "bonn_000009_000019", "test").size == (130, 50)

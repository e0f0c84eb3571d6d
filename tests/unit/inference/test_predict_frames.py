import io
import json
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segnets.data.cityscapes import index_frames
from segnets.errors import Stopped
from segnets.inference import predict
from segnets.inference.evaluate import predict_frame
from segnets.inference.masks import to_label_ids, to_train_ids
from segnets.inference.night import done_frames
from segnets.inference.predict import predict_frames
from segnets.store.bag import Bag, read_items
from segnets.store.entry import read_file
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

    def run(self, jobs=None, on_frame=None):
        return predict_frames(
            self.predictor,
            self.jobs() if jobs is None else jobs,
            open_source(str(self.folder)),
            open_sink(str(self.out)),
            Bag(self.store, "run", "pred-1", "0" * 64),
            meta=META,
            on_frame=on_frame,
        )

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
    monkeypatch.setattr(predict, "PART_FRAMES", 2)


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


def test_a_mask_is_what_predict_frame_says_black_where_unsure_or_unlabelled(
    nights, module, dataset, runtime
):
    nights.run()
    for index, clip in enumerate(dataset.clips["val"]):
        frames, _ = dataset.read("val", [index])
        ids, confidence = predict_frame(
            module, frames[0], dataset.mean, dataset.std, runtime, (48, 96)
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
        "v": 1,
        "kind": "run",
        "id": "pred-1",
        "nights": 1,
        "frames": 6,
        "failed": 0,
        "time": 0,
    }


def test_a_broken_frame_is_a_row_with_its_path_and_is_tried_again(nights):
    broken = nights.folder / "leftImg8bit_sequence/val/bonn/bonn_000005_000018_leftImg8bit.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-200])
    result = nights.run()
    assert (result.written, result.failed) == (5, 1)
    rows = from_parquet(nights.file(result.night, "frames.parquet")).to_pylist()
    (failed,) = [row for row in rows if row["status"] == "failed"]
    assert str(broken) in failed["error"]
    broken.write_bytes(whole)
    assert nights.run().written == 1


def test_a_label_of_another_size_fails_its_frame_only(nights):
    label = nights.folder / "gtFine/val/bonn/bonn_000005_000019_gtFine_labelIds.png"
    Image.fromarray(np.full((24, 48), 7, np.uint8)).save(label)
    result = nights.run()
    assert (result.written, result.failed) == (5, 1)


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

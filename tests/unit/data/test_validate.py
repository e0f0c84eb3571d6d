import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from segnets.errors import DatasetError
from segnets.store.bag import read_done
from segnets.store.tables import from_parquet

FRAME = ("leftImg8bit", "train", "aachen", 0, 7)
PAST = ("leftImg8bit_sequence", "train", "aachen", 0, 4)
LABEL = ("gtFine", "train", "aachen", 0, 5)


def encode(array, **options):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG", **options)
    return out.getvalue()


def cut(folder, place):
    path = folder.path(*place)
    path.write_bytes(path.read_bytes()[:-40])


def flip(folder, place):
    path = folder.path(*place)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def write(array):
    return lambda folder, place: folder.path(*place).write_bytes(encode(array))


SMALL = np.zeros((32, 64, 3), dtype=np.uint8)
GREY = np.zeros((64, 128), dtype=np.uint8)

FAULTS = {
    "missing label": (LABEL, lambda folder, place: folder.path(*place).unlink(), "missing_label"),
    "truncated PNG": (FRAME, cut, "truncated"),
    "truncated past": (PAST, cut, "truncated"),
    "flipped bit": (FRAME, flip, "damaged"),
    "flipped bit in a label": (LABEL, flip, "damaged"),
    "wrong size": (FRAME, write(SMALL), "wrong_size"),
    "wrong size of a label": (LABEL, write(GREY[:32]), "wrong_size"),
    "wrong colour type": (FRAME, write(GREY), "wrong_color_type"),
    "unknown labelId": (LABEL, write(GREY + 77), "unknown_label_id"),
    "no PNG": (FRAME, lambda folder, place: folder.path(*place).write_text("x"), "unreadable"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_one_sentence_with_its_file_and_the_next_step(name, folder, preprocess):
    place, damage, kind = FAULTS[name]
    damage(folder, place)
    with pytest.raises(DatasetError) as caught:
        preprocess(folder)
    sentence = str(caught.value)
    assert caught.value.exit_code == 3
    assert sentence.startswith("1 problem in the data (1 ")
    assert folder.path(*place).name in sentence
    assert "--on-problem skip" in sentence
    assert "\n" not in sentence
    report = re.search(r"All are listed in (\S+)\. Repair", sentence)[1]
    rows = from_parquet(Path(report).read_bytes()).to_pylist()
    bad = [row for row in rows if row["kind"]]
    assert [row["kind"] for row in bad] == [kind]
    assert bad[0]["key"].endswith(folder.path(*place).name)


@pytest.mark.parametrize("name", FAULTS)
def test_skip_leaves_out_the_clips_concerned_and_counts_them(name, folder, preprocess):
    place, damage, kind = FAULTS[name]
    damage(folder, place)
    summary, store = preprocess(folder, on_problem="skip")
    assert summary.problems == {kind: 1}
    left_out = 2 if place == PAST else 1  # two clips of aachen show that frame
    assert summary.clips == {"train": 3 - left_out, "val": 2, "test": 1}
    assert summary.skipped == left_out
    done = read_done(store, "dataset", summary.dataset)
    report = from_parquet(store.get(done.file("report.parquet").key)).to_pylist()
    assert [row["kind"] for row in report if row["kind"]] == [kind]


def test_every_fault_is_counted_and_five_are_named(folder, preprocess):
    for number in range(7):
        folder.clip("train", "kiel", number, 19, has_label=False)
    cut(folder, FRAME)
    with pytest.raises(DatasetError) as caught:
        preprocess(folder)
    sentence = str(caught.value)
    assert sentence.startswith("8 problems in the data (7 missing labels, 1 truncated PNG)")
    assert sentence.count("the label is missing") == 5
    assert "and 3 more" in sentence


def test_damage_under_a_right_checksum_is_found_too(folder, preprocess, forged_png):
    for place in (FRAME, PAST):
        folder.path(*place).write_bytes(forged_png)
    with pytest.raises(DatasetError, match=r"2 problems in the data \(2 unreadable files\)"):
        preprocess(folder)
    summary, _ = preprocess(folder, on_problem="skip")
    assert summary.clips["train"] == 1


def test_check_only_says_the_same_and_writes_nothing(folder, preprocess, forged_png):
    summary, store = preprocess(folder, check_only=True)
    assert (summary.clips, summary.frames) == ({"train": 3, "val": 2, "test": 1}, 22)
    assert store.list("") == []
    folder.path(*FRAME).write_bytes(forged_png)
    with pytest.raises(DatasetError, match="1 unreadable file"):
        preprocess(folder, check_only=True)


def test_a_link_that_was_copied_as_text_is_no_fault_where_the_sequence_has_the_frame(
    folder, preprocess
):
    place = ("leftImg8bit", "val", "ulm", 0, 19)
    copy = folder.path("leftImg8bit_sequence", *place[1:])
    frame = folder.path(*place)
    copy.write_bytes(frame.read_bytes())
    frame.write_text(f"../../../leftImg8bit_sequence/val/ulm/{frame.name}")
    summary, _ = preprocess(folder)
    assert summary.clips["val"] == 2
    frame.write_text("something else")
    with pytest.raises(DatasetError, match="this is no PNG file"):
        preprocess(folder)


def test_a_folder_where_no_clip_can_be_formed_says_why(empty_folder, preprocess):
    empty_folder.put("leftImg8bit", "train", "aachen", 0, 5)
    with pytest.raises(DatasetError, match=r"none of 1 labelled frames has 3 earlier .* repeat"):
        preprocess(empty_folder)


def test_the_report_has_a_row_for_every_file(folder, preprocess):
    summary, store = preprocess(folder)
    done = read_done(store, "dataset", summary.dataset)
    table = pq.read_table(io.BytesIO(store.get(done.file("report.parquet").key)))
    keys = [str(path.relative_to(folder.root)) for path in folder.files()]
    assert table["key"].to_pylist() == keys
    assert set(table["kind"].to_pylist()) == {""}
    assert json.loads(store.get(done.file("manifest.json").key))["num_frames"] == 22

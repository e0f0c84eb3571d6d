import io

import numpy as np
import pytest
from PIL import Image
from support.night_store import write_run, write_training_share
from support.results_store import predict, reader_of, scene

from segnets.app.nights import Night, mean_share, read_frames, read_nights, read_training_share
from segnets.app.pages.drift import (
    doubts,
    failed_rows,
    frame_catalogue,
    night_bars,
    night_facts,
    night_figures,
    ratios,
    share_rows,
)
from segnets.labels import CLASS_NAMES
from segnets.store.keys import log_prefix
from segnets.store.open import open_store

RUN = "pred-0a0b0c0d"
PIXELS = [400, 200, 100, 0, 0, 10, 0, 5, 90, 0, 150, 5, 0, 40, 0, 0, 0, 0, 0]
NIGHTS = [
    {"new": 3},
    {
        "new": 2,
        "failed": [("b_000000_000001", "file is truncated: /data/frames/b.png")],
        "share_distance": 0.312,
    },
    {},
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of three nights: all well, one bad frame, nothing new."""
    store = open_store(str(tmp_path_factory.mktemp("nights") / "store"), write=True)
    write_training_share(store, "streets-train", PIXELS)
    return store, write_run(store, RUN, NIGHTS)


@pytest.fixture
def reader(made):
    reader = reader_of(made[0])
    yield reader
    reader.close()


def test_a_run_is_in_the_snapshot_with_its_counts(reader):
    run = reader.look().runs[RUN]
    assert (run.nights, run.frames, run.out) == (3, 5, "/data/masks")


def test_the_figures_of_a_night_are_what_a_few_lines_count_in_its_table(made, reader):
    table = made[1][1]
    nights = read_nights(reader, RUN)
    training = read_training_share(reader, "streets-train")
    shown = {f["label"]: f for f in night_figures(nights, nights[1], training)}

    written = [row for row in table if row["status"] == "written"]
    assert shown["Masks written"]["value"] == str(len(written)) == "2"
    assert shown["Failed"]["value"] == str(len(table) - len(written)) == "1"
    assert shown["Throughput"]["value"] == f"{len(written) / 10:.1f} /s"
    sure, before = (
        np.mean([row["confidence"] for row in rows if row["status"] == "written"])
        for rows in (table, made[1][0])
    )
    assert shown["Confidence"]["value"] == f"{sure:.3f}"
    assert shown["Confidence"]["notes"][0][0] == f"{sure - before:+.3f} against 1 night before"
    share = np.mean([row["share"] for row in written], axis=0)
    usual = np.array(PIXELS) / sum(PIXELS)
    far = int(np.argmax(np.abs(share - usual)))
    assert (shown["Drift"]["value"], shown["Drift"]["tone"]) == ("31%", "good")  # not marked
    assert shown["Drift"]["notes"][1][0] == (
        f"most {CLASS_NAMES[far]}, {100 * share[far]:.1f}% instead of {100 * usual[far]:.1f}%"
    )
    rows = {row["name"]: row for row in share_rows(nights, nights[1], training)}
    assert rows["road"]["share"] == pytest.approx(share[0])
    assert rows["road"]["training"] == 0.4
    assert rows["road"]["ratio"] == pytest.approx(share[0] / 0.4)


def test_a_class_that_was_found_on_no_night_is_no_news_of_this_one():
    sky_only = tuple(1.0 if i == 10 else 0.0 for i in range(19))
    training = tuple(0.9 if i == 10 else 0.1 if i == 13 else 0.0 for i in range(19))
    nights = [Night(id=f"{i}", share=sky_only, confidence=0.9) for i in range(3)]
    car = {row["name"]: row for row in share_rows(nights, nights[2], training)}["car"]
    assert (car["never"], car["far"]) == (True, False)
    car = {row["name"]: row for row in share_rows(nights[1:], nights[2], training)}["car"]
    assert (car["never"], car["far"]) == (False, True)  # two nights could be chance
    seen = Night(id="a", share=training, confidence=0.9)
    car = {row["name"]: row for row in share_rows([seen, *nights], nights[2], training)}["car"]
    assert (car["never"], car["far"]) == (False, True)


def test_the_preview_of_a_frame_is_the_mask_that_was_packed(reader):
    frames = read_frames(reader, RUN, "night-20251121t020000z")
    row = frames.rows["val", "aach_000000_000003"]
    data = reader.picture(frames.packs[row["part"]], row["pred_offset"], row["pred_size"])
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(pixels, predict(scene(3), 3, 0.5)[0])


def test_bad_frames_are_named_with_their_reason(reader):
    frames = read_frames(reader, RUN, "night-20251121t020000z")
    assert failed_rows(frames.rows) == [
        {"name": "val/b_000000_000001", "why": "file is truncated: /data/frames/b.png"}
    ]


def test_a_night_without_a_new_frame_has_no_share_and_no_confidence(reader):
    nights = read_nights(reader, RUN)
    assert (nights[2].share[0], nights[2].confidence, nights[2].frames_s) == (None, None, None)
    assert read_frames(reader, RUN, nights[2].id).rows == {}
    figures, none = night_figures(nights, nights[2], (None,) * 19), "\N{EN DASH}"
    assert [figure["value"] for figure in figures] == ["0", "0", none, none, none]


def test_a_bar_is_amber_with_a_bad_frame_or_drift_and_red_when_the_night_was_stopped():
    nights = [
        Night(id="a", frames=4, written=4, status="done"),
        Night(id="b", frames=4, written=1, failed=1, status="done"),
        Night(id="c", frames=4, written=1, status="stopped"),
        Night(id="d", frames=4, reused=4, status="done"),
        Night(id="e", frames=4, written=4, status="done", drift=("confidence is 0.4",)),
    ]
    bars = night_bars(nights)
    assert [bar["tone"] for bar in bars] == ["good", "warn", "bad", "idle", "warn"]
    assert [bar["height"] for bar in bars] == [1.0, 0.5, 0.25, 0.0, 1.0]
    assert night_figures(nights, nights[2], (None,) * 19)[0]["notes"][-1] == [
        "stopped, 3 not reached",
        "bad",
    ]


def test_a_torn_night_is_left_out_and_the_others_stay(tmp_path):
    store = open_store(str(tmp_path / "store"), write=True)
    write_run(store, RUN, [{"new": 1}, {"new": 1}])
    keys = [item.key for item in store.list(log_prefix("run", RUN)) if "night-" in item.key]
    path = tmp_path / "store" / keys[0]
    path.chmod(0o644)
    path.write_bytes(b"torn")
    reader = reader_of(store)
    assert [night.id for night in read_nights(reader, RUN)] == ["night-20251121t020000z"]
    assert read_frames(reader, RUN, "night-20251120t020000z").rows == {}
    assert read_frames(reader, RUN, "night-of-nobody").rows == {}
    reader.close()


def test_a_class_that_is_rare_at_night_and_in_training_has_no_ratio():
    assert ratios((0.004, 0.5, None), (0.0001, 0.25, 0.5)) == {1: 2.0}
    assert ratios((0.01,), (0.0,)) == {}


def test_an_unsure_frame_and_one_with_far_more_of_a_class_are_doubted():
    def row(confidence, car):
        return {"confidence": confidence, "share": [1 - car, *[0.0] * 12, car, *[0.0] * 5]}

    rows = {("val", f"n{i}"): row(0.9 + 0.001 * (i % 3), 0.1) for i in range(20)}
    rows["val", "dim"] = row(0.5, 0.1)
    rows["val", "jam"] = row(0.9, 0.6)
    rows["val", "bad"] = {"status": "failed"}
    assert doubts(rows) == {
        ("val", "dim"): "low confidence",
        ("val", "jam"): "class jump: car",
    }
    assert doubts(dict(list(rows.items())[:2])) == {}
    flags = {row["key"]: row["flag"] for row in frame_catalogue(rows)}
    assert "val/bad" not in flags  # it has no mask to look at
    assert (flags["val/dim"], flags["val/n0"]) == ("low confidence", "")


def test_a_share_of_another_length_counts_for_nothing():
    assert mean_share([{"share": [1.0]}, {"share": None}]) == (None,) * 19


def test_a_frame_that_waits_is_no_failure_and_has_no_picture(tmp_path):
    store = open_store(str(tmp_path / "store"), write=True)
    why = "0.31 of the pixels are of other classes than in training (most road, 0.1 instead of 0.4)"
    waiting = [("aach_000000_000009", "it is still being written: /data/frames/a.png")]
    write_run(store, RUN, [{"new": 2, "waiting": waiting, "drift": [why]}])
    reader = reader_of(store)
    try:
        (night,) = read_nights(reader, RUN)
        rows = read_frames(reader, RUN, night.id).rows
    finally:
        reader.close()
    (written, failed, *_) = night_figures([night], night, (None,) * 19)
    assert (night.waiting, night.failed, failed["value"]) == (1, 0, "0")
    assert ["1 still being written, left for the next night", ""] in written["notes"]
    assert not any("not reached" in note for note, _ in written["notes"])
    assert failed_rows(rows) == []
    assert len(frame_catalogue(rows)) == 2
    assert ["drifts", why] in night_facts(night)
    assert night_figures([night], night, (None,) * 19)[-1]["tone"] == "warn"
    assert night_bars([night])[0]["title"].endswith(", drifts")

"""The whole path on a tiny synthetic set: dataset, grid, scores, masks; and again, for nothing."""

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commands import QUICK, SMALL, ended

from segnets.labels import CLASS_NAMES, KNOWN_LABEL_IDS

LONGER = ["--epochs", "5", *QUICK[2:]]


def test_preprocess_tells_what_it_made_and_makes_it_once(made, facts):
    first = facts["dataset"]
    assert first["flow"] == "preprocess"
    assert first["clips"] == {"train": 6, "val": 2, "test": 1}
    assert (first["frames"], first["skipped"], first["problems"]) == (36, 0, {})
    assert first["reused"] is False
    again = made.run("preprocess", *SMALL)
    assert again.json["reused"] is True
    assert {**first, **again.json, "reused": False, "seconds": 0} == {**first, "seconds": 0}


def test_check_only_writes_nothing(world, streets):
    done = world.run("preprocess", "--data", str(streets), "--check-only", *SMALL[2:])
    assert done.code == 0, done.err
    assert done.json["clips"] == {"train": 6, "val": 2, "test": 1}
    assert not world.store.exists()


def test_a_grid_that_is_complete_trains_nothing(made, facts):
    first = facts["grid"]
    assert (first["ran"], first["reused"], first["failed"]) == (1, 0, [])
    again = made.run("train_grid", *facts["flags"])
    assert again.code == 0
    assert (again.json["ran"], again.json["reused"]) == (0, 1)
    for key in ("grid", "trials", "best", "leaderboard"):
        assert again.json[key] == first[key]
    (row,) = first["leaderboard"]
    assert row["status"] == "done"
    assert row["settings"] == {"lr": 0.003}
    assert first["best"]["trial"] == row["trial"]
    assert {one["trial"] for one in first["best_by"].values()} == {row["trial"]}
    assert first["points"] is None  # one seed


def test_a_dry_run_says_what_is_done_and_about_how_long_the_rest_takes(made, facts):
    before = sorted(path for path in made.store.rglob("*") if path.is_file())
    flags = [*facts["flags"][:-1], "lr=0.003,0.004,0.005"]
    done = made.run("train_grid", *flags, "--skip", "lr=0.005", "--dry-run")
    assert done.code == 0, done.err
    outlook = done.json["outlook"]
    assert (outlook["trials"], outlook["counts"]["done"], outlook["missing"]) == (2, 1, 1)
    assert outlook["estimate"] > 0
    assert outlook["estimate_from"] == 1
    assert "2 trials (1 done, 1 queued), 1 to run" in done.err
    assert sorted(path for path in made.store.rglob("*") if path.is_file()) == before
    assert done.json["leaderboard"] is None


def test_a_dry_run_draws_no_streets(world):
    done = world.run("train_grid", "--dry-run")
    assert (done.code, done.json["outlook"]["missing"]) == (0, 4), done.err
    assert not any(world.root.rglob("*.png"))
    assert not world.store.exists()


def test_the_trial_of_a_grid_is_the_trial_of_the_same_flags(made, facts):
    began = time.process_time()
    flags = ["--dataset", facts["dataset"]["dataset"], *QUICK, "--lr", "0.003"]
    done = made.run("train", *flags)
    assert done.code == 0
    assert done.json["reused"] is True
    assert done.json["trial"] == facts["grid"]["trials"][0]
    assert done.json["val_miou"] == facts["grid"]["best"]["val_miou"]
    assert len(done.json["weights_sha256"]) == len(done.json["state_sha256"]) == 64
    assert time.process_time() - began < 5


def test_evaluate_scores_the_best_trial_at_both_sizes_once(copied, facts):
    first = copied.run("evaluate")
    assert first.code == 0, first.err
    assert first.json["trial"] == facts["grid"]["trials"][0]
    assert first.json["split"] == "val"
    for size in ("network", "original"):
        scores = first.json[size]
        assert list(scores["iou"]) == list(CLASS_NAMES)
        assert 0 <= scores["miou"] <= 1
    assert first.json["network"]["miou"] == pytest.approx(facts["grid"]["best"]["val_miou"])
    again = copied.run("evaluate")
    assert {**again.json, "seconds": 0} == {**first.json, "seconds": 0}
    assert "in the store already" in again.err


def test_predict_writes_each_mask_once_and_evaluate_reads_them(copied, facts):
    done = copied.run("predict")
    assert done.code == 0, done.err
    counts = {name: done.json[name] for name in ("frames", "written", "reused", "frames_failed")}
    assert counts == {"frames": 9, "written": 9, "reused": 0, "frames_failed": 0}
    assert done.json["waiting"] == 0
    assert done.json["why"] in done.err
    drift = done.json["drift"]
    assert drift["frames"] == 9
    assert 0 <= drift["share_distance"] <= 1
    # what val was scored with is what the night measures: the network is hardly less sure of its own streets
    assert abs(drift["confidence_drop"]) < 0.2
    for kind in ("color", "labelIds", "overlay"):
        assert len(list((copied.root / "masks" / kind).rglob(f"*_{kind}.png"))) == 9
    label_ids = next((copied.root / "masks/labelIds/val").rglob("*.png"))
    with Image.open(label_ids) as image:
        assert image.size == (128, 64)  # of the frame, not of the network
        assert set(np.unique(image).tolist()) <= KNOWN_LABEL_IDS
    again = copied.run("predict", "--drift-above", "0")
    assert (again.json["written"], again.json["reused"]) == (0, 9)
    assert again.json["drift"] is None
    assert again.json["run"] == done.json["run"]
    (streets,) = (copied.root / "data").iterdir()
    flags = ["--predictions", "masks", "--data", str(streets), "--split", "val"]
    theirs = copied.run("evaluate", *flags)
    assert theirs.code == 0, theirs.err
    assert theirs.json["network"] is None
    ours = copied.run("evaluate").json["original"]
    assert theirs.json["original"]["iou"] == pytest.approx(ours["iou"], abs=1e-9)


def test_a_night_that_drifts_says_so_and_still_ends_well(copied, facts):
    trial = facts["grid"]["trials"][0]
    flags = ["--trial", trial, "--split", "val", "--no-overlay", "--no-color", "--confidence"]
    done = copied.run("predict", *flags, "--drift-above", "0")
    assert done.code == 0, done.err
    assert done.json["why"] == "named by --trial"
    assert {path.name for path in (copied.root / "masks").iterdir()} == {"labelIds", "confidence"}
    assert done.json["drift"]["marked"] is True
    for sentence in done.json["drift"]["why"]:
        assert f"this night drifts: {sentence}" in done.err


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(copied, facts):
    flags = ["--dataset", facts["dataset"]["dataset"], *LONGER, "--lr", "0.003"]
    whole = copied.run("train", *flags).json
    shutil.rmtree(copied.store / "log/trial")
    process = copied.popen("train", *flags)
    for line in process.stderr:
        if line.startswith("epoch 1 of 5 saved"):
            break
    process.kill()
    assert ended(process).code == -signal.SIGKILL
    again = copied.run("train", *flags)
    assert again.code == 0, again.err
    assert "goes on from the checkpoint of epoch" in again.err
    assert again.json["resumed_from"]["epoch"] >= 1
    for digest in ("weights_sha256", "state_sha256"):
        assert again.json[digest] == whole[digest]


def test_a_trial_that_is_killed_is_started_again_by_its_grid(copied, facts):
    flags = ["--dataset", facts["dataset"]["dataset"], *LONGER, "--grid", "lr=0.002"]
    grid = copied.popen("train_grid", *flags)
    said = []
    for line in grid.stderr:
        said.append(line)
        if "epoch 1 of 5 saved" in line:
            os.kill(child_of(grid.pid), signal.SIGKILL)
            break
    done = ended(grid)
    assert done.code == 0, done.err
    assert "killed by SIGKILL; it is started again" in done.err
    assert "goes on from the checkpoint of epoch" in done.err
    assert done.json["ran"] == 1
    (log,) = (copied.root / "logs").glob(f"{done.json['trials'][0]}.log")
    assert "epoch 5 of 5 saved" in log.read_text()


@pytest.mark.slow
def test_a_stopped_grid_stops_its_trials_and_the_next_one_ends_them(copied, facts):
    flags = ["--dataset", facts["dataset"]["dataset"], *LONGER, "--grid", "lr=0.002"]
    grid = copied.popen("train_grid", *flags)
    for line in grid.stderr:
        if "epoch 1 of 5 saved" in line:
            break
    child = child_of(grid.pid)
    grid.send_signal(signal.SIGTERM)
    done = ended(grid)
    assert done.code == 143
    assert done.json["status"] == "stopped"
    assert not is_alive(child)
    again = copied.run("train_grid", *flags)
    assert again.code == 0, again.err
    assert "goes on from the checkpoint" in again.err


@pytest.mark.slow
def test_a_trial_that_fails_leaves_the_others_and_the_grid_says_which(copied, facts):
    flags = ["--dataset", facts["dataset"]["dataset"], *QUICK]
    done = copied.run("train_grid", *flags, "--grid", "batch_size=6,7")
    assert done.code == 1
    done.one_sentence("1 of 2 trials did not complete", "exit 2")
    assert done.json["ran"] == 1
    (failed,) = done.json["failed"]
    assert failed["exit_code"] == 2
    assert "--batch-size 7" in failed["sentence"]
    statuses = [row["status"] for row in done.json["leaderboard"]]
    assert statuses[0] == "done"
    assert failed["trial"] in done.json["trials"]


def child_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.parametrize("server", ["s3_server", "conditional_s3_server"])
def test_the_whole_path_on_object_storage_has_the_bits_of_the_folder(
    world, made, facts, request, server
):
    s3 = request.getfixturevalue(server)
    env = {**s3.env, "SEGNETS_STORE": f"s3://{s3.bucket}/whole"}
    dataset = world.run("preprocess", *SMALL, **env)
    assert dataset.code == 0, dataset.err
    assert dataset.json["dataset"] == facts["dataset"]["dataset"]
    flags = ["--dataset", dataset.json["dataset"], *QUICK, "--lr", "0.003"]
    trial = world.run("train", *flags, **env)
    assert trial.code == 0, trial.err
    local = made.run("train", *flags).json
    for digest in ("weights_sha256", "state_sha256"):
        assert trial.json[digest] == local[digest]
    masks = f"s3://{s3.bucket}/masks"
    done = world.run("predict", "--split", "val", "--out", masks, **env)
    assert (done.code, done.json["written"]) == (0, 2), done.err
    (streets,) = (world.root / "data").iterdir()
    scored = world.run("evaluate", "--predictions", masks, "--data", str(streets), **env)
    assert scored.code == 0, scored.err
    assert scored.json["original"]["iou"] == world.run("evaluate", **env).json["original"]["iou"]

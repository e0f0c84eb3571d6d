"""Every fault a user can cause: one sentence, the right exit code, no traceback; plain and with Prefect."""

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from support.commands import QUICK, SIZE

WITH_SERVER = pytest.param("server", marks=pytest.mark.slow)


@pytest.fixture(params=["plain", WITH_SERVER])
def prefect(request):
    """The environment of a command without Prefect, and with a server that is on."""
    if request.param == "plain":
        return {"PREFECT_API_URL": ""}
    return request.getfixturevalue("prefect_server").env


def first(folder, pattern):
    return min(folder.rglob(pattern))


def missing_label(streets):
    path = first(streets / "gtFine" / "train", "*_labelIds.png")
    path.unlink()
    return path


def truncated(streets):
    path = first(streets / "leftImg8bit_sequence" / "train", "*.png")
    path.write_bytes(path.read_bytes()[:-500])
    return path


def flipped_bit(streets):
    path = first(streets / "gtFine" / "val", "*_labelIds.png")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    return path


def wrong_size(streets):
    path = first(streets / "leftImg8bit_sequence" / "val", "*.png")
    Image.open(path).resize((100, 50)).save(path)
    return path


@pytest.mark.parametrize("damage", [missing_label, truncated, flipped_bit, wrong_size])
def test_damaged_data_is_named_by_its_file(world, streets, prefect, damage):
    path = damage(streets)
    done = world.run("preprocess", "--data", str(streets), *SIZE, **prefect)
    assert done.code == 3
    # a label that is missing is named by the frame that lacks it
    sentence = done.one_sentence()
    assert path.name.split("_gtFine")[0].split("_leftImg8bit")[0] in sentence
    assert not list((world.root / "store").glob("log/dataset/*"))


def test_an_empty_folder_is_told_what_belongs_there(world, prefect):
    (world.root / "empty").mkdir()
    done = world.run("preprocess", "--data", "empty", **prefect)
    assert done.code == 3
    done.one_sentence(str(world.root / "empty"))


def test_a_folder_that_is_not_there_is_named(world):
    done = world.run("preprocess", "--data", "nowhere")
    assert done.code == 3
    done.one_sentence("nowhere")


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--nosuch", "1"], ["--nosuch"]),
        (["--lr", "5"], ["--lr", "5"]),
        (["--epochs", "8.5"], ["--epochs", "8.5"]),
        (["--model", "nosuch"], ["--model", "nosuch", "resnet_convlstm"]),
    ],
)
def test_wrong_use_is_told_before_anything_runs(world, prefect, flags, parts):
    done = world.run("train", *flags, **prefect)
    assert done.code == 2
    done.one_sentence(*parts)
    assert list(world.root.iterdir()) == []


def test_an_unknown_dataset_is_named_with_the_store(world, prefect):
    done = world.run("train", "--dataset", "camvid-224x448-4f-00000000", **prefect)
    assert done.code == 3
    done.one_sentence("camvid-224x448-4f-00000000", str(world.store))


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_an_unknown_trial_is_named_with_the_store(world, name):
    done = world.run(name, "--trial", "resnet_convlstm-00000000")
    assert done.code == 3
    done.one_sentence("resnet_convlstm-00000000", str(world.store))


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_best_of_nothing_says_that_no_trial_is_done(world, name):
    done = world.run(name)
    assert done.code == 3
    done.one_sentence("no trial is done")


def test_a_batch_larger_than_the_set_is_wrong_use(made, facts):
    flags = ["--dataset", facts["dataset"]["dataset"], *QUICK, "--batch-size", "7"]
    done = made.run("train", *flags)
    assert done.code == 2
    done.one_sentence("--batch-size 7", "6")


def test_an_endpoint_that_does_not_answer_is_named(world, prefect):
    s3 = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    flags = ["--dataset", "d", "--store", "s3://bucket/prefix", "--store-wait", "0.02"]
    done = world.run("train", *flags, **prefect, **s3)
    assert done.code == 4
    done.one_sentence("http://127.0.0.1:9")


@pytest.mark.s3
def test_a_wrong_key_is_explained(world, s3_server, prefect):
    env = {**s3_server.env, "AWS_ACCESS_KEY_ID": "WRONG"}
    store = f"s3://{s3_server.bucket}/x"
    done = world.run("train", "--dataset", "d", "--store", store, **prefect, **env)
    assert done.code == 4
    done.one_sentence("key", s3_server.endpoint)


@pytest.mark.s3
def test_a_missing_bucket_is_explained(world, s3_server, prefect):
    store = "s3://nosuchbucket/x"
    done = world.run("train", "--dataset", "d", "--store", store, **prefect, **s3_server.env)
    assert done.code == 4
    done.one_sentence("bucket", "nosuchbucket")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small tmpfs (tests/unit/store injects ENOSPC)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_named(world, streets, small_disk, prefect):
    store = small_disk / "store"
    done = world.run("preprocess", "--data", str(streets), "--store", str(store), *SIZE, **prefect)
    assert done.code == 4
    done.one_sentence("full", str(store))


def test_a_prefect_server_that_is_away_is_told_from_a_fault_of_the_flow(world):
    done = world.run("train", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.code == 4
    done.one_sentence("Prefect server", "http://127.0.0.1:9/api", "make up", "make down")
    assert not Path(world.store).exists()


def test_a_frame_that_cannot_be_read_costs_no_other_its_mask(made, facts, streets, tmp_path):
    path = first(streets / "leftImg8bit" / "val", "*.png")
    path.write_bytes(path.read_bytes()[:-500])
    sequence = streets / "leftImg8bit_sequence" / "val" / path.parent.name / path.name
    sequence.write_bytes(path.read_bytes())
    flags = ["--data", str(streets), "--out", str(tmp_path / "masks"), "--split", "val"]
    done = made.run("predict", *flags)
    assert done.code == 3
    done.one_sentence("1 of 2 frames could not be read")
    assert (done.json["written"], done.json["frames_failed"]) == (1, 1)
    assert len(list((tmp_path / "masks" / "color").rglob("*.png"))) == 1

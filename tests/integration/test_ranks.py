"""One trial on two ranks, started by torchrun: stopped, killed, and gone on with to the same bits."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.commands import ended

from segnets.store.log import read_head
from segnets.store.open import open_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flags(facts):
    fixed = ["--threads", "1", "--precision", "fp32", "--batch-size", "4", "--epochs", "12"]
    return ["--dataset", facts["dataset"]["dataset"], *fixed]


@pytest.fixture(scope="module")
def undisturbed(made, flags, tmp_path_factory):
    store = tmp_path_factory.mktemp("calm") / "store"
    for kind in ("log", "obj"):
        shutil.copytree(made.store / kind / "dataset", store / kind / "dataset")
    done = made.run("train", *flags, "--ranks", "2", "--store", str(store))
    assert done.code == 0, done.err
    return done.json


def children(of: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(of)], capture_output=True, text=True)
    return sorted(int(word) for word in found.stdout.split())


def interrupted(world, flags, choose, signum, after_s=0.0):
    """Send a signal once the third epoch is saved, to one of [command, rank 0, rank 1]; how it ended."""
    process = world.popen("train", *flags, "--ranks", "2")
    for line in process.stderr:
        if "epoch 3 of 12 saved" in line:
            break
    time.sleep(after_s)
    (torchrun,) = children(process.pid)
    ranks = children(torchrun)
    assert len(ranks) == 2
    os.kill([process.pid, *ranks][choose], signum)
    said = ended(process, 60)
    assert not any(Path(f"/proc/{pid}").exists() for pid in (torchrun, *ranks))
    return said


def head_of(world, trial):
    return read_head(open_store(str(world.store), write=False), trial)


def test_a_stop_saves_and_the_same_command_ends_with_the_same_bits(copied, flags, undisturbed):
    said = interrupted(copied, flags, 0, signal.SIGTERM)
    assert said.code == 143
    said.one_sentence("stopped by SIGTERM")
    head = head_of(copied, undisturbed["trial"])
    assert head.event == "stopped"
    assert head.epoch >= 3
    again = copied.run("train", *flags, "--ranks", "2")
    assert again.json["resumed_from"] == {"epoch": head.epoch, "step": head.step}
    for digest in ("state_sha256", "weights_sha256"):
        assert again.json[digest] == undisturbed[digest]


@pytest.mark.parametrize(("rank", "after_s"), [(0, 0.0), (1, 0.0), (1, 0.3), (1, 0.6)])
def test_a_killed_rank_is_as_a_killed_trial(copied, flags, undisturbed, rank, after_s):
    """Wherever it was: in a step, in validation, in a save."""
    said = interrupted(copied, flags, 1 + rank, signal.SIGKILL, after_s)
    assert said.code == 137
    assert "Run the same command again" in said.json["error"]["sentence"]
    assert head_of(copied, undisturbed["trial"]).event == "checkpoint"  # a kill leaves no word
    again = copied.run("train", *flags, "--ranks", "2")
    assert again.json["resumed_from"]["epoch"] >= 3
    assert again.json["state_sha256"] == undisturbed["state_sha256"]


def test_another_number_of_ranks_is_refused_and_a_done_trial_is_taken_as_it_is(
    copied, flags, undisturbed
):
    paused = copied.run("train", *flags, "--ranks", "2", "--pause-at", "1")
    assert paused.json["status"] == "paused", paused.err
    refused = copied.run("train", *flags)
    assert refused.code == 2
    refused.one_sentence("cannot go on with the same bits", "ranks: 2 before, 1 here")
    done = copied.run("train", *flags, "--ranks", "2")
    assert done.json["state_sha256"] == undisturbed["state_sha256"]
    assert copied.run("train", *flags).json["reused"]


def test_a_fault_of_rank_0_is_the_fault_of_the_command(copied, flags):
    refused = copied.run("train", *flags[:2], "--batch-size", "4000", "--ranks", "2")
    assert refused.code == 2
    refused.one_sentence("a batch is larger")

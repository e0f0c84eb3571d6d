"""Flow runs that are cancelled, and workers that are killed: saved, gone, and gone on with."""

import os
import random
import shutil
import signal
import time

import pytest
from support.flow_runs import ask, lines_of, process_of, read, start, wait_for, wait_for_end

from segnets.config.build import build
from segnets.config.ids import trial_id
from segnets.config.train import TrainConfig
from segnets.store.log import read_head
from segnets.store.open import open_store

pytestmark = pytest.mark.slow

TIMES = 10
GONE_WITHIN_S = 20.0
MANY = 240
"""Scenes: enough for every flow to run for some seconds."""


@pytest.fixture(scope="module")
def many(made):
    """A larger dataset beside the small one, from the shell."""
    done = made.run("preprocess", "--scenes", str(MANY), "--height", "32", "--width", "64")
    assert done.code == 0, done.err
    return done.json["dataset"]


def jobs(made, facts, many, tmp_path):
    """Flow -> the settings of its `n`-th run, which takes longer than anybody waits here."""
    trial = facts["grid"]["best"]["trial"]
    (streets,) = (made.root / "data").glob(f"streets-*-{MANY}-*")
    return {
        "train": lambda n: trial_config(many, 60, 100 + n),
        "evaluate": lambda n: {
            "trial": trial,
            "dataset": many,
            "split": "train",
            "min_confidence": 0.1 + n / 100,
        },
        "preprocess": lambda n: {"scenes": MANY + 1 + n, "height": 32, "width": 64},
        "predict": lambda n: {"trial": trial, "data": str(streets), "out": str(tmp_path / str(n))},
    }


def trial_config(dataset, epochs, seed):
    fixed = {"threads": 1, "precision": "fp32"}
    return {"dataset": dataset, "epochs": epochs, "seed": seed, **fixed}


@pytest.mark.parametrize("flow", ["train", "evaluate", "preprocess", "predict"])
def test_a_cancelled_run_is_gone_in_time_each_time(
    workers, prefect_server, made, facts, many, tmp_path, flow
):
    chance = random.Random(flow)
    took = []
    for number in range(TIMES):
        config = jobs(made, facts, many, tmp_path)[flow](number)
        run = start(prefect_server, flow, config)
        wait_for(lambda run=run: read(prefect_server, run)["state"]["type"] == "RUNNING")
        pid = wait_for(lambda run=run: process_of(run["id"]))
        time.sleep(chance.uniform(0, 3))
        ask(prefect_server, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING"})
        began = time.monotonic()
        wait_for(lambda pid=pid: not alive(pid))
        took.append(round(time.monotonic() - began, 1))
        assert wait_for_end(prefect_server, run)["type"] in {"CANCELLED", "CRASHED"}
        if flow == "train":
            trial = trial_id(build(TrainConfig, config))
            head = read_head(open_store(str(made.store), write=False), trial)
            assert head is None or head.event == "stopped"
    print(f"{flow}: gone after {took} s")
    assert max(took) < GONE_WITHIN_S, took


def test_a_killed_workers_trial_is_gone_on_with_to_the_same_bits(
    workers, prefect_server, made, facts, tmp_path
):
    config = trial_config(facts["dataset"]["dataset"], 40, 900)
    run = start(prefect_server, "train", config)
    pid = wait_for(lambda: process_of(run["id"]))
    wait_for(lambda: any("epoch 2 of 40 saved" in line for line in lines_of(prefect_server, run)))
    worker = workers.workers["gpu"]
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    wait_for(lambda: not alive(pid))
    workers.start("gpu", limit=2)
    again = start(prefect_server, "train", config)
    assert wait_for_end(prefect_server, again)["type"] == "COMPLETED"
    said = lines_of(prefect_server, again, count=6)
    assert any("goes on from the checkpoint" in line for line in said), said
    for kind in ("log", "obj"):
        shutil.copytree(made.store / kind / "dataset", tmp_path / "alone" / kind / "dataset")
    flags = [word for name, value in config.items() for word in (f"--{name}", str(value))]
    ended, alone = (
        made.run("train", *flags, "--store", s) for s in (str(made.store), str(tmp_path / "alone"))
    )
    assert ended.json["reused"]
    assert not alone.json["reused"]
    for digest in ("weights_sha256", "state_sha256"):
        assert ended.json[digest] == alone.json[digest]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

"""Which flow tells people what, as commands and as flow runs."""

import json
import shlex
import subprocess
import sys

import pytest
from support.commands import QUICK, ROOT

from segnets.config.ids import trial_id
from segnets.config.train import TrainConfig


@pytest.fixture
def hook(tmp_path):
    """The environment of a hook that keeps what it is told, and a function that reads it."""
    path = tmp_path / "told"
    keep = f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read())"
    command = shlex.join([sys.executable, "-c", keep])

    def told():
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return {"SEGNETS_NOTIFY": command}, told


def test_a_night_that_finds_no_trial_is_told_of_once(world, hook):
    env, told = hook
    done = world.run("predict", **env)
    assert done.code == 3
    (event,) = told()
    assert (event["event"], event["store"]) == ("night failed", str(world.store))
    assert event["sentence"] == done.one_sentence("no trial is done")


def test_a_trial_that_fails_is_told_of_by_its_id(world, hook):
    env, told = hook
    done = world.run("train", "--dataset", "nowhere", **env)
    (event,) = told()
    assert (event["event"], event["exit_code"]) == ("trial failed", done.code)
    assert event["trial"] == trial_id(TrainConfig(dataset="nowhere"))


def test_an_evaluation_that_fails_is_of_the_one_who_asked_for_it(world, hook):
    env, told = hook
    assert world.run("evaluate", **env).code == 3
    assert told() == []


@pytest.mark.slow
def test_a_grid_tells_of_each_failed_trial_once_and_of_its_end(copied, facts, hook):
    env, told = hook
    flags = ["--dataset", facts["dataset"]["dataset"], *QUICK, "--grid", "batch_size=6,7"]
    done = copied.run("train_grid", *flags, **env)
    assert done.code == 1
    trial, grid = told()
    assert (trial["event"], grid["event"]) == ("trial failed", "grid finished")
    (failed,) = done.json["failed"]
    assert failed == {name: trial[name] for name in ("trial", "exit_code", "sentence")}
    for name in ("grid", "ran", "reused", "failed", "best"):
        assert grid[name] == done.json[name]
    assert grid["trials"] == 2


RUN = """
import contextlib, sys
from prefect import tags
from flows.train import train_flow
from segnets.config.train import TrainConfig
with tags(*sys.argv[1:]), contextlib.suppress(Exception):
    train_flow(TrainConfig(dataset="nowhere"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("tags", "number"), [([], 1), (["trial:t", "launch:2"], 0)])
def test_a_flow_run_that_a_grid_launched_leaves_the_word_to_the_grid(
    world, hook, prefect_server, tags, number
):
    env, told = hook
    env = {**world.env, **prefect_server.env, **env, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", RUN, *tags], cwd=world.root, env=env, check=True)
    assert [event["event"] for event in told()] == ["trial failed"] * number

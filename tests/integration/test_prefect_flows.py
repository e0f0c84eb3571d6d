"""The same commands as flow runs, and grids through workers, on a real Prefect server."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support.commands import QUICK, ended
from support.flow_runs import (
    ask,
    lines_of,
    newest_run,
    process_of,
    start,
    trials_of,
    wait_for,
    wait_for_end,
)

from segnets.store.log import read_head
from segnets.store.open import open_store


@pytest.mark.slow
def test_a_command_is_a_flow_run_and_its_lines_arrive(world, prefect_server):
    done = world.run("standin_flow", "--data", "noise", **prefect_server.env)
    assert done.code == 0, done.err
    assert done.json["out"] == "noise"
    assert prefect_server.url in done.err
    run = newest_run(prefect_server, "standin")
    assert run["state"]["type"] == "COMPLETED"
    assert run["parameters"]["config"]["data"] == "noise"
    assert "working" in lines_of(prefect_server, run, count=3)


@pytest.mark.slow
def test_a_fault_ends_a_run_as_failed_with_its_number_and_sentence(world, prefect_server):
    done = world.run("standin_flow", "--data", "data", **prefect_server.env)
    assert done.code == 3
    sentence = done.one_sentence("label image is missing")
    run = newest_run(prefect_server, "standin")
    assert (run["state"]["type"], run["state"]["message"]) == ("FAILED", f"exit 3: {sentence}")
    assert not any("Traceback" in line for line in lines_of(prefect_server, run, count=3))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wait", "sleep"])
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_as_crashed_and_the_command_as_stopped(
    world, prefect_server, how, signum, code
):
    process = world.popen("standin_flow", "--data", how, **prefect_server.env)
    for line in process.stderr:
        if line.startswith("working"):
            break
    process.send_signal(signum)
    done = ended(process)
    assert done.code == code
    assert "Traceback" not in done.err
    assert newest_run(prefect_server, "standin")["state"]["type"] == "CRASHED"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["store", "taken", "diverged", "trials"])
def test_every_fault_keeps_its_code_as_a_flow_run(world, prefect_server, how):
    plain = world.run("standin_flow", "--data", how)
    run = world.run("standin_flow", "--data", how, **prefect_server.env)
    assert run.code == plain.code
    assert run.one_sentence() == plain.one_sentence()


def grid_config(facts, **settings):
    trial = {
        "dataset": facts["dataset"]["dataset"],
        "epochs": 2,
        "threads": 1,
        "precision": "fp32",
        **settings,
    }
    return {"trial": trial, "grid": ["lr=0.003"]}


@pytest.mark.slow
def test_a_grid_through_workers_trains_what_is_missing_and_nothing_twice(
    workers, prefect_server, facts, made
):
    config = grid_config(facts, seed=3)
    for expected in (1, 1):  # the second run finds the trial complete
        run = start(prefect_server, "train-grid", config)
        state = wait_for_end(prefect_server, run)
        assert state["type"] == "COMPLETED", state
        flags = [*QUICK, "--dataset", facts["dataset"]["dataset"], "--seed", "3"]
        trial = made.run("train", *flags, "--lr", "0.003").json
        assert trial["reused"] is True
        assert len(trials_of(prefect_server, trial["trial"])) == expected


@pytest.mark.slow
def test_a_search_through_workers_is_the_one_without_prefect(
    workers, prefect_server, facts, made, tmp_path
):
    config = grid_config(facts, seed=8, epochs=3) | {"grid": ["lr=0.003,0.002,0.001"]}
    run = start(prefect_server, "train-grid", config | {"search": "halving"})
    state = wait_for_end(prefect_server, run, 400)
    assert state["type"] == "COMPLETED", state
    for kind in ("log", "obj"):
        shutil.copytree(made.store / kind / "dataset", tmp_path / "alone" / kind / "dataset")
    dataset = ["--dataset", facts["dataset"]["dataset"], "--seed", "8", "--epochs", "3"]
    flags = [*dataset, *QUICK[2:], "--grid", "lr=0.003,0.002,0.001", "--search", "halving"]
    there = made.run("train_grid", *flags).json
    alone = made.run("train_grid", *flags, "--store", str(tmp_path / "alone")).json
    assert there["ran"] == 0
    assert there["leaderboard"] == alone["leaderboard"]
    assert [row["pruned_at"] for row in alone["leaderboard"]].count(None) == 1


@pytest.mark.slow
def test_a_killed_trial_is_launched_again_as_another_run(workers, prefect_server, facts, made):
    run = start(prefect_server, "train-grid", grid_config(facts, seed=4, epochs=8))
    child = wait_for(lambda: children_of(prefect_server, run))[0]
    wait_for(lambda: any("epoch 1 of 8 saved" in line for line in lines_of(prefect_server, child)))
    os.kill(process_of(child["id"]), signal.SIGKILL)
    state = wait_for_end(prefect_server, run)
    assert state["type"] == "COMPLETED", state
    runs = trials_of(prefect_server, trial_of(child))
    launches = {tag for one in runs for tag in one["tags"] if tag.startswith("launch:")}
    assert launches == {"launch:1", "launch:2"}
    again = next(one for one in runs if "launch:2" in one["tags"])
    said = lines_of(prefect_server, again, count=6)
    assert any("goes on from the checkpoint" in line for line in said), said


@pytest.mark.slow
def test_a_cancelled_grid_stops_all_its_trials_in_time_and_the_same_one_finishes(
    workers, prefect_server, facts, made
):
    config = grid_config(facts, seed=5, epochs=60) | {"grid": ["lr=0.003,0.002,0.001"]}
    run = start(prefect_server, "train-grid", config)
    running = wait_for(lambda: len(found := children_of(prefect_server, run)) == 2 and found)
    for child in running:
        wait_for(
            lambda child=child: any(
                "epoch 1 of 60 saved" in line for line in lines_of(prefect_server, child)
            )
        )
    began = time.monotonic()
    ask(prefect_server, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING"})
    for one in (*running, run):
        wait_for(lambda one=one: process_of(one["id"]) is None)
    took = time.monotonic() - began
    print(f"gone after {took:.1f} s")
    assert took < 40
    for one in (*running, run):
        assert wait_for_end(prefect_server, one, 90)["type"] in {"CANCELLED", "CRASHED"}
    store = open_store(str(made.store), write=False)
    for child in running:
        head = read_head(store, trial_of(child))
        assert head.event == "stopped"
        assert head.epoch >= 1
    time.sleep(3)  # the third one was never begun, and is not after the end of its grid
    assert children_of(prefect_server, run) == []
    again = start(prefect_server, "train-grid", config)
    state = wait_for_end(prefect_server, again, 600)
    assert state["type"] == "COMPLETED", state
    for child in running:
        resumed = trials_of(prefect_server, trial_of(child))[0]  # the newest
        said = lines_of(prefect_server, resumed, count=6)
        assert any("goes on from the checkpoint" in line for line in said), said
        assert read_head(store, trial_of(child)).event == "done"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "part"),
    [
        ({"epocs": 3}, "epocs"),
        ({"recipe": "student"}, "recipe"),
        ({"epochs": 8.5}, "epochs"),
        ({"lr": 5}, "lr"),
        ({"model": "nosuch"}, "nosuch"),
    ],
)
def test_a_form_that_is_wrong_is_refused_before_a_run_is_made(
    workers, prefect_server, made, config, part
):
    words = ["deployment", "run", "train/train", "-p", f"config={json.dumps(config)}"]
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *words],
        env={**made.env, **prefect_server.env},
        cwd=made.root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1  # Prefect's own command and code
    assert part in done.stdout + done.stderr
    assert "Validation failed" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_bad_axis_in_a_form_fails_the_run_in_one_sentence(workers, prefect_server):
    run = start(prefect_server, "train-grid", {"grid": ["lrr=3"]})
    state = wait_for_end(prefect_server, run)
    assert state["type"] == "FAILED"
    assert "there is no such setting: --lrr" in state["message"]
    assert not any("Traceback" in line for line in lines_of(prefect_server, run, count=3))


def children_of(server, run):
    """Running flow runs that a grid's run has started."""
    subject = {
        "parent_flow_run_id": {"any_": [run["id"]]},
        "state": {"type": {"any_": ["RUNNING"]}},
    }
    return ask(server, "flow_runs/filter", flow_runs=subject)


def trial_of(child):
    """The id in the tags of a trial's run."""
    (tag,) = [tag for tag in child["tags"] if tag.startswith("trial:")]
    return tag.removeprefix("trial:")


@pytest.mark.slow
def test_a_run_leaves_a_summary_that_links_to_the_app(made, facts, prefect_server):
    env = {**prefect_server.env, "SEGNETS_APP_URL": "http://localhost:5006/results_app"}
    done = made.run("train_grid", *facts["flags"], **env)
    assert done.code == 0, done.err
    run = newest_run(prefect_server, "train-grid")
    found = ask(
        prefect_server, "artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}}
    )
    kept = {one["key"]: one for one in found}
    assert set(kept) == {"leaderboard", "results-app", "train-grid-summary"}
    (trial,) = facts["grid"]["trials"]
    assert f"results_app?p=runs&t={trial})" in kept["train-grid-summary"]["data"]

"""Workers and grids whose Prefect server has a fault, and runs that a worker took and never began."""

import time
from dataclasses import replace

import pytest
from support.flow_runs import ask, process_of, start, wait_for, wait_for_end
from support.machines import Machine
from support.proxy import FaultProxy

from segnets.config.build import build
from segnets.config.train import TrainConfig
from segnets.store.open import open_store
from tasks import flow_runs
from tasks.flow_runs import FlowRuns

pytestmark = pytest.mark.slow


@pytest.fixture
def config(made, facts):
    """One epoch of the small dataset."""
    fields = {"dataset": facts["dataset"]["dataset"], "epochs": 1, "seed": 77, "threads": 1}
    return build(TrainConfig, {**fields, "precision": "fp32", "store": str(made.store)})


def test_a_worker_outlives_a_server_that_answers_with_errors(
    workers, prefect_server, config, tmp_path
):
    """Prefect's own ends as a whole, with all its runs, after a dozen of them, or if one comes at a bad moment."""
    workers.stop()
    with (
        FaultProxy(prefect_server.url.removesuffix("/api")) as proxy,
        proxy.fault("broken", "POST", "/get_scheduled_flow_runs$", times=14) as polls,
        proxy.fault("broken", "GET", r"/api/deployments/[0-9a-f-]{36}$", times=2) as reads,
    ):
        env = {**workers.env, "PREFECT_API_URL": f"{proxy.endpoint}/api"}
        machine = Machine(tmp_path, env)
        machine.start("gpu")
        try:
            run = start(
                prefect_server, "train", {"dataset": config.dataset, "epochs": 1, "seed": 78}
            )
            assert wait_for_end(prefect_server, run)["type"] == "COMPLETED"
            assert (polls.hits, reads.hits) == (14, 2)
            assert machine.workers["gpu"].poll() is None
        finally:
            machine.stop()
    said = (tmp_path / "gpu.log").read_text()
    assert "waiting for the Prefect server: " in said
    assert "is not begun, the server has a fault" in said


def test_a_run_hears_of_its_cancel_after_a_server_that_was_away(
    workers, prefect_server, config, tmp_path
):
    """Prefect's observers of cancels end for good after three questions without an answer."""
    workers.stop()
    with (
        FaultProxy(prefect_server.url.removesuffix("/api")) as proxy,
        proxy.fault("broken", "POST", "/api/flow_runs/filter$", times=6) as looks,
    ):
        machine = Machine(tmp_path, {**workers.env, "PREFECT_API_URL": f"{proxy.endpoint}/api"})
        machine.start("gpu")
        try:
            settings = {"dataset": config.dataset, "epochs": 5000, "seed": 79}
            run = start(prefect_server, "train", settings)
            wait_for(lambda: process_of(run["id"]))
            wait_for(lambda: looks.hits == 6)
            ask(prefect_server, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING"})
            began = time.monotonic()
            wait_for(lambda: process_of(run["id"]) is None)
            assert time.monotonic() - began < 40
            assert wait_for_end(prefect_server, run)["type"] in {"CANCELLED", "CRASHED"}
        finally:
            machine.stop()
    said = (tmp_path / "gpu.log").read_text()
    assert "Flow run cancellation disabled" not in said


@pytest.fixture
def server(workers, prefect_server):
    """A client of the server, which has the deployments and nobody who takes their runs."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    workers.stop()
    with (
        temporary_settings({PREFECT_API_URL: prefect_server.url}),
        get_client(sync_client=True) as client,
    ):
        yield client


@pytest.fixture
def grid(server, made, monkeypatch):
    """The flow runs of a grid, which waits for nothing longer than it must."""
    monkeypatch.setattr(flow_runs, "CRASHED_S", 0.2)
    monkeypatch.setattr(flow_runs, "BEGIN_S", 3.0)
    monkeypatch.setattr(FlowRuns, "poll_s", 0.1)
    store = open_store(str(made.store), write=False)
    return lambda root="root": FlowRuns(server, root, store, lambda *_: False)


def set_state(server, run, name):
    from prefect import states  # a second, which the quick tests need not wait for

    server.set_flow_run_state(run.id, getattr(states, name)(), force=True)


def end_of(runs, handle):
    until = time.monotonic() + 60
    while (end := runs.poll(handle)) is None:
        assert time.monotonic() < until
        time.sleep(0.2)
    return end


def test_a_run_that_was_taken_and_never_begun_is_started_again(server, grid, config):
    """As a worker leaves it that is killed between the two: Pending for ever."""
    runs = grid()
    handle = runs.start(config, 1)
    set_state(server, handle, "Pending")
    end = end_of(runs, handle)
    assert (end.died, end.begun) == (True, False)
    assert end.sentence == "no process has begun it for 3 s"
    assert server.read_flow_run(handle.id).state.is_crashed()
    again = runs.start(config, 2)
    assert again.id != handle.id
    runs.stop([again])


def test_a_grid_that_is_retried_makes_runs_of_its_own_for_those_that_have_ended(
    server, grid, config
):
    first = grid().start(config, 1)
    set_state(server, first, "Cancelled")
    second = grid().start(config, 1)  # the same grid: it counts its launches from 1 again
    assert second.id != first.id
    third = grid().start(config, 1)  # and waits for what has not ended
    assert (third.id, third.adopted) == (second.id, True)


def test_a_run_of_another_store_or_of_a_search_is_not_adopted(server, grid, config, tmp_path):
    config = replace(config, seed=90)
    settings = [config, replace(config, pause_at=1), replace(config, store=str(tmp_path))]
    grids = [grid(f"of its own {number}") for number in range(3)]
    handles = [runs.start(one, 1) for runs, one in zip(grids, settings, strict=True)]
    assert len({handle.id for handle in handles}) == 3
    assert not any(handle.adopted for handle in handles)
    for runs, handle in zip(grids, handles, strict=True):
        runs.stop([handle])


def test_what_became_of_a_run_says_whether_its_trial_had_begun(server, grid, config):
    runs = grid("another")
    crashed, ran, gone, taken = (runs.start(replace(config, seed=seed), 1) for seed in range(4))
    set_state(server, crashed, "Crashed")
    assert (end_of(runs, crashed).died, crashed.adopted) == (True, False)
    set_state(server, ran, "Running")
    set_state(server, ran, "Crashed")
    assert end_of(runs, ran).begun
    server.delete_flow_run(gone.id)
    assert end_of(runs, gone).sentence == "its flow run was deleted"
    other = grid("a third")
    adopted = other.start(replace(config, seed=3), 1)
    assert (adopted.id, adopted.adopted) == (taken.id, True)
    set_state(server, taken, "Cancelled")
    assert end_of(runs, taken).stopped
    assert not end_of(other, adopted).stopped

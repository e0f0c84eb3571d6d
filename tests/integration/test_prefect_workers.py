"""Workers and grids whose Prefect server has a fault, and runs that a worker took and never began."""

import time
from dataclasses import replace

import pytest
from support.flow_runs import read, start, wait_for_end
from support.machines import Machine
from support.proxy import FaultProxy

from segnets.config.build import build
from segnets.config.ids import trial_id
from segnets.config.train import TrainConfig
from segnets.store.open import open_store
from tasks import flow_runs
from tasks.flow_runs import DEPLOYMENT, FlowRuns

pytestmark = pytest.mark.slow


@pytest.fixture
def config(made, facts):
    """One epoch of the small dataset."""
    fields = {"dataset": facts["dataset"]["dataset"], "epochs": 1, "seed": 77, "threads": 1}
    return build(TrainConfig, {**fields, "precision": "fp32", "store": str(made.store)})


def test_a_worker_outlives_a_server_that_answers_with_errors(
    workers, prefect_server, config, tmp_path
):
    """Prefect's own ends as a whole, with all its runs, if it cannot read the deployment of one."""
    workers.stop()
    deployment = r"/api/deployments/[0-9a-f-]{36}$"
    with (
        FaultProxy(prefect_server.url.removesuffix("/api")) as proxy,
        proxy.fault("broken", "GET", deployment, times=2) as fault,
    ):
        env = {**workers.env, "PREFECT_API_URL": f"{proxy.endpoint}/api"}
        machine = Machine(tmp_path, env)
        machine.start("gpu")
        try:
            run = start(
                prefect_server, "train", {"dataset": config.dataset, "epochs": 1, "seed": 78}
            )
            assert wait_for_end(prefect_server, run)["type"] == "COMPLETED"
            assert fault.hits == 2
            assert machine.workers["gpu"].poll() is None
        finally:
            machine.stop()
    assert "is not begun, the server has a fault" in (tmp_path / "gpu.log").read_text()


def test_a_run_that_was_taken_and_never_begun_is_started_again(
    workers, prefect_server, made, config, monkeypatch
):
    """As a worker leaves it that is killed between the two: Pending for ever."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Pending

    monkeypatch.setattr(flow_runs, "BEGIN_S", 5.0)
    store = open_store(str(made.store), write=False)
    with (
        temporary_settings({PREFECT_API_URL: prefect_server.url}),
        get_client(sync_client=True) as client,
    ):
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        tags = [f"trial:{trial_id(config)}"]
        left = client.create_flow_run_from_deployment(deployment.id, state=Pending(), tags=tags)
        runs = FlowRuns(client, "root", store, lambda *_: False)
        handle = runs.start(config, 1)
        assert handle.id == left.id
        until = time.monotonic() + 60
        while (end := runs.poll(handle)) is None:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert (end.died, end.sentence) == (True, "no process has begun it for 5 s")
        assert read(prefect_server, {"id": str(left.id)})["state"]["type"] == "CRASHED"
        again = runs.start(replace(config, take_over=True), 2)
        assert again.id != left.id
        runs.stop([again])

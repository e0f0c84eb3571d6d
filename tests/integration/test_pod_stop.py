"""The preStop hook of a Kubernetes pod, in a process namespace as a pod has one, with a real flow run."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from support.commands import ROOT, clean_env
from support.flow_runs import ask, wait_for

FLOW = """
import time
from pathlib import Path
from prefect import flow

@flow(persist_result=False)
def wait():
    try:
        Path("running").touch()
        time.sleep(600)
    except BaseException:
        time.sleep(1)
        Path("saved").touch()
        raise
"""

DEPLOYMENT = """
pull:
  - prefect.deployments.steps.set_working_directory: {directory: "{{ $SEGNETS_HOME }}"}
deployments:
  - name: pod
    entrypoint: wait.py:wait
    work_pool: {name: pods}
"""


def prefect(*words):
    return [sys.executable, "-m", "prefect", "--no-prompt", *words]


@pytest.mark.slow
@pytest.mark.skipif(
    os.getuid() != 0 or not (shutil.which("unshare") and shutil.which("nsenter")),
    reason="namespaces need root, unshare and nsenter",
)
def test_a_pod_that_is_stopped_lets_its_flow_save_and_ends(prefect_server, tmp_path):
    (tmp_path / "wait.py").write_text(FLOW)
    (tmp_path / "prefect.yaml").write_text(DEPLOYMENT)
    env = {**clean_env(), **prefect_server.env}
    for words in (["work-pool", "create", "pods", "--type", "process"], ["deploy", "--all"]):
        subprocess.run(prefect(*words), cwd=tmp_path, env=env, check=True, capture_output=True)
    found = ask(prefect_server, "deployments/filter", deployments={"name": {"any_": ["pod"]}})
    run = ask(prefect_server, f"deployments/{found[0]['id']}/create_flow_run")
    env |= {
        "SEGNETS_HOME": str(tmp_path),
        "PREFECT__FLOW_RUN_ID": run["id"],
        # what Prefect's Kubernetes worker sets where backoffLimit is 0
        "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": "reschedule",
    }
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    pod = subprocess.Popen([*inside, *prefect("flow-run", "execute")], cwd=tmp_path, env=env)
    try:
        wait_for((tmp_path / "running").exists)
        first = wait_for(lambda: first_process_of(pod.pid))
        hook = [sys.executable, str(ROOT / "deployments" / "pod_stop.py")]
        began = time.monotonic()
        enter = ["nsenter", "--target", first, "--pid", "--mount"]
        subprocess.run([*enter, *hook], cwd=tmp_path, env=env, check=True, timeout=60)
        assert (tmp_path / "saved").exists()
        assert time.monotonic() - began < 45, "it does not sit out its time"
        pod.wait(30)
    finally:
        pod.kill()
        pod.wait()
    state = ask(prefect_server, "flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})[0]
    assert state["state"]["type"] == "CRASHED"


def first_process_of(pid):
    """The first process of the namespace that unshare made."""
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return done.stdout.split()[0] if done.stdout else None

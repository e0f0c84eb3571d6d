"""Make the server ready for segnets: work pool, queues, deployments; safe to repeat.

    python deployments/pool.py                       # a pool of processes
    python deployments/pool.py --kubernetes FILE     # a pool of Jobs by this base job template

For the server that Prefect's settings name (PREFECT_API_URL or prefect.toml), from the folder that
holds prefect.yaml. `make up` runs it, and the init job of compose.yaml. A pool that somebody paused
stays paused. Deployments are written without SEGNETS_HOME, so that each worker puts its own in.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

POOL = "segnets"
QUEUES = ("default", "gpu")
WAIT_S = 120.0
"""Seconds to wait for the server; its first start on an empty database takes up to half a minute."""

NOBODY = (
    "error: no Prefect server is named. Set PREFECT_API_URL, as in http://SERVER:4200/api, "
    "or run make up for one of this machine's own."
)
REFUSED = (
    "the Prefect server refuses the password: {}. "
    "Set PREFECT_API_AUTH_STRING to the server's PREFECT_SERVER_API_AUTH_STRING."
)


def main() -> int:
    """Pool and queues, then `prefect deploy --all`; its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kubernetes", type=Path, metavar="FILE", help="base job template (JSON)")
    template = parser.parse_args().kubernetes
    if api_url() is None:
        print(NOBODY, file=sys.stderr)
        return 1
    asyncio.run(make_pool(None if template is None else json.loads(template.read_text())))
    environment = {name: value for name, value in os.environ.items() if name != "SEGNETS_HOME"}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    # what Prefect prints names its own worker, which kills its runs when it is stopped
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    code = done.returncode
    print("deployments are made" if code == 0 else done.stdout, file=sys.stderr)
    if code == 0 and template is not None:
        asyncio.run(give_trials_a_gpu())
    return code


def api_url() -> str | None:
    """The API that Prefect's settings name."""
    from prefect.settings import get_current_settings

    return get_current_settings().api.url or None


async def make_pool(kubernetes: dict[str, Any] | None) -> None:
    """The pool and its queues, left alone where they are there; a template is brought up to date."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    async with get_client() as client:
        await wait_for_server(client)
        kind = "process" if kubernetes is None else "kubernetes"
        template = kubernetes or ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=POOL, type=kind, base_job_template=template)
        try:
            await client.create_work_pool(pool)
            print(f"pool {POOL} made", file=sys.stderr)
        except ObjectAlreadyExists:
            print(f"pool {POOL} is there", file=sys.stderr)
            found = (await client.read_work_pool(POOL)).type
            if found != kind:
                raise SystemExit(
                    f"error: the pool {POOL} is of another kind: {found}, not {kind}. "
                    f"Delete it (prefect work-pool delete {POOL}) and run this again."
                ) from None
            if kubernetes is not None:
                await client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
        for queue in QUEUES:
            try:
                await client.create_work_queue(queue, work_pool_name=POOL)
            except ObjectAlreadyExists:
                continue


async def give_trials_a_gpu() -> None:
    """A GPU for the pods of each deployment on the queue gpu; prefect.yaml serves processes too."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentUpdate

    async with get_client() as client:
        for deployment in await client.read_deployments():
            if deployment.work_pool_name == POOL and deployment.work_queue_name == "gpu":
                variables = {**deployment.job_variables, "gpus": 1}
                await client.update_deployment(
                    deployment.id, DeploymentUpdate(job_variables=variables)
                )


async def wait_for_server(client: object) -> None:
    """Return once the server answers; SystemExit with a sentence if it does not in WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while (fault := await client.api_healthcheck()) is not None:  # type: ignore[attr-defined]
        if time.monotonic() > deadline:
            url = os.environ.get("PREFECT_API_URL", "no PREFECT_API_URL")
            raise SystemExit(f"error: the Prefect server does not answer: {url} ({fault})")
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    raise SystemExit(main())

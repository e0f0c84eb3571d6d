"""Make the server ready for segnets: work pool, queues, deployments; safe to repeat.

    python deployments/pool.py

For the server that Prefect's settings name (PREFECT_API_URL or prefect.toml), from the folder that
holds prefect.yaml. `make up` runs it, and the init job of compose.yaml. A pool that somebody paused
stays paused. Deployments are written without SEGNETS_HOME, so that each worker puts its own in.
"""

import asyncio
import os
import subprocess
import sys
import time

POOL = "segnets"
QUEUES = ("default", "gpu")
WAIT_S = 120.0
"""Seconds to wait for the server; its first start on an empty database takes up to half a minute."""


def main() -> int:
    """Pool and queues, then `prefect deploy --all`; its exit code."""
    asyncio.run(make_pool())
    environment = {name: value for name, value in os.environ.items() if name != "SEGNETS_HOME"}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    return subprocess.run(command, env=environment, check=False).returncode


async def make_pool() -> None:
    """The process pool and its queues, left alone where they are there."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    async with get_client() as client:
        await wait_for_server(client)
        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
        try:
            await client.create_work_pool(pool)
            print(f"pool {POOL} made", file=sys.stderr)
        except ObjectAlreadyExists:
            print(f"pool {POOL} is there", file=sys.stderr)
        for queue in QUEUES:
            try:
                await client.create_work_queue(queue, work_pool_name=POOL)
            except ObjectAlreadyExists:
                continue


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

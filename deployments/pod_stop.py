"""Before Kubernetes stops a pod, let its flow run save: python deployments/pod_stop.py  (preStop hook).

The preStop hook of base-job-template.json. The pod's first process is Prefect's `flow-run execute`, which
answers SIGTERM by moving the run back to a queue; the flow itself is a child of it. That one gets SIGTERM
here first: the step ends, the trial is saved, the run reports Crashed, and a grid starts it again in a
new pod. Returns when it has gone, or after --wait seconds, well within the pod's grace period.
"""

import argparse
import os
import signal
import time

from processes import run_processes

WAIT_S = 45.0
"""Seconds: 30 for the trial to save, 10 for the report, and some."""


def main() -> int:
    """SIGTERM to the flow of this pod, then wait."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--wait", type=float, default=WAIT_S, help=f"seconds (default {WAIT_S:.0f})"
    )
    given = parser.parse_args()
    # the pod's first process and this one have the run's id in their environment as well
    ours = {1, os.getpid(), os.getppid()}
    flows = [one for one in run_processes(os.environ["PREFECT_API_URL"]) if one.pid not in ours]
    for flow in flows:
        flow.send(signal.SIGTERM)
    deadline = time.monotonic() + given.wait
    while any(flow.lives() for flow in flows) and time.monotonic() < deadline:
        time.sleep(0.1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

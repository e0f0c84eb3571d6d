"""A flow as small as can be, which ends the way its --data says: for tests of tasks/runs.py."""

import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from segnets.config.predict import PredictConfig
from segnets.errors import DatasetError, Diverged, TakenOver, TrialsFailed, Unavailable
from segnets.signals import catch_stop
from tasks.runs import flow, run_from_flags, step


@dataclass(frozen=True)
class Ended:
    out: str
    share: float | None


@step(task_run_name="end-{how}")
def end(how: str) -> Ended:
    log = logging.getLogger("segnets.standin")
    log.info("working")
    if how == "noise":
        print("a stray print")
        os.write(1, b"a stray write\n")
        subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
    elif how == "bug":
        raise KeyError("nobody expected this")
    elif how == "wait":
        with catch_stop() as stop:
            for _ in range(600):
                time.sleep(0.05)
                stop.raise_if_requested()
    elif how == "sleep":
        time.sleep(30)
    elif how == "trials":
        error = TrialsFailed("1 of 2 trials did not complete", "t-1", "Again.", exit_code=4)
        error.summary = {"share": 0.5}
        raise error
    faults = {
        "data": DatasetError("label image is missing", "some/file.png", "Add it."),
        "store": Unavailable("no answer", "s3://nowhere", "Look at the network."),
        "taken": TakenOver("another process took the trial", "t-1", "Wait for it."),
        "diverged": Diverged("the loss is not finite", "epoch 3", "Lower --lr."),
    }
    if how in faults:
        raise faults[how]
    return Ended(out=how, share=float("nan"))


@flow(name="standin")
def standin_flow(config: PredictConfig = PredictConfig()) -> Ended:  # noqa: B008  # as flows do
    return end(config.data)


if __name__ == "__main__":
    run_from_flags(standin_flow, PredictConfig)

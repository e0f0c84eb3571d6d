"""Tasks of the predict flow: which trial, which frames, and the masks that are not there yet."""

import logging
from dataclasses import dataclass

from segnets.config.predict import PredictConfig
from tasks.runs import step

logger = logging.getLogger("segnets.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What the predict flow says about a night."""

    trial: str
    run: str
    night: str
    frames: int
    written: int
    reused: int
    frames_failed: int
    out: str


@step(task_run_name="predict-{config.trial}")
def predict_missing(config: PredictConfig) -> RunResult:
    """Write masks for the frames that have none yet."""
    raise NotImplementedError

"""What a command says of a trial that was paused, as other programs read it."""

import json
import subprocess
import sys

from support.commands import clean_env

SAYS = """
import sys
from dataclasses import fields
from segnets.config.train import TrainConfig
from tasks.runs import run_command
from segnets.training.result import TrialResult

def train(config: TrainConfig) -> TrialResult:
    unknown = dict.fromkeys(field.name for field in fields(TrialResult))
    at = config.pause_at
    return TrialResult(**{**unknown, "trial": "t-1", "paused_at": at})

sys.exit(run_command(train, TrainConfig, sys.argv[1:]))
"""


def said(*flags):
    done = subprocess.run(
        [sys.executable, "-c", SAYS, *flags],
        capture_output=True,
        text=True,
        check=True,
        env=clean_env(),
    )
    return json.loads(done.stdout)


def test_a_paused_trial_is_no_fault_and_not_done():
    assert (said("--pause-at", "2")["status"], said()["status"]) == ("paused", "done")
    assert said("--pause-at", "2")["paused_at"] == 2
    assert "error" not in said("--pause-at", "2")

"""docs/output.md names every key that a command writes, and no other."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from segnets import errors
from segnets.training.result import TrialResult
from tasks.evaluate import EvalResult
from tasks.predict import RunResult
from tasks.preprocess import DatasetResult
from tasks.train_grid import GridResult

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "output.md").read_text()
RESULTS = {
    "preprocess": DatasetResult,
    "train": TrialResult,
    "train-grid": GridResult,
    "evaluate": EvalResult,
    "predict": RunResult,
}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("flow", RESULTS)
def test_the_keys_of_a_flow_are_those_of_its_result(flow):
    cells = re.findall(r"^\| (`[^|]+) \|", section(flow), re.MULTILINE)
    named = [word for cell in cells for word in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(field.name for field in fields(RESULTS[flow]))


def test_every_exit_code_of_a_fault_is_in_the_table():
    listed = set(re.findall(r"\d+", " ".join(re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE))))
    faults = [one for one in vars(errors).values() if hasattr(one, "exit_code")]
    raised = {str(one.exit_code) for one in faults if isinstance(one.exit_code, int)}
    assert raised <= listed
    assert listed - raised == {"0", "130", "143"}

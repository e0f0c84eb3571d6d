import pytest

from tasks.gpus import gpus_for, in_groups, visible_gpus

LISTED = """GPU 0: NVIDIA H200 (UUID: GPU-5a)
  MIG 3g.71gb     Device  0: (UUID: MIG-0b)
  MIG 3g.71gb     Device  1: (UUID: MIG-1c)
GPU 1: NVIDIA H200 (UUID: GPU-6b)
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """An nvidia-smi first in PATH that prints this and ends with this exit code."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(text: str, code: int = 0) -> None:
        (tmp_path / "listed").write_text(text)
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat {tmp_path / 'listed'}\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


def test_a_gpu_that_is_split_counts_once(driver):
    driver(LISTED)
    assert visible_gpus() == ["0", "1"]


def test_the_choice_of_the_caller_stands_above_the_driver(driver, monkeypatch):
    driver(LISTED)
    for chosen, names in {
        "1": ["1"],
        "GPU-5a, GPU-6b": ["GPU-5a", "GPU-6b"],
        "": [],
        "-1": [],
    }.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert visible_gpus() == names


def test_a_driver_that_is_ill_or_not_there_lists_no_gpu(driver, monkeypatch, tmp_path):
    driver("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", 9)
    assert visible_gpus() == []
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert visible_gpus() == []


def test_each_trial_has_as_many_gpus_as_ranks_and_none_has_another_s(driver):
    assert in_groups(["0", "1", "2"], 1) == ["0", "1", "2"]
    assert in_groups(["0", "1", "2", "3", "4"], 2) == ["0,1", "2,3"]
    assert in_groups(["0"], 2) == ["0"]  # too few: the trial says so in a sentence
    assert in_groups([], 2) == []
    driver(LISTED)
    assert gpus_for("cuda", 2) == ["0,1"]
    assert gpus_for("cpu", 2) == []

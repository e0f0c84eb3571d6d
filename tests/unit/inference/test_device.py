import json
from dataclasses import replace

import pytest
import torch

from segnets.config.train import TrainConfig
from segnets.errors import ConfigError
from segnets.inference import device
from segnets.inference.device import Runtime, cpu_kind, default_threads, has_bf16, resolve_runtime

CPU = TrainConfig(device="cpu")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


def test_auto_becomes_what_the_machine_has_and_is_sealed_as_json():
    env = json.loads(json.dumps(resolve_runtime(CPU).env()))
    assert env["device"] == "cpu"
    assert env["precision"] == ("bf16" if has_bf16("cpu") else "fp32")
    assert env["threads"] == default_threads()
    assert env["torch"] == torch.__version__.split("+")[0]
    assert env["cpu"] == cpu_kind()
    assert env["gpu"] is None


def test_sealed_values_stand_above_what_auto_would_be():
    sealed = resolve_runtime(CPU).env() | {"precision": "fp32", "threads": 7}
    runtime = resolve_runtime(CPU, sealed)
    assert (runtime.precision, runtime.threads) == ("fp32", 7)
    assert runtime.inexact == ()


@pytest.mark.parametrize("key", ["torch", "cpu"])
def test_another_machine_is_refused_by_name_unless_inexact_is_allowed(key):
    sealed = resolve_runtime(CPU).env() | {key: "of another time"}
    with pytest.raises(ConfigError, match=rf"{key}: of another time before.*--allow-inexact"):
        resolve_runtime(CPU, sealed)
    runtime = resolve_runtime(replace(CPU, allow_inexact=True), sealed)
    assert len(runtime.inexact) == 1
    again = resolve_runtime(CPU, runtime.env())
    assert again.inexact == runtime.inexact  # what was once inexact stays recorded


@NO_GPU
def test_a_gpu_that_is_not_there_is_a_sentence():
    with pytest.raises(ConfigError, match=r"no GPU here.*--device cuda"):
        resolve_runtime(TrainConfig(device="cuda"))
    sealed = resolve_runtime(CPU).env() | {"device": "cuda", "gpu": "H200"}
    with pytest.raises(ConfigError, match="cuda before, no GPU here"):
        resolve_runtime(TrainConfig(), sealed)


def test_bf16_is_taken_only_where_the_processor_has_it(monkeypatch):
    monkeypatch.setattr(device, "_cpu_flags", lambda: frozenset({"avx512f"}))
    assert resolve_runtime(CPU).precision == "fp32"
    with pytest.raises(ConfigError, match="does not compute bf16"):
        resolve_runtime(replace(CPU, precision="bf16"))
    monkeypatch.setattr(device, "_cpu_flags", lambda: frozenset({"amx_bf16"}))
    assert resolve_runtime(CPU).precision == "bf16"
    assert resolve_runtime(replace(CPU, precision="fp32")).precision == "fp32"


def test_threads_are_those_asked_for_then_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert resolve_runtime(CPU).threads == 5
    assert resolve_runtime(replace(CPU, threads=3)).threads == 3


def test_autocast_runs_matrix_products_in_the_number_format():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with Runtime(device="cpu", precision=precision, threads=1).autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype

"""The real model in a process of its own, killed; its successor is this process."""

import signal
import subprocess
import sys

import pytest
import torch

from segnets.store.open import open_store
from segnets.training.loop import train

SMALL = {"epochs": 2, "batch_size": 3, "temporal": "convlstm"}

CHILD = """
import os, signal, sys, torch
from segnets.config.build import build
from segnets.config.train import TrainConfig
from segnets.data.reader import open_dataset
from segnets.store.open import open_store
from segnets.training.loop import train

url, device, made_in, dataset_id = sys.argv[1:]
config = build(TrainConfig, dict(
    dataset=dataset_id, epochs=2, batch_size=3, threads=1, device=device, precision="fp32"))
def kill(row):
    os.kill(os.getpid(), signal.SIGKILL)

store = open_store(url, write=True)
with open_dataset(open_store(made_in, write=False), dataset_id) as dataset:
    train(config, dataset, store, on_epoch=kill)
"""


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_kill_9_once_an_epoch_is_said_to_be_saved_loses_neither_it_nor_a_bit(
    device, made, dataset, trial_config, tmp_path, caplog
):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU on this machine")
    stormy, calm = str(tmp_path / "stormy"), str(tmp_path / "calm")
    argv = [sys.executable, "-W", "error", "-c", CHILD, stormy, device, *made]
    killed = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    config = trial_config(**SMALL, device=device)
    results = []
    with caplog.at_level("INFO", "segnets.training"):
        for url in (stormy, calm):
            store = open_store(url, write=True)
            results.append(train(config, dataset, store, on_epoch=lambda _: None))
    resumed, undisturbed = results
    assert resumed.resumed_from == {"epoch": 1, "step": 2}
    assert "goes on from the checkpoint of epoch 1 (step 2, lr" in caplog.text
    assert resumed.weights_sha256 == undisturbed.weights_sha256
    assert resumed.state_sha256 == undisturbed.state_sha256

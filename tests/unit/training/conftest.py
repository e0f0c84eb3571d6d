"""A tiny dataset of drawn rectangles in a folder store, and trials that take seconds."""

import pytest
import torch
from support.tiny_dataset import CLIPS, TinyNet, draw_cityscapes, make_tiny_dataset

from segnets.config.build import build
from segnets.config.train import TrainConfig
from segnets.data.reader import open_dataset
from segnets.models.registry import MODELS
from segnets.store.open import open_store


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> tuple[str, str]:
    """(store URL, dataset id) of 6 training and 2 validation clips."""
    root = tmp_path_factory.mktemp("training")
    draw_cityscapes(root / "data", CLIPS)
    store = open_store(str(root / "store"), write=True)
    return str(root / "store"), make_tiny_dataset(root / "data", store)


@pytest.fixture(scope="session")
def dataset(made):
    url, dataset_id = made
    with open_dataset(open_store(url, write=False), dataset_id) as opened:
        yield opened


@pytest.fixture
def trial_config(made):
    """A function that makes the config of a small trial from what differs."""

    def make(**settings) -> TrainConfig:
        small = {"dataset": made[1], "epochs": 2, "batch_size": 2, "temporal": "none", "threads": 1}
        return build(TrainConfig, {**small, "precision": "fp32", "device": "cpu", **settings})

    return make


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"), write=True)


@pytest.fixture
def tiny_net(monkeypatch):
    """Trials of this test train TinyNet: a step in a millisecond, a checkpoint of a few kB."""
    monkeypatch.setitem(MODELS, "resnet_convlstm", lambda _: TinyNet())

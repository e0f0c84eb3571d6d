"""A small Cityscapes folder of drawn boxes, its dataset in a folder store, and an undecided model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segnets.config.build import build as build_config
from segnets.config.preprocess import PreprocessConfig
from segnets.config.train import TrainConfig
from segnets.data.convert import make_dataset
from segnets.data.reader import open_dataset
from segnets.inference.device import Runtime
from segnets.inference.predictor import Predictor
from segnets.models.registry import build
from segnets.store.open import open_source, open_store

SIZE = (48, 96)
NETWORK = (32, 64)
FRAMES = 2
LABEL_IDS = (0, 4, 7, 8, 11, 17, 21, 23, 24, 26, 33)


def put_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def draw_folder(root: Path) -> Path:
    """2 train, 3 val and 1 test clip of two cities; the test clip has no label."""
    rng = np.random.default_rng(7)
    colors = rng.integers(0, 255, (34, 3))
    clips = [("train", "aachen", 0), ("train", "bonn", 1), ("test", "bonn", 9)]
    clips += [("val", "aachen", 3), ("val", "aachen", 4), ("val", "bonn", 5)]
    for split, city, seq in clips:
        labels = np.full(SIZE, 23, np.uint8)
        labels[SIZE[0] // 2 :] = 7
        for label in LABEL_IDS:
            top, left = rng.integers(0, SIZE[0] - 12), rng.integers(0, SIZE[1] - 24)
            labels[top : top + 12, left : left + 24] = label
        for frame in range(20 - FRAMES, 20):
            noise = rng.integers(-25, 25, (*SIZE, 3))
            rgb = np.clip(colors[labels] + noise, 0, 255).astype(np.uint8)
            name = f"{city}_{seq:06d}_{frame:06d}_leftImg8bit.png"
            put_png(root / "leftImg8bit_sequence" / split / city / name, rgb)
        put_png(root / "leftImg8bit" / split / city / name, rgb)
        if split != "test":
            name = name.replace("leftImg8bit", "gtFine_labelIds")
            put_png(root / "gtFine" / split / city / name, labels)
    return root


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("boxes"))


@pytest.fixture(scope="session")
def dataset(folder, tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("store")), write=True)
    settings = {"data": str(folder), "clip_frames": FRAMES}
    settings |= {"height": NETWORK[0], "width": NETWORK[1]}
    config = build_config(PreprocessConfig, settings)
    summary = make_dataset(open_source(str(folder)), config, store, name="boxes", sources_salt=None)
    with open_dataset(store, summary.dataset) as opened:
        yield opened


@pytest.fixture(scope="session")
def runtime():
    return Runtime(device="cpu", precision="fp32", threads=1)


@pytest.fixture(scope="session")
def module():
    """Weights from a seed, with a head so steep that every class and any confidence comes up."""
    torch.manual_seed(0)
    model = build(TrainConfig()).eval()
    with torch.no_grad():
        model.head.weight.mul_(40.0)
        model.head.bias.zero_()
    return model


@pytest.fixture
def predictor(module, runtime, dataset):
    return Predictor(
        module=module,
        runtime=runtime,
        mean=dataset.mean,
        std=dataset.std,
        height=NETWORK[0],
        width=NETWORK[1],
        min_confidence=0.5,
    )

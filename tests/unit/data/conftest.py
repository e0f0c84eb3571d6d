"""Tiny folders in the Cityscapes layout, and the dataset made of one."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings as hypothesis_settings
from PIL import Image

from segnets.config.build import build
from segnets.config.preprocess import PreprocessConfig
from segnets.data.convert import make_dataset
from segnets.labels import LABELS
from segnets.store.open import open_source, open_store

hypothesis_settings.register_profile("segnets", deadline=None)  # machines are shared
hypothesis_settings.load_profile("segnets")

HEIGHT, WIDTH = 64, 128
LABEL_IDS = np.array([row.label_id for row in LABELS], dtype=np.uint8)


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    torch.set_num_threads(1)


def png(array):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG", compress_level=1)
    return out.getvalue()


def picture(seed, height=HEIGHT, width=WIDTH):
    """A smooth picture with noise, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height)), dtype=np.int16)
    return (smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)


def label(seed, height=HEIGHT, width=WIDTH):
    """Blocks of labelIds, (H, W) uint8."""
    blocks = np.random.default_rng(seed).choice(LABEL_IDS, (height // 8, width // 8))
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


class Folder:
    """A folder of data that a test may damage."""

    def __init__(self, root, *, has_splits=True):
        self.root = Path(root)
        self.has_splits = has_splits

    def path(self, kind, split, city, seq, frame):
        ending = "gtFine_labelIds" if kind == "gtFine" else "leftImg8bit"
        level = [split] if self.has_splits else []
        name = f"{city}_{seq:06d}_{frame:06d}_{ending}.png"
        return self.root.joinpath(kind, *level, city, name)

    def put(self, kind, split, city, seq, frame, data=None):
        path = self.path(kind, split, city, seq, frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = [*f"{split}{city}".encode(), seq, frame]
        if data is None:
            data = png(label(seed) if kind == "gtFine" else picture(seed))
        path.write_bytes(data)
        return path

    def clip(self, split, city, seq, frame, *, past=3, has_label=True):
        """A labelled frame, with frames before it in the sequence."""
        for number in range(max(0, frame - past), frame):
            self.put("leftImg8bit_sequence", split, city, seq, number)
        self.put("leftImg8bit", split, city, seq, frame)
        if has_label:
            self.put("gtFine", split, city, seq, frame)

    def fill(self):
        """Three clips of train, two of val, one of test without a label."""
        self.clip("train", "aachen", 0, 5)
        self.clip("train", "aachen", 0, 7)
        self.clip("train", "bonn", 1, 19)
        self.clip("val", "ulm", 0, 19)
        self.clip("val", "ulm", 1, 19)
        self.clip("test", "mainz", 0, 19, has_label=False)
        return self

    def files(self):
        return sorted(path for path in self.root.rglob("*.png"))


@pytest.fixture
def folder(tmp_path):
    """A whole little folder of data."""
    return Folder(tmp_path / "street").fill()


@pytest.fixture
def empty_folder(tmp_path):
    root = tmp_path / "street"
    root.mkdir()
    return Folder(root)


@pytest.fixture
def settings(tmp_path):
    """Settings with a cache of this test's own; build them with `configure`."""
    return {"data": "x", "height": 32, "width": 64, "cache": str(tmp_path / "cache"), "workers": 2}


@pytest.fixture
def configure(settings):
    def with_changes(**changes):
        return build(PreprocessConfig, {**settings, **changes})

    return with_changes


@pytest.fixture
def preprocess(tmp_path, configure):
    """preprocess(folder, store name, **settings) -> (summary, store)."""

    def run(folder, store="store", *, salt=None, **changes):
        opened = open_store(str(tmp_path / store), write=True)
        source = open_source(str(folder.root))
        config = configure(**changes)
        target = None if config.check_only else opened
        return make_dataset(source, config, target, name="tiny", sources_salt=salt), opened

    return run


@pytest.fixture
def forged_png():
    """A frame whose checksums are right and whose pixels cannot be inflated."""

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", b"no zlib stream"), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

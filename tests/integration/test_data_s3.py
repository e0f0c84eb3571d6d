"""A dataset whose files, or whose store, or both lie in object storage equals the one in folders."""

import io

import numpy as np
import pytest
from PIL import Image

from segnets.config.build import build
from segnets.config.preprocess import PreprocessConfig
from segnets.data.convert import make_dataset
from segnets.data.reader import open_dataset
from segnets.store.open import open_sink, open_source, open_store

pytestmark = pytest.mark.s3


def png(array):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def files():
    """Key -> bytes of two labelled clips of two frames."""
    rng = np.random.default_rng(0)
    for split, city in (("train", "aachen"), ("val", "ulm")):
        for folder, frame in (("leftImg8bit_sequence", 4), ("leftImg8bit", 5)):
            name = f"{city}_000000_{frame:06d}_leftImg8bit.png"
            pixels = rng.integers(0, 256, (64, 128, 3), dtype=np.uint8)
            yield f"{folder}/{split}/{city}/{name}", png(pixels)
        name = f"{city}_000000_000005_gtFine_labelIds.png"
        yield f"gtFine/{split}/{city}/{name}", png(rng.integers(0, 34, (64, 128), dtype=np.uint8))


def test_a_dataset_of_and_in_object_storage_equals_the_one_of_folders(
    s3_server, tmp_path, monkeypatch
):
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    bucket = f"s3://{s3_server.bucket}/data-test"
    places = {"folder": str(tmp_path / "street"), "s3": f"{bucket}/street"}
    for url in places.values():
        for key, data in files():
            open_sink(url).put(key, data)
    seen = []
    for place, url in places.items():
        config = build(
            PreprocessConfig,
            {
                "data": url,
                "height": 32,
                "width": 64,
                "clip_frames": 2,
                "cache": str(tmp_path / "cache"),
            },
        )
        where = str(tmp_path / "store") if place == "folder" else f"{bucket}/store"
        store = open_store(where, write=True)
        summary = make_dataset(open_source(url), config, store, name="tiny")
        assert make_dataset(open_source(url), config, store, name="tiny").reused
        with open_dataset(store, summary.dataset, tmp_path / "cache") as dataset:
            seen.append((summary, dataset.digest, *dataset.read("val", [0])))
    assert seen[0][:2] == seen[1][:2]
    assert np.array_equal(seen[0][2], seen[1][2])
    assert np.array_equal(seen[0][3], seen[1][3])

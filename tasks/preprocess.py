"""Tasks of the preprocess flow, and the way every other flow comes to its dataset."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segnets.config.ids import dataset_id, digest
from segnets.config.preprocess import PreprocessConfig
from segnets.store.bag import read_done
from segnets.store.base import Store
from segnets.store.open import open_source, open_store
from tasks.runs import step

SYNTHETIC = "synthetic"
NAME = "streets"
"""Name of a synthetic dataset that has no --name."""

logger = logging.getLogger("segnets.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetResult:
    """What the preprocess flow says about a dataset."""

    dataset: str
    clips: dict[str, int]
    frames: int
    skipped: int
    problems: dict[str, int]
    reused: bool
    bytes: int


@step(task_run_name="find-streets")
def find_streets(config: PreprocessConfig) -> DatasetResult | None:
    """The synthetic dataset of this config, if the store has it; nothing is drawn to find out."""
    if config.data != SYNTHETIC or config.check_only:
        return None
    store = open_store(config.store, write=False, wait_s=60 * config.store_wait)
    found = find_dataset(store, streets_id(config))
    if found is not None:
        logger.info("dataset %s is in the store already", found.dataset)
    return found


@step(task_run_name="draw-streets")
def draw_streets(config: PreprocessConfig) -> str:
    """The folder or URL to read: --data, or the street scenes of this config, drawn if need be."""
    if config.data != SYNTHETIC:
        return config.data
    return str(streets_at(config))


@step(task_run_name="convert")
def convert(config: PreprocessConfig, url: str) -> DatasetResult:
    """Look at every file, then write the shards that are not there yet."""
    from segnets.data.convert import make_dataset

    wait_s = 60 * config.store_wait
    # The store first: it is quicker to hear now that it refuses than after a look at every file.
    store = None if config.check_only else open_store(config.store, write=True, wait_s=wait_s)
    synthetic = config.data == SYNTHETIC
    summary = make_dataset(
        open_source(url, wait_s=wait_s),
        config,
        store,
        name=config.name or (NAME if synthetic else name_of(url)),
        sources_salt=salt() if synthetic else None,
    )
    return DatasetResult(
        dataset=summary.dataset,
        clips=dict(summary.clips),
        frames=summary.frames,
        skipped=summary.skipped,
        problems=dict(summary.problems),
        reused=summary.reused,
        bytes=summary.bytes,
    )


def make_streets(config: PreprocessConfig) -> DatasetResult:
    """The synthetic dataset of this config, made if it is not there."""
    assert config.data == SYNTHETIC
    return find_streets(config) or convert(config, draw_streets(config))


def find_dataset(store: Store, dataset: str) -> DatasetResult | None:
    """What the store knows of a dataset that is complete; None if it has none of this id."""
    done = read_done(store, "dataset", dataset)
    if done is None:
        return None
    metrics: dict[str, Any] = dict(done.item.metrics)
    return DatasetResult(
        dataset=dataset,
        clips={split: metrics["clips"].get(split, 0) for split in ("train", "val", "test")},
        frames=metrics["frames"],
        skipped=metrics["skipped"],
        problems=metrics["problems"],
        reused=True,
        bytes=metrics["bytes"],
    )


def streets_at(config: PreprocessConfig) -> Path:
    """The folder of the street scenes of this config, under $SEGNETS_DATA (./data), drawn if need be."""
    from segnets.synthetic.write import split_scenes, streets_folder, write_streets

    root = Path(os.environ.get("SEGNETS_DATA") or "data").absolute()
    size = config.source_hw()
    frames = 1 + (config.clip_frames - 1) * config.stride  # all that lie between the first and last
    name = streets_folder(size=size, scenes=config.scenes, clip_frames=frames, past=config.past)
    return write_streets(
        root / name,
        clips=split_scenes(config.scenes),
        size=size,
        clip_frames=frames,
        past=config.past,
    )


def streets_id(config: PreprocessConfig) -> str:
    """The dataset id of street scenes: of the config and of the generator's version."""
    return dataset_id(config, config.name or NAME, digest(salt()))


def salt() -> str:
    """What stands for the content of street scenes in their dataset's id."""
    from segnets.synthetic.write import GENERATOR_VERSION

    return f"streets-{GENERATOR_VERSION}"


def name_of(url: str) -> str:
    """A dataset's name from the last part of its folder or URL: small letters, digits, underscores."""
    last = url.rstrip("/").rpartition("/")[2] or Path(url).absolute().name
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in last.lower())
    return name[:40].strip("_") or "frames"


def settings_for(config: Any) -> PreprocessConfig:
    """The default synthetic dataset, made where and as quietly as this trial's flow wants it."""
    return replace(
        PreprocessConfig(),
        store=config.store,
        quiet=config.quiet,
        store_wait=config.store_wait,
    )

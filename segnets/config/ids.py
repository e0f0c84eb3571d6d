"""Ids: canonical JSON, digests, and what stays outside an id.

An id is readable in its front and exact in its end: `MODEL-8hex`, the first 8 digits of a SHA-256 over
canonical JSON. The full digest is `config_sha256` and stands in every sealed entry, so a short id that
meets another config is refused. Only validated configs are digested (lr=1 and 1.0 are one id).
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, cast

from segnets.config.build import inside_types
from segnets.config.grid import GridConfig
from segnets.config.preprocess import PreprocessConfig
from segnets.config.train import TrainConfig

NEUTRAL: Mapping[str, Any] = {}
"""Fields added after version 1 -> the value with which they stay out of the digest."""

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def canonical_json(value: Any) -> bytes:
    """One byte string for equal values: sorted keys, no spaces, ASCII, no NaN."""
    return _CANONICAL.encode(value).encode()


def digest(value: Any) -> str:
    """SHA-256 over the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def inside(config: Any) -> dict[str, Any]:
    """The fields of a config that stand in its id, groups as nested dicts."""
    kept: dict[str, Any] = {}
    for name, type_ in inside_types(cast("Any", type(config))).items():
        value = getattr(config, name)
        if name in NEUTRAL and NEUTRAL[name] == value:
            continue
        kept[name] = inside(value) if type_ is type(value) and is_dataclass(value) else value
    return kept


def flat_settings(config: Any) -> dict[str, Any]:
    """The fields in the id under their dotted names, as they are typed: {"augment.gamma": 0.5}."""

    def flatten(group: Mapping[str, Any], front: str) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, value in group.items():
            if isinstance(value, Mapping):
                flat.update(flatten(value, f"{front}{name}."))
            else:
                flat[front + name] = value
        return flat

    return flatten(inside(config), "")


def dataset_sha256(config: PreprocessConfig, sources: str) -> str:
    """Digest of a dataset from its config and the digest of its sources.

    `sources` is the digest of the content of all source files, or of the generator's version for
    synthetic streets. Where the data lies is no part of it, what it holds is.
    """
    settings = inside(config)
    if settings["data"] != "synthetic":
        settings = {**settings, "data": "files"}
        for only_synthetic in ("source_size", "scenes", "past"):
            settings.pop(only_synthetic)
    settings.pop("name")
    return digest({"kind": "dataset", "config": settings, "sources": sources})


def dataset_id(config: PreprocessConfig, name: str, sources: str) -> str:
    """NAME-HxW-Tf-8hex."""
    short = dataset_sha256(config, sources)[:8]
    return f"{name}-{config.height}x{config.width}-{config.clip_frames}f-{short}"


def trial_sha256(config: TrainConfig) -> str:
    """Digest of a trial: dataset id and every field in the id; nothing of the machine enters."""
    return digest({"kind": "trial", "config": inside(config)})


def trial_id(config: TrainConfig) -> str:
    """MODEL-8hex."""
    return f"{config.model}-{trial_sha256(config)[:8]}"


def grid_sha256(config: GridConfig) -> str:
    """Digest of a grid: the fields that are axes, and the set of its trials.

    The trials stand for the base config and the axes as sets, and for the constraints too: those that
    leave out a point make another grid, those that are written in another way make none.
    """
    ids = sorted(set(trial_ids(config)))
    return digest({"kind": "grid", "axes": sorted(config.axes()), "trials": ids})


@functools.lru_cache(maxsize=4)  # asked for by every step of the flow
def trial_ids(config: GridConfig) -> tuple[str, ...]:
    """The ids of a grid's trials, in their order."""
    return tuple(trial_id(trial) for trial in config.trials())


def grid_id(config: GridConfig) -> str:
    """grid-8hex."""
    return f"grid-{grid_sha256(config)[:8]}"


def eval_sha256(weights_sha256: str, dataset: str, split: str, settings: Mapping[str, Any]) -> str:
    """Digest of an evaluation. `weights_sha256` is of the masks where they come from elsewhere."""
    return digest(
        {
            "kind": "eval",
            "weights": weights_sha256,
            "dataset": dataset,
            "split": split,
            "settings": dict(settings),
        }
    )


def eval_id(trial: str | None, split: str, sha256: str) -> str:
    """TRIAL-SPLIT-8hex; of foreign masks ext-SPLIT-8hex."""
    return f"{trial or 'ext'}-{split}-{sha256[:8]}"


def run_sha256(weights_sha256: str, source: str, out: str, settings: Mapping[str, Any]) -> str:
    """Digest of a prediction job: the same job every night."""
    return digest(
        {
            "kind": "run",
            "weights": weights_sha256,
            "source": source,
            "out": out,
            "settings": dict(settings),
        }
    )


def run_id(sha256: str) -> str:
    """pred-8hex."""
    return f"pred-{sha256[:8]}"

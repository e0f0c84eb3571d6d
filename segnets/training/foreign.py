"""Weights from a file of somebody's: of one of our models, or of the student project segnets grew from.

What is read: a weights.safetensors of ours, a state dict saved by torch, or the student's .pt (a dict with
`state_dict`, `use_psp` as the *string* "True" or "False", and lists of losses). A file is not believed: it
is looked through before torch reads it, no code of it runs, and every tensor must have name, shape and
dtype of the model. Which of our models it is, the names say.
"""

import io
import itertools
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

import numpy as np
import torch
from torch import Tensor

from segnets.config.build import build as build_config
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError, Corrupt
from segnets.models.registry import MODELS, build
from segnets.training.archive import check_archive
from segnets.training.state import check_tensors, contiguous_like

STUDENT = frozenset({"state_dict", "use_psp"})
"""Keys by which the student's file is known."""
_NUMBERS = re.compile(r"numpy\.(_?core\.multiarray scalar|dtype)|numpy dtype|_codecs encode")
"""What its lists of losses may be made of besides plain numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """What a file holds: tensors that fit `settings`, and what it says of its training."""

    settings: Mapping[str, Any]
    """model, psp, temporal, as in TrainConfig."""
    tensors: Mapping[str, Tensor]
    over_batch: bool = False
    """Whether its LSTM went over the batch when it was trained."""
    trained: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its training that the file names: lr, batch_size."""
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """train, val: the mean loss of each epoch."""


def read_weights(data: bytes, where: str) -> Foreign:
    """The weights of a file, and of which model they are.

    Raises ConfigError for a file that is none, or holds weights of no model of ours.
    """
    content = _content(data, where)
    tensors, over_batch, trained, losses = content, False, {}, {}
    if content.keys() >= STUDENT:
        tensors, over_batch = content["state_dict"], True
        trained = {
            name: content[name]
            for name in ("lr", "batch_size")
            if isinstance(content.get(name), int | float)
        }
        losses = {
            split: _finite(content.get(name))
            for split, name in (("train", "loss_list"), ("val", "val_loss_list"))
        }
    elif isinstance(content.get("state_dict"), Mapping):
        tensors = content["state_dict"]
    if not isinstance(tensors, Mapping) or not all(isinstance(name, str) for name in tensors):
        raise _unfit("it holds no state dict", where)
    # saved from DataParallel: each name has a prefix
    prefix = "module." if all(name.startswith("module.") for name in tensors) else ""
    found = {name.removeprefix(prefix): one for name, one in tensors.items()}
    settings, built = _model_of(found, where)
    for name, expected in built.items():  # layouts are put right, of what has the right size only
        one = found[name]
        if isinstance(one, Tensor) and one.shape == expected.shape:
            found[name] = one.clone(memory_format=torch.contiguous_format)
    try:
        check_tensors("weights", found, built, where)
    except Corrupt as error:
        raise _unfit(error.what, where) from None
    return Foreign(
        settings=settings,
        tensors=found,
        over_batch=over_batch and settings["model"] == "resnet_lstm",
        trained=trained,
        losses=losses,
    )


def _content(data: bytes, where: str) -> Mapping[str, Any]:
    """What the file holds, a dict: of tensors, or of tensors and what was written beside them."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return dict(load(data))
        except (SafetensorError, ValueError, KeyError, json.JSONDecodeError):
            raise _unfit(
                "it is neither a safetensors file nor a zip archive of torch.save, as torch writes "
                "them since 1.6",
                where,
            ) from None
    try:
        check_archive(data, where, also=_NUMBERS)
    except Corrupt as error:
        raise _unfit(error.what, where) from None
    try:
        with torch.serialization.safe_globals(_numpy_names()):
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # a hostile file raises any of five kinds
        raise _unfit(f"torch cannot read it ({type(error).__name__})", where) from None
    if not isinstance(content, Mapping):
        raise _unfit("it holds no state dict", where)
    return content


def _numpy_names() -> list[Any]:
    import _codecs

    from numpy._core import multiarray

    return [
        multiarray.scalar,
        (multiarray.scalar, "numpy.core.multiarray.scalar"),  # numpy 1's name
        np.dtype,
        np.dtypes.Float64DType,
        np.dtypes.Float32DType,
        _codecs.encode,
    ]


def _model_of(found: Mapping[str, Any], where: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings whose model has just these names, and what it would be built of."""
    for settings in _all_models():
        config = build_config(TrainConfig, {**settings, "dataset": "any"})
        with torch.device("meta"):
            names = set(build(config).state_dict())
        if names == set(found):
            return settings, contiguous_like(build(config))
    shown = ", ".join(sorted(found)[:3])
    raise ConfigError(
        "these are the weights of no model of segnets",
        f"{where}: {len(found)} tensors, {shown}, ...",
        f"It knows {', '.join(MODELS)}; README says how to add one.",
    )


def _all_models() -> Iterator[dict[str, Any]]:
    """Every choice that decides which tensors a model has; no two have the same names (tested)."""
    temporal = get_args(get_type_hints(TrainConfig)["temporal"])
    for model, psp, past in itertools.product(MODELS, (True, False), temporal):
        settings = {"model": model, "psp": psp, "temporal": past}
        try:
            build_config(TrainConfig, {**settings, "dataset": "any"})
        except ConfigError:
            continue  # a model that has no such choice
        yield settings


def _finite(values: object) -> list[float]:
    """The numbers of a list that somebody else wrote; NaN where it holds something else."""
    if not isinstance(values, list | tuple):
        return []
    numbers = []
    for value in values[:100_000]:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        numbers.append(number)
    return numbers


def _unfit(what: str, where: str) -> ConfigError:
    what = what.removeprefix("a checkpoint cannot be used: ")
    return ConfigError(
        f"the file cannot be adopted: {what}", where, "Give weights of a model that segnets knows."
    )

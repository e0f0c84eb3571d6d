"""Scores of labelIds that any tool has written, beside the truth of a Cityscapes folder.

The pixels are compared as the official evaluator compares them: at the truth's size, labelIds as they
stand in the file, everything that is none of the 19 classes a miss on a labelled pixel.
"""

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from segnets.data.decode import PngFault, decode_label_ids
from segnets.errors import ConfigError, DatasetError
from segnets.inference.masks import Ids, to_train_ids
from segnets.labels import KNOWN_LABEL_IDS, NUM_CLASSES
from segnets.metrics.confusion import COLUMNS, confusion_np
from segnets.metrics.scores import Counts, summary
from segnets.signals import catch_stop
from segnets.store.base import Source
from segnets.store.retry import hurry_all

logger = logging.getLogger("segnets.evaluate")

_TRUTH = re.compile(r"(?P<name>.+_\d{6}_\d{6})_gtFine_labelIds\.png")
_FRAME = re.compile(r"(?P<name>.+?_\d{6}_\d{6})(?![0-9]).*\.png", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Scores of a folder of masks, the counts behind them, and a digest of the bytes of both sides."""

    scores: dict[str, Any]
    counts: Counts
    frames: int
    digest: str


def score_label_ids(truth: Source, predictions: Source, split: str | None) -> LabelScore:
    """Score every labelled frame that has a mask, searched by CITY_SEQ_FRAME.

    `truth` holds gtFine; `predictions` is any folder of grey PNGs of labelIds. Raises ConfigError
    for a name found twice, DatasetError where nothing matches or a mask cannot be compared.
    """
    labels = _truth_keys(truth, split)
    masks = _mask_keys(predictions, split, set(labels))
    shared = sorted(masks)
    if not shared:
        raise DatasetError(
            f"no mask has the name of one of the {len(labels)} labelled frames",
            predictions.url,
            "A mask's file name begins with CITY_SEQ_FRAME, as the frame's does.",
        )
    if len(shared) < len(labels):
        logger.warning("%d labelled frames have no mask", len(labels) - len(shared))
    counts = np.zeros((NUM_CLASSES, COLUMNS), np.int64)
    digest = hashlib.sha256()
    with catch_stop(hurry_all(truth.patience, predictions.patience)) as stop:
        for name in shared:
            data = predictions.get(masks[name])
            label = truth.get(labels[name])
            both = (hashlib.sha256(one).hexdigest() for one in (data, label))
            digest.update(f"{name} {' '.join(both)}\n".encode())
            where = f"{predictions.url}/{masks[name]}"
            predicted = _decoded(data, where)
            unknown = sorted(set(np.unique(predicted).tolist()) - KNOWN_LABEL_IDS)
            if unknown:
                raise DatasetError(
                    f"pixels of value {unknown[0]} are no labelId",
                    where,
                    "Write labelIds (0 to 33, road is 7), not trainIds or colours.",
                )
            expected = _decoded(label, f"{truth.url}/{labels[name]}")
            if predicted.shape != expected.shape:
                raise DatasetError(
                    f"a mask has {_size(predicted)} pixels, its truth {_size(expected)}",
                    where,
                    "Write masks at the original size.",
                )
            counts += confusion_np(to_train_ids(predicted), to_train_ids(expected))
            stop.raise_if_requested()
    return LabelScore(summary(counts), counts, len(shared), digest.hexdigest())


def _truth_keys(source: Source, split: str | None) -> dict[str, str]:
    """CITY_SEQ_FRAME -> key of its labelIds."""
    found: dict[str, list[str]] = defaultdict(list)
    for listed in source.list("gtFine/"):
        match = _TRUTH.fullmatch(listed.key.rpartition("/")[2])
        if match and (split is None or split in listed.key.split("/")[:-1]):
            found[match["name"]].append(listed.key)
    if not found:
        raise DatasetError(
            "there is no truth to compare with" + (f" in split {split}" if split else ""),
            source.url,
            "--data wants the folder that holds gtFine.",
        )
    return _single(found, source.url)


def _mask_keys(source: Source, split: str | None, wanted: set[str]) -> dict[str, str]:
    """CITY_SEQ_FRAME -> key of its mask, for the wanted names.

    Where one name has a file of labelIds beside pictures for people (as predict writes them), the
    labelIds are meant. Files below a folder named like another split are of that one.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for listed in source.list():
        match = _FRAME.fullmatch(listed.key.rpartition("/")[2])
        if match and match["name"] in wanted:
            found[match["name"]].append(listed.key)
    chosen: dict[str, list[str]] = {}
    for name, keys in found.items():
        ids = [key for key in keys if "labelids" in key.rpartition("/")[2].lower()] or keys
        in_split = [key for key in ids if split in key.split("/")[:-1]]
        chosen[name] = in_split or ids
    return _single(chosen, source.url)


def _single(found: dict[str, list[str]], url: str) -> dict[str, str]:
    """The one key of each name; ConfigError where there are more."""
    for name, keys in sorted(found.items()):
        if len(keys) > 1:
            raise ConfigError(
                f"{name} is found {len(keys)} times",
                f"{url}: {_few(keys)}",
                "Say which is meant by --split, or give the folder that holds it once.",
            )
    return {name: keys[0] for name, keys in found.items()}


def _decoded(data: bytes, where: str) -> Ids:
    try:
        return decode_label_ids(data, where)
    except PngFault as fault:
        raise DatasetError(fault.detail, where, "Write 8-bit grey PNGs of labelIds.") from None


def _size(ids: Ids) -> str:
    return f"{ids.shape[1]}x{ids.shape[0]}"


def _few(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)[:3])

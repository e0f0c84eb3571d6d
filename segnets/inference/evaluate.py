"""Model and clips to counts, scores and the tables of an evaluation.

Letters: N clips, T frames, H W network size, Ho Wo original size, K = 19 classes.
`score_split` is the quick way for training: batches at network size. `evaluate_split` makes everything
that is kept. At original size the *logits* are upsampled and then decided; resized masks or labels
would give other numbers. `decide` is the one function by which a frame is decided, here and in
predictor.py, so masks on disk and scores agree to the pixel.
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from segnets.data.augment import normalise
from segnets.data.batches import iter_batches
from segnets.data.reader import ClipDataset
from segnets.errors import DatasetError
from segnets.inference.device import Runtime
from segnets.inference.layers import LayerPack, sample_row, samples_table
from segnets.inference.masks import black_out, to_train_ids
from segnets.labels import NUM_CLASSES
from segnets.losses import cross_entropy, loss_weight
from segnets.metrics.confusion import COLUMNS, confusion, confusion_np
from segnets.metrics.scores import Counts, summary
from segnets.signals import catch_stop
from segnets.store.tables import to_parquet

logger = logging.getLogger("segnets.evaluate")

EVAL_VERSION = 1


@dataclass(frozen=True, slots=True)
class SplitScore:
    """Loss and counts (19, 20) of a split at network size, as sums that add over shares of it."""

    loss_sum: float
    """Over the labelled pixels, each by the weight of its class."""
    weight_sum: float
    counts: Counts

    @property
    def loss(self) -> float:
        """Mean over the labelled pixels."""
        return self.loss_sum / self.weight_sum if self.weight_sum else 0.0


@dataclass(frozen=True, slots=True)
class EvalTables:
    """Scores at both sizes, and the files of an evaluation, whole and ready to be put."""

    network: dict[str, Any]
    original: dict[str, Any] | None
    num_samples: int
    eval_json: bytes
    samples_parquet: bytes
    confusion_parquet: bytes
    layers_pack: bytes

    def files(self) -> dict[str, bytes]:
        """Name -> bytes, as the app looks for them."""
        return {
            "eval.json": self.eval_json,
            "samples.parquet": self.samples_parquet,
            "confusion.parquet": self.confusion_parquet,
            "layers.pack": self.layers_pack,
        }


def score_split(
    module: nn.Module,
    dataset: ClipDataset,
    split: str,
    *,
    runtime: Runtime,
    batch_size: int,
    weights: Tensor | None = None,
    on_batch: Callable[[int, int], None] | None = None,
    order: Sequence[int] | None = None,
) -> SplitScore:
    """Loss and counts of a split at network size; leaves the module in eval mode.

    `weights` are class weights of the loss. `on_batch` gets the samples seen and their number after
    each batch, and may raise to stop. `order` names the samples; by default it is all of them.
    """
    module.eval()
    device = runtime.torch_device
    weights = None if weights is None else weights.to(device)
    counts = torch.zeros(NUM_CLASSES, COLUMNS, dtype=torch.int64, device=device)
    loss_sum = weight_sum = 0.0
    order = range(len(dataset.clips[split])) if order is None else order
    seen = 0
    batches = iter_batches(dataset, split, batch_size=batch_size, order=order)
    with torch.inference_mode():
        for batch in batches:
            frames, labels = batch.frames.to(device), batch.labels.to(device)
            with runtime.autocast():
                logits = module(normalise(frames, dataset.mean, dataset.std))  # (N, K, H, W)
            weight = float(loss_weight(labels, weights))
            loss_sum += float(cross_entropy(logits, labels, weights)) * weight
            weight_sum += weight
            counts += confusion(logits.argmax(1), labels)
            seen += len(batch.indices)
            if on_batch is not None:
                on_batch(seen, len(order))
    return SplitScore(loss_sum, weight_sum, counts.cpu().numpy())


@torch.inference_mode()
def frame_logits(
    module: nn.Module,
    clip: NDArray[np.uint8],
    mean: Sequence[float],
    std: Sequence[float],
    runtime: Runtime,
) -> Tensor:
    """Logits (1, K, H, W) of the last frame of a clip (T, H, W, 3): batch 1, whole window.

    The module must be in eval mode and on the runtime's device.
    """
    assert not module.training
    frames = torch.from_numpy(clip)[None].to(runtime.torch_device)  # (1, T, H, W, 3)
    with runtime.autocast():
        logits: Tensor = module(normalise(frames, list(mean), list(std)))
    return logits


@torch.inference_mode()
def decide(
    logits: Tensor,
    size: tuple[int, int],
    *,
    min_confidence: float = 0.0,
    with_confidence: bool = True,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """TrainIds (Ho, Wo) uint8 and their probability (Ho, Wo), from logits (1, K, H, W).

    The id is 255 where the probability is below `min_confidence`. The probability is half of the work:
    where nothing asks for it, it is 1 everywhere.
    """
    if tuple(logits.shape[-2:]) != size:
        logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
    pixels = logits[0].permute(1, 2, 0)  # (Ho, Wo, K): no copy, logits are channels_last
    best, ids = pixels.max(-1)
    train_ids = ids.to(torch.uint8).cpu().numpy()
    if min_confidence <= 0 and not with_confidence:
        return train_ids, np.ones(size, np.float32)
    # the softmax of the best: exp(best) / sum(exp), without a second array of K maps
    confidence = (best - pixels.logsumexp(-1)).exp().cpu().numpy()
    return black_out(train_ids, confidence < min_confidence), confidence


def evaluate_split(
    module: nn.Module,
    dataset: ClipDataset,
    split: str,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    runtime: Runtime,
    min_confidence: float,
    meta: Mapping[str, Any],
    original: bool = True,
    on_sample: Callable[[int, int], None] | None = None,
    hurry: Callable[[float], None] | None = None,
) -> EvalTables:
    """Scores of a split at network and, if asked, at original size, with one table row a sample.

    `mean` and `std` are those that the module was trained with, also where the dataset is another one.
    Pixels below `min_confidence` count as none of the classes, at both sizes. The tables hold the
    network size. `meta` goes into eval.json (trial, dataset, weights_sha256). Raises DatasetError
    where the split has no labels, Stopped on a signal; `hurry` then shortens the waits for its store.
    """
    clips = dataset.clips.get(split, ())
    if not any(clip.label_row >= 0 for clip in clips):
        raise DatasetError(
            f"split {split} has no labels to compare with",
            f"dataset {dataset.id}",
            "Choose another --split.",
        )
    module.eval().to(runtime.torch_device)
    by_city: dict[str, Counts] = defaultdict(_no_counts)
    original_counts = _no_counts()
    rows: list[dict[str, Any]] = []
    pack = LayerPack()
    with catch_stop(hurry) as stop:
        for index, clip in enumerate(clips):
            frames, labels = dataset.read(split, [index])
            logits = frame_logits(module, frames[0], mean, std, runtime)
            ids, confidence = decide(
                logits, (dataset.height, dataset.width), min_confidence=min_confidence
            )
            counts = confusion_np(ids, labels[0])
            by_city[clip.city] += counts
            places = pack.add(ids, confidence)
            rows.append(sample_row(clip, counts, confidence) | places)
            if original and clip.label_row >= 0:
                ids, _ = decide(
                    logits,
                    (clip.height, clip.width),
                    min_confidence=min_confidence,
                    with_confidence=False,
                )
                truth = to_train_ids(dataset.original_label_ids(split, index))
                original_counts += confusion_np(ids, truth)
            if on_sample is not None:
                on_sample(index + 1, len(clips))
            stop.raise_if_requested()
    network = summary(sum(by_city.values(), _no_counts()))
    at_original = summary(original_counts) if original else None
    content = {
        "v": EVAL_VERSION,
        **meta,
        "split": split,
        "min_confidence": min_confidence,
        "samples": len(rows),
        "network": network,
        "original": at_original,
        "env": runtime.env(),
        "time": time.time(),
    }
    return EvalTables(
        network=network,
        original=at_original,
        num_samples=len(rows),
        eval_json=json.dumps(content, sort_keys=True).encode(),
        samples_parquet=to_parquet(samples_table(rows), EVAL_VERSION),
        confusion_parquet=to_parquet(_confusion_table(by_city, split), EVAL_VERSION),
        layers_pack=pack.bytes(),
    )


def _no_counts() -> Counts:
    return np.zeros((NUM_CLASSES, COLUMNS), np.int64)


def _confusion_table(by_city: Mapping[str, Counts], split: str) -> Any:
    """One row a city: its counts, 380 numbers row by row."""
    import pyarrow as pa

    cities = sorted(by_city)
    return pa.table(
        {
            "city": pa.array(cities, pa.string()),
            "split": pa.array([split] * len(cities), pa.string()),
            "counts": pa.array(
                [by_city[city].reshape(-1) for city in cities], pa.list_(pa.int64())
            ),
        }
    )

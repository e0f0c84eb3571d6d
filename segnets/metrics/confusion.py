"""Counts that every score comes from: (19, 20) int64, rows truth, columns prediction.

Column 19 holds labelled pixels that were predicted as none of the 19 classes. Without it the class
values are not those of the official evaluator (off by 0.01 in a test). Counts add over batches, cities
and ranks; a score divides once, at the end, so the batch size cannot change it.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segnets.labels import NONE_INDEX, NUM_CLASSES

COLUMNS = NUM_CLASSES + 1


def confusion(predicted: Tensor, truth: Tensor) -> Tensor:
    """Counts (19, 20) int64, on the tensors' device, of two integer maps of one shape.

    `predicted` holds trainIds, any value from 19 on meaning none of the classes; `truth` holds
    trainIds, and a pixel whose truth is none of the 19 is dropped, whatever is predicted there.
    """
    assert predicted.shape == truth.shape, (predicted.shape, truth.shape)
    rows = truth.flatten().to(torch.int64)
    rows = torch.where((rows < 0) | (rows >= NUM_CLASSES), NUM_CLASSES, rows)  # dropped below
    columns = predicted.flatten().to(torch.int64).clamp_max(NONE_INDEX)
    counts = torch.bincount(rows * COLUMNS + columns, minlength=COLUMNS * COLUMNS)
    return counts.view(COLUMNS, COLUMNS)[:NUM_CLASSES]


def confusion_np(predicted: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.int64]:
    """`confusion` for integer arrays."""
    counts = confusion(torch.from_numpy(predicted), torch.from_numpy(truth))
    array: NDArray[np.int64] = counts.numpy()
    return array

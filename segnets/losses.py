"""Losses over the labelled pixels of a batch.

Each takes logits (N, K, H, W) float32, labels (N, H, W) int64 with 255 where nothing is labelled, and
class weights (K,) or None, and returns a scalar. A batch without a labelled pixel gives 0 with zero
gradient, not NaN: scale-and-crop makes such batches on real data.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from segnets.labels import IGNORE_INDEX

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy: weighted sum over labelled pixels, divided by the sum of their weights.

    A class of weight 0 counts neither above nor below the line.
    """
    labels = labels.long()
    if logits.is_cuda:
        # pixels as rows: the two-dimensional form of this loss has no fixed order on CUDA
        rows = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
        total = F.cross_entropy(
            rows, labels.flatten(), weights, ignore_index=IGNORE_INDEX, reduction="sum"
        )
    else:
        # contiguous: 35 ms against 51 ms with channels_last logits (batch 2, 224x448, forward and back)
        total = F.cross_entropy(
            logits.contiguous(), labels, weights, ignore_index=IGNORE_INDEX, reduction="sum"
        )
    return total / loss_weight(labels, weights).clamp_min(torch.finfo(total.dtype).tiny)


def loss_weight(labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """What `cross_entropy` divided by: the labelled pixels, each by the weight of its class.

    Losses of several batches add up to that of their union as sum(loss * weight) / sum(weight).
    """
    labelled = labels != IGNORE_INDEX
    if weights is None:
        return labelled.sum().float()
    # the table has an entry for every byte, so that no boolean indexing is needed
    table = torch.zeros(IGNORE_INDEX + 1, dtype=torch.float64, device=labels.device)
    table[: len(weights)] = weights.double()
    counts = torch.bincount(labels.flatten().long(), minlength=len(table))
    return (counts * table).sum().float()


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": cross_entropy,
}

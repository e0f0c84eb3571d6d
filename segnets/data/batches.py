"""Batches of clips in reused buffers, read ahead by threads.

Position is one integer, the samples already seen: a run that stopped anywhere goes on at the exact
sample, at any batch size. The last batch of an epoch is smaller; no clip is dropped.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from segnets.data.reader import ClipDataset


@dataclass(frozen=True, slots=True)
class Batch:
    """frames (N, T, H, W, 3) uint8 RGB, labels (N, H, W) uint8 trainIds; valid until the next batch."""

    frames: torch.Tensor
    labels: torch.Tensor
    indices: list[int]
    keys: list[str]
    """SPLIT/NAME of each sample."""


def iter_batches(
    dataset: ClipDataset,
    split: str,
    *,
    batch_size: int,
    order: Sequence[int],
    start: int = 0,
    workers: int = 1,
    pin: bool = False,
    share: Callable[[Sequence[int]], list[int]] = list,
) -> Iterator[Batch]:
    """Batches of the samples `order[start:]`, `batch_size` at a time.

    `workers` threads read ahead, one batch each; 0 reads when asked. `pin` puts the buffers into
    pinned memory, for copies to a GPU. `share` takes this process's samples out of those of a batch,
    one or more. Buffers are reused: a batch is valid until the next is taken.
    """
    assert batch_size > 0
    remaining = [int(index) for index in order[start:]]
    starts = range(0, len(remaining), batch_size)
    chunks = [share(remaining[at : at + batch_size]) for at in starts]
    if not chunks:
        return
    clip = (dataset.clip_frames, dataset.height, dataset.width, 3)
    rows = max(len(chunk) for chunk in chunks)
    # one buffer is with the caller, the others are being filled
    buffers = [
        (
            torch.empty((rows, *clip), dtype=torch.uint8, pin_memory=pin),
            torch.empty((rows, *clip[1:3]), dtype=torch.uint8, pin_memory=pin),
        )
        for _ in range(min(workers + 1, len(chunks)))
    ]
    records = dataset.clips[split]

    def fill(number: int) -> Batch:
        indices = chunks[number]
        frames, labels = buffers[number % len(buffers)]
        dataset.read(split, indices, frames.numpy(), labels.numpy())
        keys = [f"{split}/{records[index].name}" for index in indices]
        return Batch(frames[: len(indices)], labels[: len(indices)], indices, keys)

    if workers == 0:
        for number in range(len(chunks)):
            yield fill(number)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
        ahead: deque[Future[Batch]] = deque()
        try:
            for number in range(len(chunks)):
                # the caller is done with batch number - 1: its buffer may be filled again
                for more in range(number + len(ahead), min(number + workers + 1, len(chunks))):
                    ahead.append(pool.submit(fill, more))
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

"""The order of samples, and every random draw, as a pure function of numbers.

`hash64(seed, epoch, index, field)` is a counter-based hash of our own: the finaliser of SplitMix64
(Steele, Lea, Flood 2014) folded over the four numbers. It depends on no library's stream, so an order
of today is the order of every later version (numpy promises no such thing for its generators), any
batch size or thread count sees the same order, and resuming is two integers: epoch and samples seen.
A golden test keeps its values.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FIELD_ORDER = 0
"""Field of the permutation; augmentation takes the fields from 1 up."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def hash64(seed: int, epoch: int, index: ArrayLike, field: int) -> NDArray[np.uint64]:
    """64 well mixed bits for each index, as an array of index's shape (at least 1-d).

    h = 0; for each of seed, epoch, index, field: h = mix((h ^ number) + golden), all modulo 2^64,
    where mix is SplitMix64's finaliser. Numbers are taken modulo 2^64.
    """
    mixed = np.zeros(1, dtype=np.uint64)
    for number in (seed, epoch, index, field):
        # arrays, not scalars: numpy wraps arrays silently and warns about scalars
        words = np.atleast_1d(np.asarray(number)).astype(np.uint64)
        mixed = (mixed ^ words) + _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def uniform(seed: int, epoch: int, index: int, field: int) -> float:
    """A number in [0, 1) from the upper 53 bits of the hash."""
    return float(hash64(seed, epoch, index, field)[0] >> np.uint64(11)) * 2.0**-53


def epoch_order(num: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The permutation of `num` samples in this epoch: indices sorted by hash, ties by index."""
    hashes = hash64(seed, epoch, np.arange(num, dtype=np.uint64), FIELD_ORDER)
    return np.argsort(hashes, kind="stable").astype(np.int64)

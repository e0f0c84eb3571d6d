import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segnets.data.order import epoch_order, hash64, uniform

numbers = st.integers(0, 2**31 - 1)


def test_the_hash_keeps_its_golden_values():
    # computed once by hand-written integer arithmetic; a change breaks the resume of older trials
    assert [hex(one) for one in hash64(0, 1, [0, 1, 2], 0).tolist()] == [
        "0xd1c0270687984b37",
        "0xfaa6282a95da9f89",
        "0x7f5d1226a94f47ce",
    ]
    assert epoch_order(10, 7, 3).tolist() == [8, 9, 7, 0, 4, 5, 6, 2, 1, 3]


def plain_hash(*numbers):
    """The same hash in Python's integers."""
    mask, mixed = 2**64 - 1, 0
    for number in numbers:
        mixed = ((mixed ^ number) + 0x9E3779B97F4A7C15) & mask
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        mixed ^= mixed >> 31
    return mixed


@given(numbers, numbers, numbers, st.integers(0, 10))
def test_the_hash_is_the_one_of_its_docstring(seed, epoch, index, field):
    assert int(hash64(seed, epoch, index, field)[0]) == plain_hash(seed, epoch, index, field)


@given(st.integers(0, 500), numbers, st.integers(1, 100))
def test_an_order_is_a_permutation(num, seed, epoch):
    order = epoch_order(num, seed, epoch)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(num))


@given(numbers, st.integers(1, 100))
def test_another_epoch_or_seed_is_another_order(seed, epoch):
    here = epoch_order(50, seed, epoch).tolist()
    assert here != epoch_order(50, seed, epoch + 1).tolist()
    assert here != epoch_order(50, seed + 1, epoch).tolist()


def test_draws_are_uniform_in_zero_to_one():
    draws = np.array([uniform(3, 1, index, 4) for index in range(2000)])
    assert draws.min() >= 0
    assert draws.max() < 1
    shares = np.histogram(draws, bins=10, range=(0, 1))[0] / len(draws)
    assert np.abs(shares - 0.1).max() < 0.03


def test_every_place_is_as_likely_for_a_sample():
    first = np.array([epoch_order(10, seed, 1)[0] for seed in range(2000)])
    assert np.abs(np.bincount(first, minlength=10) / 2000 - 0.1).max() < 0.03

"""A few kills of a search by halving."""

from crash import halving


def test_a_killed_search_ends_with_the_same_survivors_and_bits():
    found = halving.run(1, 1, seed=0, store="folder", sample=4)
    assert (found["ok"], found["faults"]) == (4, [])

"""One rule is taken away each time; all of them where there is time."""

import random

import pytest

from crash import mutants, tiny
from crash.rules import NOT_NEEDED, RULES


def test_a_rule_that_is_taken_away_is_noticed():
    with tiny.prepare() as made:
        rule = next(rule for rule in RULES if rule.says == "blobs before their entry")
        assert mutants.hunt(rule, made, random.Random(0))


def test_a_rule_is_named_once():
    names = [rule.says for rule in RULES]
    assert len({*names, *NOT_NEEDED}) == len(names) + len(NOT_NEEDED) >= 36


@pytest.mark.slow
def test_every_rule_that_is_taken_away_is_noticed():
    found = mutants.run(1, 1, seed=0, store="folder")
    assert (found["mutants"]["survived"], found["survivors"]) == (0, [])

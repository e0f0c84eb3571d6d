"""The store classes under schedules of several processes: `python -m tests.sim` runs many more."""

import pytest
from sim.campaign import MODES, run_many
from sim.control import under_simulation
from sim.history import run_history
from sim.mutants import hunt
from sim.rules import MUTANTS

SEEDS = range(100)


@pytest.mark.parametrize("mode", MODES)
def test_no_schedule_loses_what_was_said_to_be_saved(mode):
    tally = run_many(SEEDS, (mode,))
    assert tally.failing == []
    # histories in which nothing happens would prove nothing
    for what in ("said", "taken over", "Unavailable", "late", "collected", "read", "reused"):
        assert tally.counts[what], what


@pytest.mark.parametrize("name", ["look", "gc spares what the head names"])
def test_a_rule_that_is_taken_away_is_missed(name):
    assert hunt(MUTANTS[name], 0, 40)["sees"] in {"LOST", "TWICE", "BLOB"}


def test_every_rule_that_can_be_taken_away_is_still_in_the_source():
    for mutant in MUTANTS.values():
        with mutant.switched_off():
            pass


def test_a_seed_replays_to_the_same_trace():
    with under_simulation():
        first, again = (run_history(5, "N", tracing=True, starts=4, lose=0.1) for _ in range(2))
        other = run_history(6, "N", tracing=True, starts=4, lose=0.1)
    assert len(first.trace) > 50
    assert first.trace == again.trace != other.trace

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.results_store import names, reader_of, write_store

from segnets.app.compare import (
    RESAMPLES,
    Pair,
    catalogue,
    contest,
    differing,
    epoch_seconds,
    interval,
    judge,
    mious,
    pair,
    sentence,
    shares,
    where_mistaken,
)
from segnets.app.pages.verdict import class_gaps, cost_fact, verdict_facts
from segnets.app.read import Samples
from segnets.app.records import Trial
from segnets.labels import CLASS_NAMES
from segnets.store.open import open_store

SAMPLES = 24  # three sequences of eight
ALL = np.ones(19, bool)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A reader, the best two trials' evaluations, and the rows that were written for them."""
    store = open_store(str(tmp_path_factory.mktemp("compare") / "store"), write=True)
    made = write_store(store, samples=SAMPLES)
    reader = reader_of(store)
    reader.look()
    trials = [made["plan"][0][0], made["plan"][1][0]]
    evals = [next(e for e in reader.snapshot.evals.values() if e.trial == t) for t in trials]
    yield reader, evals, [list(made["evals"][trial].values()) for trial in trials]
    reader.close()
    for trial in made["live"]:
        trial.close()


def plain_miou(rows):
    """MIoU from the integers of some rows, over classes that have truth; in a few lines."""
    inter = np.sum([row["inter"] for row in rows], axis=0)
    union = np.sum([row["union"] for row in rows], axis=0)
    wrong = [(c["truth"], c["pixels"]) for row in rows for c in row["confusions"]]
    truth = [i for i in range(19) if inter[i] or any(t == i and n for t, n in wrong)]
    return np.mean([inter[i] / union[i] for i in truth])


def test_every_figure_of_the_page_equals_a_plain_computation_from_the_tables(two):
    reader, evals, rows = two
    found = contest(reader, *evals)
    gap = plain_miou(rows[0]) - plain_miou(rows[1])
    assert found.verdict.miou == pytest.approx([plain_miou(rows[0]), plain_miou(rows[1])])
    assert found.verdict.difference == pytest.approx(gap)
    assert sentence(found.verdict).endswith(f"{abs(gap):.3f} mIoU")

    drives = [[row for row in side if row["seq"] == seq] for side in rows for seq in range(3)]
    drawn = np.random.default_rng(0).integers(3, size=(RESAMPLES, 3))
    gaps = {
        combo: plain_miou([row for i in combo for row in drives[i]])
        - plain_miou([row for i in combo for row in drives[3 + i]])
        for combo in {tuple(sorted(one)) for one in drawn.tolist()}
    }
    all_gaps = [gaps[tuple(sorted(one))] for one in drawn.tolist()]
    expected = np.quantile(all_gaps, [0.025, 0.975])
    assert (found.verdict.low, found.verdict.high) == pytest.approx(expected)
    assert found.verdict.sequences == 3

    better = sum(a["miou"] > b["miou"] for a, b in zip(*rows, strict=True))
    facts = {fact["label"]: fact["parts"] for fact in verdict_facts(found.verdict, (0, 0))}
    assert facts["per sample"][0][0] == f"{better} of {SAMPLES}"

    for row in class_gaps(found):
        index = CLASS_NAMES.index(row["name"])
        for side, name in enumerate("ab"):
            inter = sum(one["inter"][index] for one in rows[side])
            union = sum(one["union"][index] for one in rows[side])
            assert row[name] == pytest.approx(inter / union)
    assert [row["a"] - row["b"] for row in class_gaps(found)] == sorted(
        (row["a"] - row["b"] for row in class_gaps(found)), reverse=True
    )

    for side in (0, 1):  # an evaluation's own classes: each row of its confusion is all its truth
        for row in shares(found.confusion[side]):
            assert row[0] is None or sum(row) == pytest.approx(1, abs=1e-3)
    assert json.dumps(shares(found.confusion[0]), allow_nan=False)


def test_samples_stand_in_the_order_of_their_gap_and_of_a_mistake(two):
    reader, evals, rows = two
    tables = tuple(reader.samples(one.id) for one in evals)
    both = pair(*tables)
    listed = catalogue(both, tables[0])
    gaps = [abs(row["a"] - row["b"]) for row in listed]
    assert gaps == sorted(gaps, reverse=True)
    assert {row["name"] for row in listed} == set(names(SAMPLES))
    first = rows[0][0]["confusions"][0]
    found = where_mistaken(both, tables, first["truth"], first["predicted"])
    expected = {}
    for side in rows:
        for row in side:
            for one in row["confusions"]:
                if (one["truth"], one["predicted"]) == (first["truth"], first["predicted"]):
                    expected[row["name"]] = max(expected.get(row["name"], 0), one["pixels"])
    assert [max(row["a"], row["b"]) for row in found] == sorted(expected.values(), reverse=True)
    assert {row["key"] for row in found} == {f"val/{name}" for name in expected}


counts = arrays(np.int64, (2, 6, 19), elements=st.integers(0, 50))
drives = arrays(np.intp, 6, elements=st.integers(0, 3))


def made_pair(inter, more, sequences):
    numbered = np.unique(sequences, return_inverse=True)[1]
    return Pair(
        keys=tuple(("val", str(i)) for i in range(6)),
        sequences=numbered,
        inter=inter,
        union=inter + more,
        scores=np.full((2, 6), np.nan),
        only=(0, 0),
    )


@settings(max_examples=25, deadline=None)
@given(counts, counts, drives)
def test_swapping_the_two_turns_the_interval_around(inter, more, sequences):
    low, high = interval(made_pair(inter, more, sequences), ALL)
    there = interval(made_pair(inter[::-1], more[::-1], sequences), ALL)
    if low is None:
        assert there == (None, None)
    else:
        assert there == pytest.approx((-high, -low))
        assert low <= high


@settings(max_examples=25, deadline=None)
@given(counts, counts, drives)
def test_a_model_against_itself_never_wins(inter, more, sequences):
    inter[1], more[1] = inter[0], more[0]
    verdict = judge(made_pair(inter, more, sequences), ALL)
    assert verdict.difference in (0, None)
    assert verdict.leader == ""
    assert verdict.low in (0, None)


def test_one_sequence_has_no_interval_and_the_sentence_says_so():
    inter = np.full((2, 6, 19), 8)
    inter[1] = 6
    verdict = judge(made_pair(inter, 10 - inter, np.zeros(6, np.intp)), ALL)
    assert (verdict.low, verdict.high) == (None, None)
    assert sentence(verdict) == "A is ahead by 0.200 mIoU, on one sequence"
    assert verdict.leader == ""


def test_frames_of_one_drive_do_not_count_as_many():
    """Of two drives each model wins one: no clear winner, however many frames the drives have."""
    inter = np.full((2, 6, 19), 5)
    inter[0, :3], inter[1, 3:] = 9, 8
    verdict = judge(made_pair(inter, 10 - inter, np.array([0, 0, 0, 1, 1, 1])), ALL)
    assert sentence(verdict) == "No clear winner: A is ahead by 0.050 mIoU"
    assert verdict.low == pytest.approx(-0.3)
    assert verdict.high == pytest.approx(0.4)


def test_a_class_that_one_of_them_never_saw_counts_for_neither():
    inter, union = np.zeros((2, 19), int), np.zeros((2, 19), int)
    inter[:, 0], union[:, 0] = 4, 8
    union[0, 1] = 5  # A predicts a class that has no truth here
    assert mious(inter, union, ALL) == pytest.approx([0.5, 0.5])


def test_tables_that_hold_other_things_and_other_samples_are_borne():
    hostile = {"inter": "<img>", "union": [None] * 19, "miou": "x", "confusions": [7], "seq": None}
    a = Samples({("val", "x"): hostile, ("val", "y"): hostile, ("train", "x"): {}}, None)
    b = Samples({("val", "x"): hostile, ("train", "y"): {}}, None)
    both = pair(a, b)
    assert both.keys == (("val", "x"),)  # names alone are not unique across splits
    assert both.only == (2, 1)
    verdict = judge(both, ALL)
    assert sentence(verdict) == "These two have no labelled sample in common"
    assert verdict_facts(verdict, both.only)[0]["parts"][-1][0] == "3 samples are not in both"
    assert where_mistaken(both, (a, b), 0, 1) == []
    assert sentence(judge(pair(Samples({}, None), b), ALL)).startswith("These two have no")


def test_the_cost_is_the_time_of_an_epoch_and_the_settings_that_differ_are_named():
    a = Trial(id="a", status="done", seconds=60.0, epoch=3, settings={"lr": 0.1, "batch": 2})
    b = Trial(id="b", status="done", seconds=300.0, epoch=10, settings={"lr": 0.2, "batch": 2})
    assert (epoch_seconds(a), epoch_seconds(b), epoch_seconds(None)) == (20, 30, None)
    assert cost_fact(a, b)["parts"] == [
        ["A is 1.5\u00d7 quicker", ""],
        ["20 s and 30 s an epoch", "muted"],
    ]
    assert cost_fact(b, a)["parts"][0][0] == "B is 1.5\u00d7 quicker"
    assert cost_fact(a, None)["parts"] == [["not known", "muted"]]
    assert differing(a, b) == [("lr", 0.1, 0.2)]

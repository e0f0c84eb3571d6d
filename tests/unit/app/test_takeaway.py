"""CSV of what a page shows: whole, exact, and harmless in a spreadsheet."""

import csv
import io

import pytest
from support.night_store import write_run
from support.results_store import reader_of, write_store

from segnets.app.compare import pair
from segnets.app.nights import read_nights
from segnets.app.takeaway import (
    curve_rows,
    night_rows,
    pair_rows,
    sample_rows,
    to_csv,
    trial_rows,
)
from segnets.store.open import open_store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("takeaway") / "store"), write=True)
    written = write_store(store, samples=4)
    for trial in written["live"]:
        trial.close()
    write_run(store, "pred-0a0b0c0d", [{"new": 3}, {"new": 2}])
    reader = reader_of(store)
    reader.look()
    return reader, written


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_every_trial_has_a_row_with_its_best_epoch_and_settings(made):
    reader, written = made
    rows = {row["trial"]: row for row in read(to_csv(trial_rows(reader.snapshot.trials.values())))}
    assert set(rows) == {plan[0] for plan in written["plan"]} | {written["queued"]}
    for trial, _, _, _, attempts, settings in written["plan"]:
        val = [row for row in reader.curve(trial) if row["split"] == "val"]
        best = max(val, key=lambda row: row["miou"])
        row = rows[trial]
        assert float(row["val_miou"]) == best["miou"]
        assert int(row["best_epoch"]) == best["epoch"]
        assert int(row["attempts"]) == attempts
        assert float(row["setting lr"]) == settings["lr"]
    assert rows[written["queued"]]["val_miou"] == ""


def test_curves_and_samples_are_the_tables_in_full_precision(made):
    reader, written = made
    trial = written["plan"][0][0]
    epochs = reader.curve(trial)
    rows = read(to_csv(curve_rows([(trial, epochs)])))
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in epochs]
    assert [row["iou wall"] for row in rows] == [""] * len(rows)
    (evaluation,) = (e for e in reader.snapshot.evals.values() if e.trial == trial)
    table = reader.samples(evaluation.id)
    rows = read(to_csv(sample_rows(table)))
    assert [(row["split"], row["name"]) for row in rows] == list(table.rows)
    for row, kept in zip(rows, table.rows.values(), strict=True):
        assert [int(v) for k, v in row.items() if k.startswith("inter ")] == kept["inter"]
        assert float(row["miou"]) == kept["miou"]


def test_pairs_and_nights(made):
    reader, written = made
    ids = [e.id for e in reader.snapshot.evals.values() if e.trial in written["evals"]][:2]
    both = pair(*(reader.samples(one) for one in ids))
    rows = read(to_csv(pair_rows(both)))
    assert [float(row["miou A"]) for row in rows] == both.scores[0].tolist()
    gaps = [float(row["miou A"]) - float(row["miou B"]) for row in rows]
    assert [float(row["A - B"]) for row in rows] == pytest.approx(gaps)
    nights = read_nights(reader, "pred-0a0b0c0d")
    rows = read(to_csv(night_rows(nights)))
    assert [int(row["written"]) for row in rows] == [night.written for night in nights]
    assert len(rows) == 2


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\t=1", "a,b", 'a"b', "a\nb"])
def test_no_text_is_a_formula_and_every_text_comes_back(text):
    (row,) = read(to_csv([{"name": text, "number": -2.5, "none": None}]))
    assert row["name"].removeprefix("'") == text
    assert not row["name"].startswith(("=", "+", "-", "@", "\t"))
    assert (row["number"], row["none"]) == ("-2.5", "")


def test_no_row_is_an_empty_file_and_rows_may_have_other_names():
    assert to_csv([]).strip() == ""
    assert read(to_csv([{"a": 1}, {"b": 2}])) == [{"a": "1", "b": ""}, {"a": "", "b": "2"}]

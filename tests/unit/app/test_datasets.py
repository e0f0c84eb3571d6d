import json

import numpy as np
import pyarrow as pa
import pytest
from support.results_store import SHA, dataset_stats, names, reader_of, report_rows, write_store
from support.results_store import Words as Outside

from segnets.app.datasets import (
    as_bytes,
    best_evaluation,
    check_classes,
    check_files,
    check_splits,
    cities,
    class_scores,
    facts,
)
from segnets.app.pages.datasetrows import (
    city_table,
    dataset_figures,
    display_catalogue,
    percent,
    problem_note,
    problem_rows,
    truth_facts,
)
from segnets.app.read import Display
from segnets.app.records import Dataset
from segnets.labels import CLASS_NAMES
from segnets.store.bag import Bag, read_done
from segnets.store.open import open_store
from segnets.store.tables import to_parquet

SAMPLES = 10


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A reader and its dataset."""
    store = open_store(str(tmp_path_factory.mktemp("dataset") / "store"), write=True)
    made = write_store(store, samples=SAMPLES)
    reader = reader_of(store)
    yield reader, reader.look().datasets[made["dataset"]]
    reader.close()
    for trial in made["live"]:
        trial.close()


def test_every_figure_of_the_page_equals_a_plain_computation_from_the_tables(shown):
    reader, dataset = shown
    found, stats = facts(reader, dataset), dataset_stats(SAMPLES)
    for split in ("train", "val"):
        pixels = np.array([*stats["class_pixels"][split], stats["ignored_pixels"][split]])
        assert found.shares[split] == pytest.approx(pixels / pixels.sum())
    train = np.array(stats["class_pixels"]["train"])
    weights = np.where(train > 0, 1 / np.log(1.10 + train / train.sum()), 0)
    assert found.weights == pytest.approx(weights / weights[train > 0].mean(), rel=1e-6)
    assert (found.mean, found.std) == (stats["mean"], stats["std"])

    best = best_evaluation(reader.snapshot, dataset.id)
    rivals = [e for e in reader.snapshot.evals.values() if e.dataset == dataset.id and e.miou]
    assert best == max(rivals, key=lambda one: one.miou)
    rows = list(reader.samples(best.id).rows.values())
    for index, iou in enumerate(class_scores(reader, best)):
        inter, union = (sum(row[name][index] for row in rows) for name in ("inter", "union"))
        assert iou == (pytest.approx(inter / union) if union else None)
    assert class_scores(reader, best_evaluation(reader.snapshot, "another-dataset")) == []

    figures = {one["label"]: one for one in dataset_figures(dataset, found)}
    assert figures["Clips"]["value"] == str(48 + SAMPLES + 8)
    assert figures["Clips"]["notes"] == [[f"48 train · {SAMPLES} val · 8 test", ""]]
    assert figures["Problems"]["value"] == "1"
    total = train.sum() + stats["ignored_pixels"]["train"]
    rare = min((n, i) for i, n in enumerate(train) if n)
    assert figures["Rarest class that occurs"]["value"] == percent(rare[0] / total)
    assert figures["Rarest class that occurs"]["notes"] == [[CLASS_NAMES[rare[1]], ""]]
    assert figures["Unlabelled pixels"]["value"] == percent(
        stats["ignored_pixels"]["train"] / total
    )
    assert figures["Without looking"]["value"] == "0.180"

    broken = report_rows(SAMPLES, Outside())[-1]
    assert problem_rows(found) == [["skipped", "truncated", broken["key"], broken["detail"]]]
    columns, rows = city_table(found)
    assert [column["title"] for column in columns] == ["city", "val", "sequences"]
    assert rows == [["aach", str(SAMPLES), "2"]]


def by_title(checks):
    return {check.title: (check.tone, check.detail) for check in checks}


def test_the_checks_say_what_the_report_holds(shown):
    reader, dataset = shown
    found = by_title(facts(reader, dataset).checks)
    assert found["Every file was read once"][1].startswith("21 files, 105 kB")
    assert found["Files have faults"] == ("bad", "1 truncated")
    assert found["Clips were left out"] == ("warn", "1 of 67")
    assert found["No sequence is in two splits"] == ("good", "2 val")
    assert found["No picture is in two splits"][0] == "good"


def test_a_leak_is_told_by_bytes_and_not_by_names():
    def report(*files):
        return {
            "sha256": [digest for digest, _ in files],
            "role": ["frame"] * len(files),
            "split": [split for _, split in files],
            "key": [f"leftImg8bit/{split}/x/x_000000_000019.png" for _, split in files],
        }

    same_name = check_splits(report(("a" * 64, "train"), ("b" * 64, "val")), {})
    assert [check.tone for check in same_name] == ["good"]
    same_bytes = check_splits(report(("a" * 64, "train"), ("a" * 64, "val")), {})
    assert by_title(same_bytes) == {"A picture is in two splits": ("bad", "1: x_000000_000019.png")}
    twice = check_splits(report(("a" * 64, "train"), ("a" * 64, "train")), {})
    assert [check.tone for check in twice] == ["good"]
    rows = {
        ("train", "a"): {"city": "x", "seq": 3},
        ("val", "b"): {"city": "x", "seq": 3},
        ("val", "c"): {"city": "y", "seq": 3},
    }
    assert by_title(check_splits({}, rows)) == {
        "A sequence is in two splits": ("warn", "1: x 000003")
    }
    assert cities(rows) == [("x", {"train": 1, "val": 1}, 2), ("y", {"val": 1}, 1)]


def test_classes_that_are_asked_but_were_never_shown_are_named():
    train, val = [0] * 19, [0] * 19
    train[0], val[0], val[11], val[12] = 5, 5, 1, 1
    found = by_title(check_classes({"train": train, "val": val}))
    assert found["A class of val is not in train"] == ("bad", "person, rider")
    assert found["16 of 19 classes never occur"][0] == "warn"
    assert {check.tone for check in check_classes({"train": [1] * 19, "val": [1] * 19})} == {"good"}
    assert check_classes({}) == []


def test_files_of_several_sizes_are_a_warning():
    report = {"height": [1024, 1024, 512, 0], "width": [2048, 2048, 1024, 0]}
    found = by_title(check_files(report, Dataset(id="d", clips={"train": 3})))
    assert found["Sizes differ"] == ("warn", "1 of 3 are not 2048x1024")
    assert found["Every labelled frame is a clip"] == ("good", "3 of 3")


def test_a_dataset_with_no_tables_or_foreign_ones_says_less_and_raises_nothing(tmp_path):
    store = open_store(str(tmp_path / "store"), write=True)
    for name, files in (
        ("empty-1", {}),
        ("foreign-1", {"stats.json": b"[1, 2", "manifest.json": b'{"config": [7]}'}),
        (
            "other-1",
            {
                "stats.json": json.dumps({"class_pixels": {"train": "<b>"}, "mean": [1]}).encode(),
                "report.parquet": to_parquet(pa.table({"kind": ["<img>"]}), 1),
            },
        ),
    ):
        bag = Bag(store, "dataset", name, SHA)
        put = [bag.put_file(one, data) for one, data in files.items()]
        bag.put_done({"tables": bag.put_item("tables", put)})
    reader = reader_of(store)
    for name in ("empty-1", "foreign-1", "other-1", "gone-1"):
        found = facts(reader, Dataset(id=name))
        assert (found.shares, found.problems, found.mean)[::2] == ({}, [])
        assert dataset_figures(Dataset(id=name), found)[3]["value"] == "\u2013"
        assert (problem_note(found) == "none was found") is (name != "other-1")
        assert [row[1] for row in problem_rows(found)] == ["<img>"] * (name == "other-1")
    reader.close()


def test_samples_come_train_first_and_those_without_a_label_say_so():
    display = Display({("test", "a"): {}, ("val", "b"): {"city": 7}, ("train", "c"): {}}, None)
    assert [row["split"] for row in display_catalogue(display)] == ["train", "val", "test"]
    assert truth_facts({"truth_size": 0})["labelled"] is False
    assert truth_facts({"truth_size": 10})["labelled"] is True
    assert len(names(3)) == 3


def test_sizes_and_shares_are_written_as_people_write_them():
    assert [as_bytes(n) for n in (812, 9_100, 1_900_000_000)] == ["812 B", "9.1 kB", "1.9 GB"]
    assert [percent(s) for s in (0.042, 0.0039, 0.0000213)] == ["4.2%", "0.39%", "0.0021%"]


def test_an_evaluation_that_cannot_be_read_costs_the_page_its_scores_only(tmp_path):
    store = open_store(str(tmp_path / "store"), write=True)
    made = write_store(store, samples=SAMPLES)
    for trial in made["live"]:
        trial.close()
    reader = reader_of(store)
    dataset = reader.look().datasets[made["dataset"]]
    best = best_evaluation(reader.snapshot, dataset.id)
    path = store.local_path(read_done(store, "eval", best.id).file("samples.parquet").key)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert class_scores(reader, best) == []
    assert facts(reader, dataset).is_whole
    reader.close()

"""The report of a grid says what the store holds, and escapes what it does not trust."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from support.results_store import HOSTILE, Words, reader_of, write_store

from segnets.app import report
from segnets.app.report import collect, main, render
from segnets.errors import NotInStore
from segnets.labels import CLASS_COLORS
from segnets.store.open import open_store

SAMPLES = 24  # three sequences


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store, what was written to it, and the report's HTML."""
    store = open_store(str(tmp_path_factory.mktemp("report") / "store"), write=True)
    written = write_store(store, samples=SAMPLES)
    for trial in written["live"]:
        trial.close()
    content = collect(reader_of(store), written["grid"], samples=3)
    return store, written, content, render(content)


def cells(html, section):
    """The texts of a table's rows, after the heading of its section."""
    body = html.partition(f"<h2>{section}</h2>")[2].partition("</table>")[0].partition("<tbody>")[2]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row)] for row in rows
    ]


def test_the_table_has_every_trial_with_the_scores_of_its_tables(made):
    store, written, _, html = made
    reader = reader_of(store)
    reader.look()
    rows = {row[0]: row for row in cells(html, "Trials") if len(row) > 1}
    assert len(rows) == len(written["plan"]) + 1  # and the one that is queued
    for trial, status, *_ in written["plan"]:
        val = [row for row in reader.curve(trial) if row["split"] == "val"]
        best = max(val, key=lambda row: row["miou"])
        shown = rows[f"resnet_convlstm {trial[-8:][:4]}"]
        assert (shown[4], shown[5]) == (f"{best['miou']:.3f}", f"{best['loss']:.3f}")
        assert shown[-1] == ("silent" if status == "running" else status)
        assert shown[7].startswith(f"{best['epoch']} of ")
    scores = [row[4] for row in rows.values() if row[4][0].isdigit()]
    assert scores == sorted(scores, reverse=True)


def test_class_ious_are_those_of_the_best_epoch(made):
    store, written, _, html = made
    reader = reader_of(store)
    reader.look()
    best = written["plan"][0][0]
    val = [row for row in reader.curve(best) if row["split"] == "val"]
    iou = max(val, key=lambda row: row["miou"])["iou"]
    shown = {row[0]: row[1] for row in cells(html, "IoU of each class")}
    assert shown["road"] == f"{100 * iou[0]:.1f}"
    assert shown["bicycle"] == f"{100 * iou[18]:.1f}"
    assert "wall" not in shown  # no trial has a value


def test_the_worst_samples_come_first_with_their_pictures(made):
    _, written, content, html = made
    rows = written["evals"][written["plan"][0][0]]
    worst = sorted(rows, key=lambda name: rows[name]["miou"])[:3]
    assert [sample.name for sample in content.samples] == [f"val/{name}" for name in worst]
    prediction = content.samples[0].prediction
    png = base64.b64decode(prediction.partition("base64,")[2])
    colors = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    assert {tuple(color) for color in np.unique(colors, axis=0)} <= {*CLASS_COLORS, (0, 0, 0)}
    assert html.count("<img ") == 9


def test_it_names_the_best_and_how_sure_that_is(made):
    _, _, content, html = made
    assert content.rivals is not None
    assert "A is resnet_convlstm 7c31, B is resnet_convlstm b09e." in html
    assert content.verdict.low is not None


def test_it_needs_nothing_from_anywhere(made):
    html = made[3]
    outside = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!data:)', outside)
    assert "@import" not in outside


def test_texts_of_the_store_are_texts(tmp_path):
    store = open_store(str(tmp_path / "store"), write=True)
    words = Words(**dict.fromkeys(("city", "model", "error", "dataset_name", "setting"), HOSTILE))
    written = write_store(store, samples=2, words=words)
    for trial in written["live"]:
        trial.close()
    html = render(collect(reader_of(store), written["grid"]))
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html


def test_pictures_that_are_none_are_left_out(made, monkeypatch):
    store, written, *_ = made
    monkeypatch.setattr(report, "MOST_PIXELS", 10)
    html = render(collect(reader_of(store), written["grid"], samples=1))
    assert "<img " not in html
    assert "no prediction" in html


def test_the_command_writes_one_file_and_one_line(made, tmp_path, capsys):
    store, written, *_ = made
    out = tmp_path / "grid.html"
    assert main([written["grid"], "--store", store.url, "--out", str(out), "--samples", "0"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == out.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["grid.html"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["grid-00000000"], 3, "there is no grid grid-00000000"),
        (["{grid}", "--out", "/no/such/folder/x.html"], 2, "cannot be written"),
        (["{grid}", "--samples", "-1"], 2, "--samples is negative"),
    ],
)
def test_a_fault_is_one_sentence(made, capsys, words, code, says):
    store, written, *_ = made
    words = [word.format(grid=written["grid"]) for word in words]
    assert main([*words, "--store", store.url]) == code
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["exit_code"] == code
    assert told.err.count("error: ") == 1
    assert says in told.err


def test_a_store_that_is_not_there_has_no_grid(tmp_path):
    reader = report.Reader("nowhere", lambda: open_store(str(tmp_path / "none"), write=False))
    with pytest.raises(NotInStore):
        collect(reader, "grid-5a5a5a5a")

"""What a page shows equals a few lines over the tables in the store, read past the app's own reader.

Samples and Compare: test_results_app.py, test_compare_page.py.
"""

import json
import math
import statistics

import pytest
from support.life_store import Try, live_through
from support.night_store import write_run
from support.results_store import write_store

from segnets.labels import CLASS_NAMES
from segnets.store.bag import read_done, read_items
from segnets.store.entry import read_file
from segnets.store.history import read_history
from segnets.store.log import read_head
from segnets.store.names import list_subjects
from segnets.store.open import open_store
from segnets.store.tables import from_parquet

RUN = "pred-0a0b0c0d"
BAD = [("aach_000009_000019", "the file is truncated")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("app") / "store"), write=True)
    made = write_store(store, samples=6)
    resumed = Try(resumed=(2, 24), saves=[(3, 36)], end="stopped")
    again = Try(resumed=(3, 36), saves=[(4, 48)], end="done")
    live_through(store, "resnet_convlstm-0dead001", Try(saves=[(1, 12), (2, 24)]), resumed, again)
    (dataset,) = list_subjects(store)["dataset"]
    nights = [{"new": 3}, {"new": 4, "failed": BAD}, {"new": 2}]
    write_run(store, RUN, nights, dataset=dataset)
    for trial in made["live"]:
        trial.close()
    return store


@pytest.fixture(scope="module")
def app(serve, store):
    return serve(store)


def val_rows(store, trial):
    """The val rows of a trial's epochs.parquet."""
    head = read_head(store, trial)
    rows = from_parquet(read_file(store, head.file("epochs.parquet"))).to_pylist()
    return [row for row in rows if row["split"] == "val"]


def stats_of(store, dataset):
    """A dataset's stats.json."""
    return json.loads(read_file(store, read_done(store, "dataset", dataset).file("stats.json")))


def figure(opened, title):
    """The words of the card of this title, the title left out."""
    card = opened.page.locator(".figure", has=opened.page.get_by_text(title, exact=True))
    return card.locator(".line > *").all_inner_texts()


def test_leaderboard(app, store, tab):
    trials = list_subjects(store)["trial"]
    rows = {trial: val_rows(store, trial) for trial in trials}
    best = {trial: max(epochs, key=lambda row: row["miou"]) for trial, epochs in rows.items()}
    order = sorted(trials, key=lambda trial: -best[trial]["miou"])

    opened = tab(app)
    opened.open("?p=trials&sel=" + order[1])
    opened.wait_for("in percent", ".sg-bar")
    cells = opened.page.locator(".tabulator-row .score b").all_inner_texts()
    assert cells == [f"{best[trial]['miou']:.3f}" for trial in order]
    gap = best[order[0]]["miou"] - best[order[1]]["miou"]
    shown = figure(opened, "Best val mIoU")
    assert shown[0] == f"{best[order[0]]['miou']:.3f}"
    assert shown[2] == f"+{gap:.3f} over the next"
    opened.wait_for("road", "table th")
    iou = opened.page.locator("table td.cell").all_inner_texts()
    known = [one for one in best[order[1]]["iou"] if not math.isnan(one)]
    assert iou == [*(f"{100 * one:.0f}" for one in known), f"{best[order[1]]['miou']:.3f}"]
    assert opened.complaints() == {}


@pytest.mark.slow
def test_runs(app, store, tab):
    logs = {trial: read_history(store, trial) for trial in list_subjects(store)["trial"]}
    epochs = sum(max(entry.epoch for entry in log) for log in logs.values())
    attempts = {trial: max(entry.attempt for entry in log) for trial, log in logs.items()}

    opened = tab(app)
    opened.open("?p=runs")
    opened.wait_for("finished and saved", ".figure")
    assert figure(opened, "Epochs lost")[:2] == ["0", f"of {epochs} finished and saved"]
    restarts = sum(attempts.values()) - len(logs)
    assert figure(opened, "Restarts")[0] == str(restarts)
    lanes = opened.page.locator(".lane").evaluate_all(
        "lanes => Object.fromEntries(lanes.map(one => [one.title, one.innerText]))"
    )
    for trial, log in logs.items():
        assert f"{max(entry.epoch for entry in log)} of 12" in lanes[trial]
        assert (f"{attempts[trial]} attempts" in lanes[trial]) == (attempts[trial] > 1)
    assert opened.complaints() == {}


@pytest.mark.slow
def test_predictions(app, store, tab):
    nights = {}
    for item, lines in read_items(store, "run", RUN).items():
        if item.startswith("night-"):
            said = json.loads(read_file(store, lines[0].file("run.json")))
            table = from_parquet(read_file(store, lines[0].file("frames.parquet"))).to_pylist()
            nights[item] = said, [row for row in table if row["status"] == "written"]
    night = sorted(nights)[1]
    said, rows = nights[night]
    sure = {one: statistics.fmean(row["confidence"] for row in nights[one][1]) for one in nights}

    opened = tab(app)
    opened.open(f"?p=pred&n={night}")
    opened.wait_for("road", ".share")
    written = [str(len(rows)), f"of {said['frames']} frames", f"{said['reused']} were there"]
    assert figure(opened, "Masks written") == written
    assert figure(opened, "Failed")[0] == str(len(BAD))
    assert (
        figure(opened, "Throughput")[0] == f"{len(rows) / (said['ended'] - said['started']):.1f} /s"
    )
    before = sure[night] - sure[min(nights)]
    assert figure(opened, "Confidence")[0] == f"{sure[night]:.3f}"
    assert figure(opened, "Confidence")[1].startswith(f"{before:+.3f} against")
    mean = [statistics.fmean(row["share"][c] for row in rows) for c in range(19)]
    pixels = stats_of(store, said["dataset"])["class_pixels"]["train"]
    training = [one / sum(pixels) for one in pixels]
    shares = opened.page.locator(".share").evaluate_all("rows => rows.map(row => row.title)")
    found = {title.split(":")[0]: title for title in shares}
    for name, here, there in zip(CLASS_NAMES, mean, training, strict=True):
        if here and there:
            percents = [float(word.strip("%,")) for word in found[name].split() if "%" in word]
            assert percents == pytest.approx([100 * here, 100 * there], rel=0.02, abs=0.006)
    assert opened.complaints() == {}


@pytest.mark.slow
def test_dataset(app, store, tab):
    (dataset,) = list_subjects(store)["dataset"]
    stats = stats_of(store, dataset)
    pixels = stats["class_pixels"]["train"]
    shares = [one / sum(pixels) for one in pixels]
    clips = stats["clips"]

    opened = tab(app)
    opened.open(f"?p=dataset&d={dataset}")
    opened.see(".sg-frequency rect")
    told = " · ".join(f"{number} {split}" for split, number in clips.items())
    assert figure(opened, "Clips") == [str(sum(clips.values())), told]
    unlabelled = stats["ignored_pixels"]["train"]
    share = unlabelled / (unlabelled + sum(pixels))
    assert figure(opened, "Unlabelled pixels")[0] == f"{100 * share:.1f}%"
    rarest = min((one, name) for one, name in zip(pixels, CLASS_NAMES, strict=True) if one)
    share = rarest[0] / (unlabelled + sum(pixels))  # as in the chart: of all pixels
    assert figure(opened, "Rarest class that occurs") == [f"{100 * share:.2f}%", rarest[1]]
    bars = opened.page.locator(".sg-weights .bar").evaluate_all("bars => bars.map(b => b.title)")
    raw = [1 / math.log(1.10 + one) if one else 0.0 for one in shares]
    weights = [one / statistics.fmean(filter(None, raw)) for one in raw]
    shown = dict(title.split(": ") for title in bars)
    for name, weight in zip(CLASS_NAMES, weights, strict=True):
        assert float(shown[name]) == pytest.approx(weight, abs=0.002)
    assert opened.complaints() == {}

import itertools
import shlex

import pytest
from support.life_store import STEPS_PER_EPOCH, Try, live_through
from support.results_store import reader_of

from segnets import cli
from segnets.app.pages.lanes import LANES, in_window, lane, span
from segnets.app.pages.runfigures import checkpoint_bytes, run_figures
from segnets.app.pages.story import advice, log_rows, story, train_command
from segnets.app.records import STATUSES, Trial
from segnets.app.timeline import read_life
from segnets.config.build import build
from segnets.config.ids import flat_settings
from segnets.config.train import TrainConfig
from segnets.store.history import read_history
from segnets.store.keys import log_prefix
from segnets.store.open import open_store

KILLED = (
    Try(saves=[(1, 12), (2, 24)]),
    Try(resumed=(2, 24), saves=[(2, 30), (3, 36)], end="stopped"),
    Try(resumed=(3, 36), saves=[(4, 48)], end="done"),
)


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"), write=True)


def life_of(store, trial):
    reader = reader_of(store)
    reader.look()
    try:
        return read_life(reader, trial), reader.snapshot.trials[trial]
    finally:
        reader.close()


def test_every_claim_is_an_attempt_and_a_death_without_a_word_is_called_lost(store):
    live_through(store, "m-1111", *KILLED)
    life, _ = life_of(store, "m-1111")
    assert [attempt.end for attempt in life.attempts] == ["lost", "stopped", "done"]
    assert [attempt.resumed for attempt in life.attempts] == [(0, 0), (2, 24), (3, 36)]
    assert [restart.lost for restart in life.restarts] == [(0, 0), (0, 0)]
    assert len(life.lines) == len(read_history(store, "m-1111"))


def test_a_stop_does_nothing_again_and_a_death_at_most_two_epochs(store):
    live_through(store, "m-1111", *KILLED)
    died, stopped = life_of(store, "m-1111")[0].restarts
    assert stopped.again == 0
    assert 0 <= died.again <= 2 * STEPS_PER_EPOCH
    history = read_history(store, "m-1111")
    claims = [entry.time for entry in history if entry.event == "claim"]
    assert died.away_s == pytest.approx(claims[1] - history[2].time)


def test_a_damaged_checkpoint_is_a_loss_that_is_said_in_red(store):
    skipped = ("skipped", "epoch 3, step 36: state.pt is not what was sealed")
    live_through(
        store,
        "m-1111",
        Try(saves=[(1, 12), (2, 24), (3, 36)]),
        Try(resumed=(1, 12), saves=[(2, 24)], notes=[skipped]),
    )
    life, trial = life_of(store, "m-1111")
    assert [restart.lost for restart in life.restarts] == [(2, 24)]
    figure = run_figures([trial], {trial.id: life})[0]
    assert (figure["value"], figure["tone"]) == ("2", "bad")
    told = {one["text"]: one["tone"] for one in story(life)}
    assert told["skipped epoch 3, step 36: state.pt is not what was sealed"] == "bad"
    assert any("2 epochs that were saved are gone" in text for text in told)


def test_a_claim_that_saved_nothing_did_not_resume_and_loses_nothing(store):
    live_through(store, "m-1111", Try(), Try(saves=[(1, 12)]))
    life, _ = life_of(store, "m-1111")
    assert [attempt.resumed for attempt in life.attempts] == [None, (0, 0)]
    assert life.restarts[0].lost == (0, 0)
    assert lane(Trial(id="m-1111", status="silent", attempts=2), life, 0.0)["gaps"][0]["text"] == (
        "began: nothing was saved yet"
    )


def test_saves_are_told_together_and_one_in_mid_epoch_is_no_epoch(store):
    live_through(
        store,
        "m-1111",
        Try(saves=[(1, 12), (2, 24)]),
        Try(resumed=(2, 24), saves=[(2, 30), (3, 36)]),
    )
    told = [one["text"] for one in story(life_of(store, "m-1111")[0])]
    assert "epochs 1 to 2 saved" in told
    assert "2 saves up to epoch 3" in told


def test_a_torn_entry_keeps_its_slot_and_is_a_row_without_a_seal(store, tmp_path):
    live_through(store, "m-1111", *KILLED)
    slot = sorted(item.key for item in store.list(log_prefix("trial", "m-1111")))[2]
    path = tmp_path / "store" / slot
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-9])
    life, trial = life_of(store, "m-1111")
    assert life.torn == 1
    rows = log_rows(life)
    assert [row["seq"] for row in rows if not row["sealed"]] == [life.lines[2][0].seq]
    assert ["1 torn entries", "bad"] in run_figures([trial], {trial.id: life})[0]["notes"]
    assert story(life)[-1]["tone"] == "bad"


def test_the_figures_are_what_a_few_lines_count_in_the_logs(store):
    live_through(store, "m-1111", *KILLED)
    live_through(store, "m-2222", Try(saves=[(1, 12)]), Try(resumed=(1, 12), saves=[(2, 24)]))
    lives, trials = {}, []
    for name in ("m-1111", "m-2222"):
        lives[name], trial = life_of(store, name)
        trials.append(trial)
    shown = {figure["label"]: figure for figure in run_figures(trials, lives)}

    logs = {name: read_history(store, name) for name in lives}
    restarts = sum(sum(e.event == "claim" for e in log) - 1 for log in logs.values())
    assert shown["Restarts"]["value"] == str(restarts) == "3"
    finished = sum(log[-1].epoch for log in logs.values())
    assert shown["Epochs lost"]["value"] == "0"
    assert shown["Epochs lost"]["notes"] == [[f"of {finished} finished and saved", ""]]
    silent = [
        after.time - before.time
        for log in logs.values()
        for before, after in itertools.pairwise(log)
        if after.event == "claim" and before.event == "checkpoint"
    ]
    died = [r.away_s for life in lives.values() for r in life.restarts if r.after == "lost"]
    assert died == pytest.approx(silent)
    newest = [log[-1] for log in logs.values()]
    sizes = [sum(file.size for file in entry.files) for entry in newest]
    assert [checkpoint_bytes(life) for life in lives.values()] == sizes


def test_a_known_entry_is_not_read_again(store):
    live_through(store, "m-1111", *KILLED)
    reader = reader_of(store)
    read_life(reader, "m-1111")
    gets = []
    inner = reader._connected._store
    reader._connected._store = type(
        "Counting", (), {"get": lambda _, key: gets.append(key), "list": inner.list}
    )()
    assert len(read_life(reader, "m-1111").lines) == 8
    assert gets == []
    reader.close()


def test_who_needs_a_look_comes_first_and_a_quiet_trial_is_in_no_short_window():
    trials = [
        Trial(id="a", status="done", time=1000.0),
        Trial(id="b", status="failed", time=900.0),
        Trial(id="c", status="done", time=990.0, attempts=2),
        Trial(id="d", status="silent", time=100.0),
        Trial(id="e", status="done", time=1.0),
        Trial(id="f", status="queued"),
    ]
    order = "".join(trial.id for trial in in_window(trials, "2h", 7300.0))
    assert order == "dbcaf"
    assert "e" in {trial.id for trial in in_window(trials, "all", 7300.0)}
    assert LANES == 12


@pytest.mark.parametrize("now", [1100.0, 1e9])
def test_the_lanes_reach_over_all_that_is_shown_and_not_over_an_empty_week(now):
    start, end = span([Trial(id="a", status="done", time=1000.0, seconds=600.0)], {}, "all", now)
    assert start == 400.0
    assert end == (1100.0 if now == 1100.0 else 1000.0)


@pytest.mark.parametrize("time", [1e300, 2e9, -5.0, 1.0])
def test_a_clock_that_is_wrong_makes_no_endless_axis(time):
    start, end = span([Trial(id="a", status="done", time=time, seconds=600.0)], {}, "all", 1e9)
    assert 0 <= start < end <= 1e9 + 86_400


def test_what_next_names_the_checkpoint_that_the_command_goes_on_from(store):
    live_through(store, "m-1111", Try(saves=[(1, 12), (2, 24)]))
    life, trial = life_of(store, "m-1111")
    assert advice(trial, "silent", life)[0].endswith("goes on from epoch 2:")
    assert story(life, "silent")[-1]["text"] == "nobody has been seen alive since"
    assert advice(trial, "stopped", None)[0].endswith("goes on from the start:")
    failed = Trial(id="m", status="failed", error="the disk is full: /x. Make room.")
    assert advice(failed, "failed", None)[0].startswith("the disk is full: /x. Make room.")


def test_a_trial_that_a_search_has_paused_was_not_stopped_by_anybody(store):
    live_through(store, "m-1111", Try(saves=[(1, 12)], end="stopped", failure={"reason": "paused"}))
    life, trial = life_of(store, "m-1111")
    assert story(life)[-1] == {
        **story(life)[-1],
        "text": "paused by a search, epoch 1 saved",
        "tone": "",
    }
    assert advice(trial, "paused", life)[0].endswith("goes on from epoch 1:")


def test_every_status_has_its_place_in_the_order_of_the_lanes():
    trials = [Trial(id=status, status=status, time=1.0) for status in STATUSES]
    assert {trial.id for trial in in_window(trials, "all", 2.0)} == set(STATUSES)


def test_the_command_of_a_trial_is_that_trial_again():
    settings = {"lr": 0.003, "batch_size": 2, "psp": False, "augment.gamma": 0.1, "seed": 7}
    trial = Trial(id="m-1", status="stopped", settings=settings, dataset="d")
    words = shlex.split(train_command(trial, "/tmp/a store"))
    assert words[:2] == ["python", "flows/train.py"]
    config = build(TrainConfig, cli.parse(TrainConfig, words[2:], prog="train")[0])
    assert flat_settings(config) == flat_settings(TrainConfig()) | settings | {"dataset": "d"}
    assert config.store == "/tmp/a store"


def test_a_hostile_setting_cannot_leave_its_place_in_the_command():
    trial = Trial(id="m-1", status="stopped", settings={"model": "x; rm -rf ~", "$(id)": "1"})
    command = train_command(trial, "s3://b/p")
    assert shlex.split(command)[-4:-2] == ["--model", "x; rm -rf ~"]
    assert "$(id)" not in command

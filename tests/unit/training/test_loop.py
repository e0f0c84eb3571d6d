import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from support.results_store import reader_of
from support.tiny_dataset import CLIPS, draw_cityscapes, make_tiny_dataset

from segnets.app.timeline import read_life
from segnets.config.ids import trial_id, trial_sha256
from segnets.data.reader import open_dataset
from segnets.errors import ConfigError, DatasetError, Diverged, Stopped, TakenOver
from segnets.inference.device import has_bf16
from segnets.losses import LOSSES
from segnets.store.log import claim, read_head, read_history
from segnets.store.open import open_store
from segnets.store.tables import from_parquet
from segnets.store.views import list_views, read_view
from segnets.training import budget
from segnets.training.curves import TIME_COLUMNS
from segnets.training.loop import train

pytestmark = pytest.mark.usefixtures("tiny_net")

STEPS_AN_EPOCH = 3  # 6 clips, batch 2
SETTINGS = [
    {},
    {"ema": 0.0, "optimizer": "sgd", "schedule": "cosine", "clip_grad": 0.0},
    {"threads": 2, "precision": "bf16", "optimizer": "adam", "batch_size": 4},
]


def run(config, dataset, store, **hooks):
    rows = []
    result = train(config, dataset, store, on_epoch=rows.append, **hooks)
    return result, rows


def digests(result):
    return result.weights_sha256, result.state_sha256


def table_without_times(store, trial):
    data = store.get(read_head(store, trial).file("epochs.parquet").key)
    return repr(from_parquet(data).drop_columns(list(TIME_COLUMNS)).to_pylist())


def at_step(number, action):
    """An on_step hook that acts once, after this many updates."""

    def hook(step, total):
        if step == number:
            action()

    return hook


def raises(error):
    def action():
        raise error

    return action


def forget_the_seed():
    """What a fresh process has: random states that nobody set."""
    random.seed()
    np.random.seed()  # noqa: NPY002  # the state that a library might draw from
    torch.seed()
    torch.rand(7)


def damage(store, ref):
    path = store.local_path(ref.key)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_two_runs_have_equal_bits_and_a_second_call_trains_nothing(trial_config, dataset, tmp_path):
    config = trial_config()
    one, two = (open_store(str(tmp_path / name), write=True) for name in ("a", "b"))
    first, rows = run(config, dataset, one)
    forget_the_seed()
    second, _ = run(config, dataset, two)
    assert first == second
    assert table_without_times(one, first.trial) == table_without_times(two, first.trial)
    assert [row["epoch"] for row in rows] == [1, 2]
    again, rows = run(config, dataset, one)
    assert again.reused
    assert not rows
    assert digests(again) == digests(first)


def test_another_seed_gives_other_weights(trial_config, dataset, store):
    results = [run(trial_config(epochs=1, seed=seed), dataset, store)[0] for seed in (0, 1)]
    assert digests(results[0]) != digests(results[1])


@pytest.mark.parametrize("settings", SETTINGS, ids=["default", "no-ema", "bf16-2-threads"])
@pytest.mark.parametrize("stops", [(1,), (3,), (2, 4, 5)], ids=str)
def test_a_run_stopped_by_signals_ends_with_the_bits_of_an_undisturbed_one(
    settings, stops, trial_config, dataset, tmp_path
):
    if settings.get("precision") == "bf16" and not has_bf16("cpu"):
        settings = {**settings, "precision": "fp32"}
    config = trial_config(epochs=2, **settings)
    calm, stormy = (open_store(str(tmp_path / name), write=True) for name in ("calm", "stormy"))
    expected, _ = run(config, dataset, calm)
    expected_steps = read_head(calm, expected.trial).step
    last = 0
    for stop in stops:
        send = at_step(stop, lambda: os.kill(os.getpid(), signal.SIGTERM))
        if stop > expected_steps:
            break
        with pytest.raises(Stopped) as stopped:
            run(config, dataset, stormy, on_step=send)
        assert stopped.value.exit_code == 143
        head = read_head(stormy, expected.trial)
        assert (head.event, head.step) == ("stopped", stop)
        last = stop
        forget_the_seed()
    result, _ = run(config, dataset, stormy)
    assert result.resumed_from["step"] == last
    assert digests(result) == digests(expected)
    attempts = read_life(reader_of(stormy), result.trial).attempts
    resumed = result.resumed_from  # the results app reads the same from the log's note
    assert attempts[-1].resumed == (resumed["epoch"], resumed["step"])
    assert table_without_times(stormy, result.trial) == table_without_times(calm, result.trial)


def test_a_death_in_mid_epoch_goes_on_from_the_save_in_mid_epoch(
    trial_config, dataset, tmp_path, monkeypatch
):
    for name, value in (("AT_LEAST_S", 0.0), ("FIRST_S", 0.0), ("SHARE", 1e9)):
        monkeypatch.setattr(budget, name, value)  # due after every step
    config = trial_config()
    calm, stormy = (open_store(str(tmp_path / name), write=True) for name in ("calm", "stormy"))
    expected, _ = run(config, dataset, calm)
    saved = [(entry.epoch, entry.step) for entry in read_history(calm, expected.trial)]
    assert any(step % STEPS_AN_EPOCH for _, step in saved), saved

    def die_when_saved(step, _):
        if step == 2:
            while read_head(stormy, expected.trial) is None:
                time.sleep(0.01)
            raise GeneratorExit  # no signal, no fault: the nearest to a death that a test outlives

    with pytest.raises(GeneratorExit):
        run(config, dataset, stormy, on_step=die_when_saved)
    forget_the_seed()
    result, _ = run(config, dataset, stormy)
    assert result.resumed_from == {"epoch": 0, "step": 1}
    assert digests(result) == digests(expected)
    assert table_without_times(stormy, result.trial) == table_without_times(calm, result.trial)


def test_sigint_after_the_last_step_of_an_epoch_saves_before_validation(
    trial_config, dataset, store
):
    send = at_step(STEPS_AN_EPOCH, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Stopped) as stopped:
        run(trial_config(), dataset, store, on_step=send)
    assert stopped.value.exit_code == 130
    head = read_head(store, trial_id(trial_config()))
    assert (head.epoch, head.step) == (0, STEPS_AN_EPOCH)
    result, rows = run(trial_config(), dataset, store)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert result.resumed_from == {"epoch": 0, "step": STEPS_AN_EPOCH}


def test_a_fault_appends_failed_with_what_was_saved_last_and_no_new_file(
    trial_config, dataset, store
):
    config = trial_config()
    with pytest.raises(ZeroDivisionError):
        run(config, dataset, store, on_step=at_step(5, raises(ZeroDivisionError("by nought"))))
    *_, before, last = read_history(store, trial_id(config))
    assert (before.event, before.epoch) == ("checkpoint", 1)
    assert (last.event, last.epoch, last.step) == ("failed", 1, STEPS_AN_EPOCH)
    assert last.live == before.live
    assert not last.files
    assert last.metrics["exit_code"] == 1
    assert last.metrics["reason"] == "error"
    assert "by nought" in last.metrics["sentence"]
    view = read_view(store, list_views(store, "trial")[last.id].key)
    assert (view["status"], view["epoch"]) == ("failed", 1)
    assert "by nought" in view["error"]


def test_an_interrupt_that_is_no_signal_of_ours_saves_no_state_of_the_middle(
    trial_config, dataset, store, tmp_path
):
    config = trial_config()
    with pytest.raises(KeyboardInterrupt):
        run(config, dataset, store, on_step=at_step(4, raises(KeyboardInterrupt())))
    head = read_head(store, trial_id(config))
    assert (head.event, head.epoch, head.step) == ("stopped", 1, STEPS_AN_EPOCH)
    forget_the_seed()
    expected, _ = run(config, dataset, open_store(str(tmp_path / "calm"), write=True))
    result, _ = run(config, dataset, store)
    assert result.resumed_from == {"epoch": 1, "step": STEPS_AN_EPOCH}
    assert digests(result) == digests(expected)


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged(
    trial_config, dataset, store, monkeypatch
):
    right = LOSSES["cross_entropy"]
    losses = iter([1, 1, 1, 1, float("nan")])
    monkeypatch.setitem(LOSSES, "cross_entropy", lambda *args: right(*args) * next(losses))
    with pytest.raises(Diverged, match="loss is not finite") as fault:
        run(trial_config(), dataset, store)
    assert fault.value.exit_code == 1
    head = read_head(store, trial_id(trial_config()))
    assert (head.event, head.metrics["reason"], head.epoch) == ("failed", "diverged", 1)
    view = read_view(store, list_views(store, "trial")[head.id].key)
    assert view["status"] == "diverged"


def test_who_is_taken_over_says_nothing_more(trial_config, dataset, store):
    config = trial_config(epochs=4)
    trial = trial_id(config)
    told, taken = [], []

    def take_once_an_epoch_is_saved(step, total):
        if told and not taken:
            taken.append(step)
            claim(store, trial, trial_sha256(config), env={}, take_over=True).close()

    with pytest.raises(TakenOver) as fault:
        train(config, dataset, store, on_epoch=told.append, on_step=take_once_an_epoch_is_saved)
    assert fault.value.exit_code == 5
    events = [entry.event for entry in read_history(store, trial)]
    assert events == ["claim", *["checkpoint"] * len(told), "claim"]
    assert read_head(store, trial).epoch == told[-1]["epoch"]


@pytest.mark.parametrize("name", ["state.pt", "weights.safetensors"])
def test_a_damaged_checkpoint_is_skipped_with_a_note_and_the_bits_stay(
    name, trial_config, dataset, store, tmp_path, caplog
):
    config = trial_config(epochs=4, lr=0.01)
    with pytest.raises(ZeroDivisionError):
        run(config, dataset, store, on_step=at_step(7, raises(ZeroDivisionError())))
    head = read_head(store, trial_id(config))
    assert head.epoch == 2
    newest, older = head.live[-1], head.live[-2]
    ours = {ref.name: ref for ref in newest.files}[name]
    assert ours not in older.files, "the second epoch is better, so it has weights of its own"
    damage(store, ours)
    result, _ = run(config, dataset, store)
    assert result.resumed_from == {"epoch": 1, "step": STEPS_AN_EPOCH}
    assert "epoch 2 cannot be used" in caplog.text
    notes = [note for entry in read_history(store, result.trial) for note in entry.notes]
    assert {"skipped", "resumed"} <= {note.kind for note in notes}
    calm, _ = run(config, dataset, open_store(str(tmp_path / "calm"), write=True))
    assert digests(result) == digests(calm)


def test_a_trial_without_a_whole_checkpoint_begins_again_and_ends_with_the_same_bits(
    trial_config, dataset, store, tmp_path, caplog
):
    config = trial_config(epochs=3)
    with pytest.raises(ZeroDivisionError):
        run(config, dataset, store, on_step=at_step(7, raises(ZeroDivisionError())))
    for live in read_head(store, trial_id(config)).live:
        for ref in live.files:
            if ref.name == "state.pt":
                damage(store, ref)
    result, rows = run(config, dataset, store)
    assert result.resumed_from is None
    assert "it begins again" in caplog.text
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    calm, _ = run(config, dataset, open_store(str(tmp_path / "calm"), write=True))
    assert digests(result) == digests(calm)


def test_what_the_inventory_does_not_name_is_gone(trial_config, dataset, store):
    result, _ = run(trial_config(epochs=5, keep_every=2), dataset, store)
    head = read_head(store, result.trial)
    kept = {live.epoch: set(live.roles) for live in head.live}
    assert kept[5] >= {"last", "final"}
    assert kept[4] >= {"last", "every"}
    assert kept[2] >= {"every"}
    assert "best" in kept[result.best_epoch]
    stored = {listed.key for listed in store.list(f"obj/trial/{result.trial}/")}
    assert stored == head.live_keys()


def test_a_batch_larger_than_the_set_is_refused(trial_config, dataset, store):
    with pytest.raises(ConfigError, match="larger than the 6 training clips") as fault:
        run(trial_config(batch_size=7), dataset, store)
    assert "--batch-size 7" in str(fault.value)
    assert not store.list("log/")


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_a_labelled_pixel_is_refused_before_the_first_step(
    trial_config, store, tmp_path, split
):
    draw_cityscapes(tmp_path / "data", CLIPS)
    for path in (tmp_path / "data" / "gtFine" / split).rglob("*.png"):
        path.unlink()
    made = make_tiny_dataset(tmp_path / "data", store)
    with (
        open_dataset(store, made) as unlabelled,
        pytest.raises(DatasetError, match=f"no pixel of {split} has a label"),
    ):
        run(trial_config(dataset=made), unlabelled, store)
    assert not store.list("log/trial/")

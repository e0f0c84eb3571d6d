"""Weights from elsewhere as a trial: on the leaderboard, scored, ready for evaluate and predict."""

import json

import pytest
import torch
from safetensors.torch import save
from support.tiny_dataset import draw_cityscapes, make_tiny_dataset

from segnets.app.read import Reader
from segnets.config.build import build as build_config
from segnets.config.train import TrainConfig
from segnets.grid.plan import find_best
from segnets.models.registry import build
from segnets.store.log import read_head
from segnets.store.open import open_store
from segnets.store.verify import Found, verify
from segnets.training.checkpoint import load_model
from tasks.adopt import main

OURS = {"model": "resnet_convlstm", "psp": False, "temporal": "none"}
STUDENTS = {"model": "resnet_lstm", "psp": False, "temporal": "convlstm"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store that has a dataset, and the dataset's id."""
    folder = tmp_path_factory.mktemp("adopt")
    draw_cityscapes(folder / "data", {"train": 2, "val": 2})
    store = open_store(str(folder / "store"), write=True)
    return folder, make_tiny_dataset(folder / "data", store, folder / "cache")


def state_of(settings):
    torch.manual_seed(1)
    model = build(build_config(TrainConfig, {**settings, "dataset": "d"}))
    return {name: one.contiguous() for name, one in model.state_dict().items()}


def run(capfd, folder, *words):
    capfd.readouterr()
    store = [] if "--store" in words else ["--store", str(folder / "store")]
    code = main([*map(str, words), *store, "--cache", str(folder / "cache"), "--quiet"])
    told = capfd.readouterr()
    (line,) = told.out.splitlines()
    return code, json.loads(line), told.err


def test_weights_become_a_trial_that_is_done_and_scored(place, capfd):
    folder, dataset = place
    (folder / "ours.safetensors").write_bytes(save(weights := state_of(OURS)))
    code, told, err = run(capfd, folder, folder / "ours.safetensors")
    assert code == 0, err
    assert (told["status"], told["reused"], told["dataset"]) == ("done", False, dataset)
    store = open_store(str(folder / "store"), write=False)
    loaded = load_model(store, told["trial"])
    assert all(torch.equal(loaded.module.state_dict()[name], one) for name, one in weights.items())
    assert find_best(store, dataset).trial == told["trial"]
    verify(store, "trial", told["trial"], found := Found())
    assert found.faults == []

    again, twice, _ = run(capfd, folder, folder / "ours.safetensors")
    assert (again, twice["reused"]) == (0, True)
    assert {**twice, "reused": False, "seconds": told["seconds"]} == told


def test_a_students_file_brings_its_losses_and_sees_the_last_frame_only(place, capfd):
    folder, _ = place
    content = {
        "use_psp": "False",
        "lr": 0.001,
        "batch_size": 4,
        "loss_list": [2.5, 1.5, 1.25],
        "val_loss_list": [2.75, 2.0, 1.75],
        "state_dict": state_of(STUDENTS),
    }
    torch.save(content, folder / "old model.pt")
    code, told, err = run(capfd, folder, folder / "old model.pt")
    assert code == 0, err
    store = open_store(str(folder / "store"), write=False)
    loaded = load_model(store, told["trial"])
    clips = torch.randn(1, 3, 3, 32, 64, requires_grad=True)
    loaded.module(clips).sum().backward()
    assert (clips.grad.abs().sum((0, 2, 3, 4)) > 0).tolist() == [False, False, True]

    reader = Reader(store.url, lambda: store)
    shown = reader.look().trials[told["trial"]]
    assert (shown.status, shown.epoch, shown.epochs) == ("done", 3, 3)
    assert shown.settings["adopted"] == "old model.pt"
    assert shown.settings["lr"] == 0.001
    assert shown.miou == pytest.approx(told["val_miou"])
    losses = [row["loss"] for row in reader.curve(told["trial"]) if row["split"] == "val"]
    assert losses == [2.75, 2.0, 1.75]

    code, over_time, err = run(capfd, folder, folder / "old model.pt", "--over-time")
    assert code == 0, err
    assert over_time["trial"] != told["trial"]
    loaded = load_model(store, over_time["trial"])
    clips.grad = None
    loaded.module(clips).sum().backward()
    assert (clips.grad.abs().sum((0, 2, 3, 4)) > 0).all()


def test_an_adoption_that_was_cut_off_goes_on(place, capfd, monkeypatch):
    folder, _ = place
    (folder / "cut.safetensors").write_bytes(save(state_of({**OURS, "temporal": "mean"})))
    monkeypatch.setattr("tasks.adopt.run_job", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(capfd, folder, folder / "cut.safetensors")
    monkeypatch.undo()
    code, told, err = run(capfd, folder, folder / "cut.safetensors")
    assert (code, told["reused"]) == (0, False), err
    store = open_store(str(folder / "store"), write=False)
    assert read_head(store, told["trial"]).event == "done"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["{folder}/none.pt"], 2, "cannot be read (No such file"),
        (["{folder}"], 2, "cannot be read (Is a directory"),
        (["{folder}/text"], 2, "neither a safetensors file"),
        (["{folder}/text", "--dataset", "nosuch"], 3, "there is no dataset nosuch"),
        (["{folder}/text", "--store", "{folder}/empty"], 2, "has 0 datasets"),
    ],
)
def test_a_fault_is_one_sentence(place, capfd, words, code, says):
    folder, _ = place
    (folder / "text").write_text("these are no weights")
    found, told, err = run(capfd, folder, *(word.format(folder=folder) for word in words))
    assert found == code
    assert told["error"]["exit_code"] == code
    assert says in told["error"]["sentence"]
    assert err.count("error: ") == 1
    assert "Traceback" not in err

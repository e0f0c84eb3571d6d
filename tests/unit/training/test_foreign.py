"""Files of weights that somebody else wrote: which model they are of, and what is refused."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save

from segnets.config.build import build as build_config
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError
from segnets.models.registry import build
from segnets.training.foreign import _all_models, read_weights

OURS = {"model": "resnet_convlstm", "psp": False, "temporal": "none"}
STUDENTS = {"model": "resnet_lstm", "psp": False, "temporal": "convlstm"}


def state_of(settings):
    torch.manual_seed(0)
    return dict(build(build_config(TrainConfig, {**settings, "dataset": "d"})).state_dict())


@pytest.fixture(scope="module")
def ours():
    return state_of(OURS)


@pytest.fixture(scope="module")
def students():
    return state_of(STUDENTS)


def saved(content):
    data = io.BytesIO()
    torch.save(content, data)
    return data.getvalue()


def refused(data):
    with pytest.raises(ConfigError) as caught:
        read_weights(data, "there.pt")
    assert "\n" not in str(caught.value)
    assert "there.pt" in str(caught.value)
    return str(caught.value)


def test_no_two_models_have_the_same_names():
    names = []
    for settings in _all_models():
        with torch.device("meta"):
            model = build(build_config(TrainConfig, {**settings, "dataset": "d"}))
        names.append(frozenset(model.state_dict()))
    assert len(set(names)) == len(names) >= 8


@pytest.mark.parametrize("form", ["safetensors", "state dict", "parallel", "inside"])
def test_our_own_weights_are_known_in_each_form(ours, form):
    data = {
        "safetensors": lambda: save({name: one.contiguous() for name, one in ours.items()}),
        "state dict": lambda: saved(ours),
        "parallel": lambda: saved({f"module.{name}": one for name, one in ours.items()}),
        "inside": lambda: saved({"state_dict": ours, "epoch": 3}),
    }[form]()
    found = read_weights(data, "there")
    assert found.settings == OURS
    assert not found.over_batch
    assert not found.losses
    assert all(torch.equal(found.tensors[name], one) for name, one in ours.items())


@pytest.mark.parametrize("number", [float, np.float64, np.float32])
def test_a_students_file_is_read_with_what_it_tells_of_its_training(students, number):
    """`use_psp` is the string "False", which is true; the names say what the model is."""
    content = {
        "batch_size": 4,
        "epoch": 2,
        "lr": 0.001,
        "optimizer_name": "Adam",
        "use_psp": "False",
        "model_name": "m",
        "loss_list": [number(2.5), number(1.5)],
        "val_loss_list": [number(2.75), number("nan")],
        "train_iou": [number(1.05)],
        "val_iou": [],
        "state_dict": students,
    }
    found = read_weights(saved(content), "there")
    assert found.settings == STUDENTS
    assert found.over_batch
    assert found.trained == {"lr": 0.001, "batch_size": 4}
    assert found.losses["train"] == [2.5, 1.5]
    assert found.losses["val"][0] == 2.75
    assert np.isnan(found.losses["val"][1])


class RunsCode:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (os.mkdir, (self.target,))


def test_a_file_that_runs_code_is_refused_and_runs_nothing(ours, tmp_path):
    data = saved({"state_dict": ours, "use_psp": "True", "loss_list": RunsCode(tmp_path / "ran")})
    assert "mkdir" in refused(data)
    assert not (tmp_path / "ran").exists()


def test_a_file_whose_records_are_packed_is_refused(ours):
    old, new = zipfile.ZipFile(io.BytesIO(saved(ours))), io.BytesIO()
    with zipfile.ZipFile(new, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for one in old.infolist():
            archive.writestr(one.filename, old.read(one))
    assert "compressed" in refused(new.getvalue())


@pytest.mark.parametrize("data", [b"", b"no weights", b"\x80\x02}q\x00."])
def test_what_is_no_file_of_weights_is_refused(data):
    assert "neither a safetensors file nor a zip" in refused(data)


def test_a_cut_file_is_refused(ours):
    whole = saved(ours)
    refused(whole[: len(whole) // 2])


def test_weights_of_another_model_are_refused_with_the_names_of_ours(ours):
    assert "resnet_convlstm, resnet_lstm" in refused(saved({"layer.weight": torch.zeros(3)}))
    wrong = {**ours, next(iter(ours)): torch.zeros(3)}
    assert "has shape" in refused(saved(wrong))


@pytest.mark.parametrize(
    "content", [[1, 2], {"state_dict": {}}, {"state_dict": 3, "use_psp": "x"}, {1: 2}]
)
def test_a_file_without_a_state_dict_is_refused(content):
    refused(saved(content))

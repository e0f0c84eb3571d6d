import pytest
import torch
from support.tiny_dataset import CLIPS, draw_cityscapes

from segnets.config.build import build
from segnets.config.preprocess import PreprocessConfig
from segnets.data.convert import make_dataset
from segnets.data.reader import open_dataset
from segnets.errors import ConfigError, Corrupt, NotInStore
from segnets.models.registry import MODELS
from segnets.store.entry import digest_of
from segnets.store.log import read_head
from segnets.store.open import open_source
from segnets.training.checkpoint import load_model
from segnets.training.loop import train


@pytest.fixture
def trained(tiny_net, trial_config, dataset, store):
    return train(trial_config(), dataset, store, on_epoch=lambda _: None)


def test_a_loaded_model_is_the_best_epoch_in_eval_mode_with_what_its_clips_must_look_like(
    trained, dataset, store, trial_config
):
    loaded = load_model(store, trained.trial)
    assert loaded.config == trial_config()
    assert not loaded.module.training
    assert loaded.weights_sha256 == trained.weights_sha256
    assert loaded.best_epoch == trained.best_epoch
    assert (loaded.dataset, loaded.height, loaded.width) == (dataset.id, 32, 64)
    assert (loaded.clip_frames, loaded.stride) == (2, 1)
    assert list(loaded.mean) == dataset.mean
    assert loaded.env["threads"] == 1
    with torch.inference_mode():
        logits = loaded.module(torch.zeros(1, 2, 3, 32, 64))
    assert logits.shape == (1, 19, 32, 64)
    ref = read_head(store, trained.trial).file("weights.safetensors")
    assert digest_of(store.get(ref.key)) == trained.weights_sha256


def test_an_unknown_trial_is_not_in_the_store(store):
    with pytest.raises(NotInStore, match="no trial of this id") as fault:
        load_model(store, "resnet_convlstm-00000000")
    assert fault.value.exit_code == 3


def test_weights_of_another_architecture_are_corrupt(trained, store, monkeypatch):
    monkeypatch.setitem(MODELS, "resnet_convlstm", lambda _: torch.nn.Conv2d(3, 19, 1))
    with pytest.raises(Corrupt, match="the names of its weights"):
        load_model(store, trained.trial)


def test_damaged_weights_are_corrupt(trained, store):
    path = store.local_path(read_head(store, trained.trial).file("weights.safetensors").key)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="not what was sealed"):
        load_model(store, trained.trial)


def test_clips_of_another_shape_are_refused_with_the_command_that_makes_such(
    trained, store, tmp_path
):
    loaded = load_model(store, trained.trial)
    draw_cityscapes(tmp_path / "data", CLIPS)
    config = {"data": str(tmp_path / "data"), "height": 32, "width": 64, "clip_frames": 1}
    made = make_dataset(
        open_source(config["data"]), build(PreprocessConfig, config), store, name="single"
    )
    with (
        open_dataset(store, made.dataset) as single,
        pytest.raises(ConfigError, match="1 frames at stride 1, the model's 2 at 1") as fault,
    ):
        loaded.check_clips(single)
    assert "--clip-frames 2 --stride 1" in str(fault.value)

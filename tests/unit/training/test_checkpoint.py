import pytest
import torch

from segnets.errors import Corrupt, NotInStore
from segnets.models.registry import MODELS
from segnets.store.entry import digest_of
from segnets.store.log import read_head
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

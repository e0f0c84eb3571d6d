"""Trials as training would leave them, without training."""

import pytest

from segnets.config.ids import trial_id, trial_sha256
from segnets.store.log import claim
from segnets.store.open import open_store

DATASET = "tiny-32x64-2f-00000000"


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"), write=True)


@pytest.fixture
def commit(store):
    """A function that adds one entry of a trial to the store, with its summary."""

    def write(config, event="done", *, seconds=60.0, epoch=None, **metrics):
        trial = trial_id(config)
        diverged = metrics.get("reason") == "diverged"
        status = "running" if event == "checkpoint" else "diverged" if diverged else event
        epoch = config.epochs if epoch is None else epoch
        view = {
            "id": trial,
            "dataset": config.dataset,
            "model": config.model,
            "status": status,
            "epoch": epoch,
            "epochs": config.epochs,
            "seconds": seconds,
        }
        with claim(store, trial, trial_sha256(config), env={}, take_over=True) as log:
            log.commit(event, epoch=epoch, step=3, files=(), live=(), metrics=metrics, view=view)

    return write


@pytest.fixture
def hold(store):
    """A function that claims a trial, whose process then looks alive until its log is closed."""
    held = []

    def claimed(config):
        log = claim(store, trial_id(config), trial_sha256(config), env={}, take_over=True)
        held.append(log)
        return log

    yield claimed
    for log in held:
        log.close()

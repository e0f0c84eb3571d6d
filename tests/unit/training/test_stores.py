"""One trial, three kinds of store, one result."""

import os
import signal

import pytest
from support.servers import S3Server

from segnets.errors import Stopped
from segnets.store.open import open_store
from segnets.training.loop import train

pytestmark = [pytest.mark.s3, pytest.mark.usefixtures("tiny_net")]


@pytest.fixture(params=["s3_server", "conditional_s3_server"])
def bucket(request, monkeypatch):
    server: S3Server = request.getfixturevalue(request.param)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, text in server.env.items():
        monkeypatch.setenv(name, text)
    return open_store(f"s3://{server.bucket}/t{os.urandom(6).hex()}", write=True, wait_s=20)


def test_a_stopped_trial_on_s3_ends_with_the_bits_of_a_calm_one_in_a_folder(
    bucket, trial_config, dataset, store
):
    config = trial_config()

    def stop(step, total):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        train(config, dataset, bucket, on_epoch=lambda _: None, on_step=stop)
    resumed = train(config, dataset, bucket, on_epoch=lambda _: None)
    calm = train(config, dataset, store, on_epoch=lambda _: None)
    assert resumed.resumed_from == {"epoch": 1, "step": 4}
    assert resumed.weights_sha256 == calm.weights_sha256
    assert resumed.state_sha256 == calm.state_sha256

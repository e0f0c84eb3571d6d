"""STUB of flows/train.py, for benchmarks/bench_grid.py: sleeps, then seals what a trained trial leaves."""

import json
import os
import time
from pathlib import Path

from segnets.config.ids import trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.store.bag import Bag
from segnets.store.log import claim
from segnets.store.open import open_store
from tasks.evaluate import val_job
from tasks.runs import flow

SHA = "0" * 64


@flow(name="train")
def train_flow(config: TrainConfig) -> dict[str, str]:
    """A trial that only sleeps."""
    trial, began = trial_id(config), time.time()
    time.sleep(float(os.environ["BENCH_SLEEP_S"]))
    store = open_store(config.store, write=True)
    scores = dict.fromkeys(("val_miou", "val_miou_last", "val_loss", "pixel_accuracy"), config.lr)
    scores |= {"best_epoch": 1, "weights_sha256": SHA, "state_sha256": SHA}
    log = claim(store, trial, trial_sha256(config), env={}, take_over=config.take_over)
    log.commit("done", epoch=1, step=1, files=[], live=[], metrics=scores, view={})
    log.close()
    job = val_job(trial, SHA, config.dataset)
    Bag(store, "eval", job.id, job.sha256).put_done({})
    with Path(os.environ["BENCH_STARTS"]).open("a") as file:
        file.write(json.dumps([trial, began]) + "\n")
    return {"trial": trial}

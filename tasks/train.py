"""Tasks of the train flow: find the trial complete, or train it from its last checkpoint on."""

import logging
from dataclasses import replace

from segnets.config.ids import trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.errors import NotInStore
from segnets.grid.plan import longer_or_shorter
from segnets.store.bag import read_done
from segnets.store.base import Store
from segnets.store.log import read_head
from segnets.store.open import open_store
from segnets.training.result import TrialResult, result_of
from tasks.display import EpochReport, live_bar
from tasks.evaluate import val_eval_id
from tasks.preprocess import SYNTHETIC, find_dataset, make_streets, settings_for, streets_id
from tasks.ranks import train_here, train_on_ranks
from tasks.runs import step

logger = logging.getLogger("segnets.tasks")


@step(task_run_name="dataset")
def with_dataset(config: TrainConfig) -> TrainConfig:
    """The config with a dataset id in it; street scenes are made if they are not there."""
    if config.dataset != SYNTHETIC:
        return config
    return replace(config, dataset=make_streets(settings_for(config)).dataset)


@step(task_run_name="find-{config.model}")
def find_complete(config: TrainConfig) -> TrialResult | None:
    """The result of a trial that is complete: its head done and its best weights scored on val."""
    store = open_store(config.store, write=False, wait_s=60 * config.store_wait)
    found = complete_result(store, config)
    if found is not None:
        logger.info("trial %s is complete, nothing is trained again", found.trial)
    return found


@step(task_run_name="train-{config.model}")
def train_trial(config: TrainConfig) -> TrialResult:
    """Train the trial, going on from its last sealed checkpoint."""
    store = open_store(config.store, write=True, wait_s=60 * config.store_wait)
    if find_dataset(store, config.dataset) is None:
        raise unknown_dataset(store, config.dataset)
    trial = trial_id(config)
    if read_head(store, trial) is None:
        for other in longer_or_shorter(store, config):
            logger.info("a new trial: %s is another one, nothing of it is taken over", other)
    with (
        EpochReport(trial, config.epochs) as on_epoch,
        live_bar(trial, quiet=config.quiet) as on_step,
    ):
        if config.ranks > 1:
            result = train_on_ranks(config, on_epoch=on_epoch, on_step=on_step)
        else:
            result = train_here(config, store, on_epoch=on_epoch, on_step=on_step)
    return result


def complete_result(store: Store, config: TrainConfig) -> TrialResult | None:
    """The result of a complete trial, from its sealed head; None if something is missing."""
    trial = trial_id(config)
    head = read_head(store, trial, trial_sha256(config))
    if head is None or head.event != "done":
        return None
    scored = val_eval_id(trial, head.metrics["weights_sha256"], config.dataset)
    if read_done(store, "eval", scored) is None:
        return None
    return result_of(config, head, reused=True)


def name_of(config: TrainConfig) -> dict[str, str]:
    """The id of a trial whose dataset may not be drawn yet."""
    if config.dataset == SYNTHETIC:
        config = replace(config, dataset=streets_id(settings_for(config)))
    return {"trial": trial_id(config)}


def is_complete(store: Store, config: TrainConfig) -> bool:
    """Whether the trial is trained and its best weights are scored."""
    return complete_result(store, config) is not None


def unknown_dataset(store: Store, dataset: str) -> NotInStore:
    """The fault of a dataset id that the store does not hold."""
    return NotInStore(
        f"there is no dataset {dataset}",
        f"store {store.url}",
        "Make it with python flows/preprocess.py, or look for its id with python -m segnets.store ls.",
    )

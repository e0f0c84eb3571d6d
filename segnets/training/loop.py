"""Train one trial: epochs and steps, from its last sealed checkpoint to `done`. Read this first.

    read the head -> claim -> build from the seed -> put back the newest whole checkpoint
    each epoch: steps in the order of (seed, epoch) -> validate -> save in the background
    --pause-at: the epoch ends, is saved, and one last entry says `stopped`
    in mid-epoch: save when the last save is long enough ago for what one costs (budget.py)
    a signal: the step ends, save, raise Stopped;  a fault: one last entry without new blobs
    --ranks: rank 0 does all of this, the others `follow` (distributed.py)

Two rules hold everywhere. State is saved between steps only, never in the middle of one; and people are
told that an epoch is saved only after its commit.
"""

import logging
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from segnets.config.ids import trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.data.augment import augment
from segnets.data.batches import Batch, iter_batches
from segnets.data.order import epoch_order
from segnets.data.reader import ClipDataset
from segnets.data.stats import class_weights
from segnets.errors import (
    ConfigError,
    DatasetError,
    Stopped,
)
from segnets.inference.device import Runtime, resolve_runtime
from segnets.inference.evaluate import SplitScore, score_split
from segnets.losses import LOSSES
from segnets.models.registry import build
from segnets.signals import StopRequest, catch_stop
from segnets.store.base import Store
from segnets.store.log import TrialLog, claim, read_env, read_head
from segnets.training.checkpoint import model_bytes, resume
from segnets.training.curves import epoch_row
from segnets.training.distributed import ALONE, Ranks, set_synced, sync_norms
from segnets.training.optim import Ema, build_optimizer, set_learning_rate
from segnets.training.outcome import rank, refresh_done
from segnets.training.record import NoRecord, OnEpoch, Record
from segnets.training.result import TrialResult, is_paused, result_of
from segnets.training.schedule import learning_rate
from segnets.training.state import TrainState, restore, seed_everything, snapshot
from segnets.training.step import Totals, train_step
from segnets.training.uploader import Retention, Saver

logger = logging.getLogger("segnets.training")

OnStep = Callable[[int, int], None]


def train(
    config: TrainConfig,
    dataset: ClipDataset,
    store: Store,
    *,
    on_epoch: OnEpoch,
    on_step: OnStep | None = None,
    ranks: Ranks = ALONE,
) -> TrialResult:
    """Train the trial of `config` to its end or pause, going on from its newest checkpoint.

    `config.dataset` is the id of `dataset`. `on_epoch` gets a row of plain numbers after each epoch
    that is committed, `on_step` the step and the number of all steps; both are called between steps.
    With several `ranks` this is rank 0, and the others `follow`.
    Raises TakenOver, Diverged, Stopped (after saving), ConfigError, DatasetError, StoreError.
    """
    assert config.dataset == dataset.id, (config.dataset, dataset.id)
    trial, sha256 = trial_id(config), trial_sha256(config)
    head = read_head(store, trial, sha256)
    if head is not None and head.event == "done":
        logger.info("trial %s is done, nothing to train", trial)
        refresh_done(store, config, head)
        return result_of(config, head, reused=True)
    if head is not None and is_paused(config, head):
        logger.info("trial %s has epoch %d already: paused", trial, head.epoch)
        return result_of(config, head, reused=True)
    _check_dataset(config, dataset)
    runtime = resolve_runtime(config, read_env(store, trial))
    runtime.apply()
    with claim(store, trial, sha256, env=runtime.env(), take_over=config.take_over) as log:
        if log.head is not None and log.head.event == "done":  # somebody finished it meanwhile
            return result_of(config, log.head, reused=True)
        session = _Session(config, dataset, runtime, on_step, ranks)
        session.run(store, log, on_epoch)
        assert log.head is not None
        return result_of(config, log.head, reused=False, resumed_from=session.resumed_from)


def follow(config: TrainConfig, dataset: ClipDataset, ranks: Ranks, begin: dict[str, Any]) -> None:
    """On a rank above 0: make rank 0's steps with it, from the state in `begin`, until it leaves.

    Raises Stopped where rank 0 stops, RankLost where it has gone.
    """
    assert ranks.rank > 0
    runtime = Runtime(
        device=str(ranks.device),
        precision=begin["precision"],
        threads=begin["threads"],
        ranks=ranks.size,
    )
    runtime.apply()
    _Session(config, dataset, runtime, None, ranks).follow(begin)


def _check_dataset(config: TrainConfig, dataset: ClipDataset) -> None:
    train_clips, val_clips = (len(dataset.clips.get(split, ())) for split in ("train", "val"))
    if not train_clips or not val_clips:
        raise DatasetError(
            f"training needs clips to train on and to validate on, there are {train_clips} and "
            f"{val_clips}",
            f"dataset {dataset.id}",
            "Make a dataset with train and val splits: python flows/preprocess.py --help.",
        )
    for split in ("train", "val"):
        if not any(dataset.stats["class_pixels"].get(split, ())):
            raise DatasetError(
                f"no pixel of {split} has a label",
                f"dataset {dataset.id}",
                f"Put the labelIds of {split} below gtFine and run python flows/preprocess.py again.",
            )
    if config.batch_size > train_clips:
        raise ConfigError(
            f"a batch is larger than the {train_clips} training clips there are",
            f"--batch-size {config.batch_size}",
            f"Take {train_clips} or less.",
        )


class _Session:
    """One attempt at one trial: its state, its position, its steps."""

    def __init__(
        self,
        config: TrainConfig,
        dataset: ClipDataset,
        runtime: Runtime,
        on_step: OnStep | None,
        ranks: Ranks,
    ) -> None:
        self.config, self.dataset, self.runtime = config, dataset, runtime
        self.on_step, self.ranks = on_step, ranks
        self.clips = dataset.clips["train"]
        self.steps_per_epoch = -(-len(self.clips) // config.batch_size)  # the last one is smaller
        self.device = torch.device(runtime.device)
        weights = class_weights(dataset.class_pixels, config.class_weights)
        self.weights = torch.as_tensor(weights, dtype=torch.float32, device=self.device)
        self.loss = LOSSES[config.loss]
        self.resumed_from: dict[str, int] | None = None
        self.train_clips_s = 0.0
        self.is_loaded = False
        self.record: Record | NoRecord = NoRecord()
        self.stop = StopRequest()

    # ---- begin

    def build_state(self) -> TrainState:
        """Model, average and optimiser as the seed makes them."""
        seed_everything(self.config.seed)
        module = build(self.config).to(self.device)
        self.norms = sync_norms(module) if self.ranks.size > 1 else []
        return TrainState(
            module=module,
            ema=Ema(module, self.config.ema) if self.config.ema > 0 else None,
            optimizer=build_optimizer(module, self.config),
            total_steps=self.config.epochs * self.steps_per_epoch,
        )

    def load(self, store: Store, log: TrialLog, on_epoch: OnEpoch) -> Record:
        """Put back the newest checkpoint that is whole; without one, begin at step 0."""
        self.state = self.build_state()
        resumed = resume(log, store, self.state, self.next_keys)
        if resumed is None and log.head is not None and log.head.live:
            logger.warning("no checkpoint of trial %s is whole: it begins again", log.id)
            self.state = self.build_state()  # a refused checkpoint may have set random states
        state = self.state
        retention = Retention(self.config.keep_last, self.config.keep_every, self.steps_per_epoch)
        saver = Saver(log, retention, model_bytes(self.config, self.dataset, log.id), resumed)
        if resumed is not None:
            saver.begin_at(state.epoch, state.step, state.best)
            self.resumed_from = {"epoch": state.epoch, "step": state.step}
            text = (
                f"goes on from the checkpoint of epoch {state.epoch} "
                f"(step {state.step}, lr {self._rate():.3g}, digest {resumed.digest[:8]})"
            )
            logger.info("trial %s %s", log.id, text)
            log.note("resumed", text)
        env = self.runtime.env()
        if self.ranks.size > 1:
            taken = snapshot(state, self.next_keys(), env)
            runtime = {"precision": self.runtime.precision, "threads": self.runtime.threads}
            self.ranks.begin({"state": taken, **runtime})
        return Record(self.config, log, saver, state, env, self.next_keys, on_epoch)

    def follow(self, begin: dict[str, Any]) -> None:
        """Take the state of rank 0 and go the same way."""
        self.state = self.build_state()
        restore(self.state, begin["state"], "the state of rank 0")
        self._all_epochs(attempt=0)

    # ---- run

    def run(self, store: Store, log: TrialLog, on_epoch: OnEpoch) -> None:
        """Load, train, save; whatever ends it is told in the log as far as that is allowed."""

        def hurry(seconds: float) -> None:
            if not self.is_loaded:  # else `Record.stop` decides how long to wait, and for what
                log.hurry(seconds)

        with catch_stop(hurry) as stop:
            self.stop = stop
            record = self.record = self.load(store, log, on_epoch)  # no entry before it has loaded
            self.is_loaded = True
            try:
                try:
                    self._all_epochs(log.attempt)
                except Stopped:
                    if stop.signum is None:
                        raise  # not ours: it may have come in the middle of a step
                    record.stop()
                    raise
            except BaseException as error:
                if not (isinstance(error, Stopped) and stop.signum is not None):
                    record.tell_end(error)
                raise

    def _all_epochs(self, attempt: int) -> None:
        state, event = self.state, "checkpoint"
        last = min(self.config.epochs, self.config.pause_at or self.config.epochs)
        while state.epoch < last:
            self._train_epoch()
            self._validate(attempt)
            event = "done" if state.epoch == self.config.epochs else "checkpoint"
            self.record.save(event, self.stop.raise_if_requested)
        if state.epoch < self.config.epochs:
            self.record.pause(self.stop.raise_if_requested)
            return
        if event != "done":  # the last epoch was saved, its `done` was not
            self.record.save("done", self.stop.raise_if_requested)
        self.record.finish(self.stop.raise_if_requested)

    def _train_epoch(self) -> None:
        """The steps of one epoch, from the samples already seen on."""
        state, config = self.state, self.config
        epoch = state.epoch + 1
        if state.samples == 0:
            state.totals = Totals()
        state.module.train()  # without averaged weights, validation has set it to eval
        began, first = time.monotonic(), state.totals.clips
        batches = iter_batches(
            self.dataset,
            "train",
            batch_size=config.batch_size,
            order=self._order(epoch),
            start=state.samples,
            workers=config.workers,
            pin=self.device.type == "cuda",
            share=self.ranks.share,
        )
        before = began
        with closing(batches):  # type: ignore[type-var]  # a generator, typed as an iterator
            for batch in batches:
                self._one_step(batch, epoch)
                self.record.collect()
                if self.on_step is not None:
                    self.on_step(state.step, state.total_steps)
                self._leave_if_asked()
                before, last = time.monotonic(), before
                self.record.save_if_due(before - last)
        state.samples = len(self.clips)
        seconds = time.monotonic() - began
        self.train_clips_s = (state.totals.clips - first) / max(seconds, 1e-9)

    def _one_step(self, batch: Batch, epoch: int) -> None:
        state, config = self.state, self.config
        began = time.monotonic()
        num_clips = min(config.batch_size, len(self.clips) - state.samples)  # of all ranks
        is_divided = self.ranks.splits(num_clips)
        set_synced(self.norms, on=is_divided)
        batch = self._on_device(batch)
        clips, labels = augment(
            batch,
            config.augment,
            mean=self.dataset.mean,
            std=self.dataset.std,
            seed=config.seed,
            epoch=epoch,
        )
        set_learning_rate(state.optimizer, self._rate())
        result = train_step(
            state.module,
            state.optimizer,
            clips,
            labels,
            loss=self.loss,
            weights=self.weights,
            clip_grad=config.clip_grad,
            autocast=self.runtime.autocast,
            ranks=self.ranks if is_divided else ALONE,
        )
        # from here to the end of the function nothing may raise: the state is whole again after it
        state.step += 1
        state.samples += num_clips
        if result is not None:
            state.totals.add(result, num_clips)
            if state.ema is not None:
                state.ema.update(state.step)
        state.seconds += time.monotonic() - began

    def _validate(self, attempt: int) -> None:
        """Score the epoch, add its two rows, and count it as finished."""
        state, config = self.state, self.config
        began = time.monotonic()

        def between_batches(*_: object) -> None:
            self.record.collect()
            self.stop.raise_if_requested()  # the state is whole: all of the epoch's steps are made

        scored = score_split(
            state.scored,
            self.dataset,
            "val",
            runtime=self.runtime,
            batch_size=config.batch_size,
            weights=self.weights,
            on_batch=between_batches,
            order=self.ranks.share(range(len(self.dataset.clips["val"]))),
        )
        scored = self._over_ranks(scored)
        seconds = time.monotonic() - began
        state.seconds += seconds
        common = {"attempt": attempt, "epoch": state.epoch + 1, "step": state.step}
        train_row = epoch_row(
            "train",
            state.totals.counts.numpy(),
            loss=state.totals.loss,
            lr=self._rate(state.step - 1),
            grad_norm=state.totals.grad_norm,
            clips_s=self.train_clips_s,
            seconds_saving=self.record.take_seconds_blocking(),
            **common,
        )
        val_row = epoch_row(
            "val",
            scored.counts,
            loss=scored.loss,
            clips_s=len(self.dataset.clips["val"]) / max(seconds, 1e-9),
            **common,
        )
        state.rows += [train_row, val_row]
        state.epoch, state.samples = state.epoch + 1, 0
        if state.best is None or rank(val_row) > rank(state.best):  # ties to the earlier epoch
            state.best = {
                name: val_row[name] for name in ("epoch", "step", "miou", "loss", "pixel_accuracy")
            }

    # ---- ranks

    def _leave_if_asked(self) -> None:
        """After a step: whether all of them leave is rank 0's word."""
        if not self.ranks.agreed(asked=self.stop.signum is not None):
            return
        self.stop.raise_if_requested()
        raise Stopped(signal.SIGTERM)

    def _over_ranks(self, scored: SplitScore) -> SplitScore:
        """The score of a split whose shares the ranks have scored."""
        if not self.ranks.splits(len(self.dataset.clips["val"])):
            return scored
        sums = torch.tensor(
            [scored.loss_sum, scored.weight_sum], dtype=torch.float64, device=self.device
        )
        counts = torch.as_tensor(scored.counts, device=self.device)
        loss_sum, weight_sum = self.ranks.sum(sums).tolist()
        return SplitScore(loss_sum, weight_sum, self.ranks.sum(counts).cpu().numpy())

    # ---- positions

    def _order(self, epoch: int) -> list[int]:
        return [int(i) for i in epoch_order(len(self.clips), self.config.seed, epoch)]

    def next_keys(self) -> list[str]:
        """Sample keys of the next batch; none where only validation is left of the epoch."""
        state = self.state
        if state.epoch >= self.config.epochs:
            return []
        order = self._order(state.epoch + 1)[state.samples :][: self.config.batch_size]
        return [f"train/{self.clips[index].name}" for index in order]

    def _rate(self, step: int | None = None) -> float:
        """Learning rate of the update after `step` updates; by default of the next one."""
        config, total = self.config, self.state.total_steps
        return learning_rate(
            min(self.state.step if step is None else step, total - 1),
            total,
            peak=config.lr,
            schedule=config.schedule,
            warm_up=config.warm_up,
        )

    def _on_device(self, batch: Batch) -> Batch:
        if self.device.type == "cpu":
            return batch
        frames: Tensor = batch.frames.to(self.device, non_blocking=True)
        labels: Tensor = batch.labels.to(self.device, non_blocking=True)
        return replace(batch, frames=frames, labels=labels)

"""Tasks of the predict flow: which trial, which frames, and the masks that are not there yet."""

import json
import logging
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from segnets.config.build import build
from segnets.config.ids import run_id, run_sha256
from segnets.config.predict import PredictConfig
from segnets.config.preprocess import PreprocessConfig
from segnets.errors import ConfigError, Corrupt, DatasetError, NotFound
from segnets.store.bag import Bag, read_done
from segnets.store.base import Store
from segnets.store.entry import read_file
from segnets.store.open import open_sink, open_source, open_store
from segnets.store.tables import from_parquet
from tasks.display import live_bar
from tasks.evaluate import choose_trial, done_head, model_of, val_eval_id
from tasks.preprocess import SYNTHETIC, streets_at
from tasks.runs import is_scheduled, step

if TYPE_CHECKING:
    from segnets.inference.drift import Training
    from segnets.training.checkpoint import LoadedTrial

logger = logging.getLogger("segnets.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What the predict flow says about a night."""

    trial: str
    why: str
    """Why this trial: named by --trial, or what makes it the best."""
    run: str
    night: str
    frames: int
    written: int
    reused: int
    frames_failed: int
    waiting: int
    """Frames left for the next night: a file of theirs was still being written."""
    drift: dict[str, Any] | None
    """How far the new frames are from training; null where there are none."""
    out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The trial whose masks are written, why it, and the folder or URL of the frames."""

    trial: str
    why: str
    data: str


@step(task_run_name="choose-{config.trial}")
def choose(config: PredictConfig) -> Choice:
    """Which trial predicts, and on which frames; street scenes are drawn if they are not there."""
    store = open_store(config.store, write=True, wait_s=60 * config.store_wait)
    trial, why = choose_trial(store, config.trial, config.dataset)
    data = config.data
    if data == SYNTHETIC:
        data = str(streets_at(streets_of(store, model_of(store, done_head(store, trial)))))
    return Choice(trial=trial, why=why, data=data)


@step(task_run_name="predict-{choice.trial}")
def predict_missing(config: PredictConfig, choice: Choice) -> RunResult:
    """Write masks for the frames that have none yet; DatasetError if some could not be read."""
    from segnets.data.cityscapes import index_frames
    from segnets.data.video import frames_or_videos
    from segnets.inference.device import runtime_to_apply
    from segnets.inference.night import USUAL
    from segnets.inference.predict import predict_frames
    from segnets.inference.predictor import Predictor
    from segnets.training.checkpoint import load_model

    wait_s = 60 * config.store_wait
    store = open_store(config.store, write=True, wait_s=wait_s)
    done_head(store, choice.trial)
    source = frames_or_videos(open_source(choice.data, wait_s=wait_s))
    sink = open_sink(config.out, wait_s=wait_s)
    loaded = load_model(store, choice.trial)
    jobs = index_frames(
        source,
        frames=config.frames,
        split=config.split,
        clip_frames=loaded.clip_frames,
        stride=loaded.stride,
    )
    runtime = runtime_to_apply(loaded.config, loaded.env)
    runtime.apply()
    settings: dict[str, Any] = {
        "frames": config.frames,
        "split": config.split,
        "min_confidence": config.min_confidence,
    }
    columns = columns_of(config)
    if columns != USUAL:  # so that jobs from before there was a choice keep their ids
        settings["outputs"] = list(columns)
    sha256 = run_sha256(loaded.weights_sha256, source.url, sink.url, settings)
    bag = Bag(store, "run", run_id(sha256), sha256, env=runtime.env())
    logger.info(
        "predicts %d frames of %s by %s (%s) into %s",
        len(jobs),
        source.url,
        choice.trial,
        choice.why,
        sink.url,
    )
    predictor = Predictor(
        module=loaded.module,
        runtime=runtime,
        mean=loaded.mean,
        std=loaded.std,
        height=loaded.height,
        width=loaded.width,
        stride=loaded.stride,
        min_confidence=config.min_confidence,
        columns=columns,
    )
    meta = {
        "trial": choice.trial,
        "why": choice.why,
        "dataset": loaded.dataset,
        "weights_sha256": loaded.weights_sha256,
        "source": source.url,
        "out": sink.url,
        "scheduled": is_scheduled(),
    }
    with live_bar(bag.id, quiet=config.quiet, unit="frames") as on_frame:
        night = predict_frames(
            predictor,
            jobs,
            source,
            sink,
            bag,
            meta=meta,
            training=training_of(store, choice.trial, loaded),
            drift_above=config.drift_above,
            settle_s=config.settle,
            on_frame=on_frame,
        )
    result = RunResult(
        trial=choice.trial,
        why=choice.why,
        run=bag.id,
        night=night.night,
        frames=night.frames,
        written=night.written,
        reused=night.reused,
        frames_failed=night.failed,
        waiting=night.waiting,
        drift=night.drift,
        out=sink.url,
    )
    logger.info(
        "wrote masks of %d frames, %d were there, %d wait for the next night",
        night.written,
        night.reused,
        night.waiting,
    )
    for sentence in night.drift["why"] if night.drift else ():
        logger.warning("this night drifts: %s", sentence)
    if night.failed:
        error = DatasetError(
            f"{night.failed} of {night.frames} frames could not be read",
            source.url,
            "The lines above name them; the others have their masks. Replace them and run it again.",
        )
        error.summary = asdict(result)
        raise error
    return result


def columns_of(config: PredictConfig) -> tuple[str, ...]:
    """The files that a frame gets, as columns of the night's table."""
    wanted = {
        "color": config.color,
        "label_ids": config.label_ids,
        "overlay": config.overlay,
        "confidence_map": config.confidence,
    }
    return tuple(column for column, is_wanted in wanted.items() if is_wanted)


def training_of(store: Store, trial: str, loaded: "LoadedTrial") -> "Training":
    """Class shares of a trial's training labels and its confidence on val, as far as the store knows."""
    from segnets.inference.drift import Training

    share = confidence = None
    dataset = read_done(store, "dataset", loaded.dataset)
    scores = read_done(store, "eval", val_eval_id(trial, loaded.weights_sha256, loaded.dataset))
    try:
        if dataset is not None:
            stats = json.loads(read_file(store, dataset.file("stats.json")))
            pixels = stats["class_pixels"].get("train", [])
            share = [one / sum(pixels) for one in pixels] if sum(pixels) else None
        if scores is not None:
            rows = from_parquet(read_file(store, scores.file("samples.parquet"))).to_pylist()
            confidence = fmean(row["confidence_mean"] for row in rows) if rows else None
    except (NotFound, Corrupt) as error:
        logger.warning("the night is not compared with training: %s", error)
    return Training(share=share, confidence=confidence)


def streets_of(store: Store, model: dict[str, Any]) -> PreprocessConfig:
    """The config of the street scenes a trial was trained on; ConfigError if it was on other data."""
    from segnets.data.reader import open_dataset

    with open_dataset(store, model["dataset"]) as dataset:
        settings = dataset.preprocess
    if settings.get("data") != SYNTHETIC:
        raise ConfigError(
            f"dataset {model['dataset']} was not made of street scenes",
            "--data synthetic",
            "Give --data the folder of the frames.",
        )
    return build(PreprocessConfig, settings)

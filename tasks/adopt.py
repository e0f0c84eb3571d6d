"""Weights from elsewhere become a trial that is done: scored, in the app, ready for predict.

    python -m tasks.adopt FILE --dataset ID [--store URL]

FILE: weights.safetensors of a trial, a state dict saved by torch, or a .pt of the student project that
segnets grew from. They are scored on val of the dataset at network size, and stand on the leaderboard
with that. The same file on the same dataset is the same trial; run again, the command finds it. Nothing
can be trained on from it. stdout ends in one JSON line.
"""

import argparse
import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segnets.cli import keep_stdout
from segnets.config.build import build as build_config
from segnets.config.ids import digest
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError, SegnetsError, Stopped
from segnets.store.base import Store
from segnets.store.entry import Live, digest_of
from segnets.store.log import claim, read_head
from segnets.store.names import list_subjects
from segnets.store.open import open_store, resolve_url
from tasks.display import as_score
from tasks.evaluate import run_job, val_job
from tasks.logs import log_to_console
from tasks.preprocess import find_dataset
from tasks.stops import signals_stop
from tasks.train import unknown_dataset

MOST_BYTES = 4 * 2**30
WAIT_S = 60.0

logger = logging.getLogger("segnets.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What the command says about a file."""

    trial: str
    dataset: str
    model: str
    epochs: int
    val_miou: float | None
    pixel_accuracy: float | None
    reused: bool
    weights_sha256: str


def main(argv: Sequence[str] | None = None) -> int:
    """Adopt a file; the exit code is that of the fault."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.adopt", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "file", type=Path, help="weights.safetensors, a state dict, a student's .pt"
    )
    parser.add_argument(
        "--dataset", help="dataset to score it on; needless where there is one only"
    )
    parser.add_argument(
        "--store", help="folder or s3://bucket/prefix (else $SEGNETS_STORE, else ./store)"
    )
    parser.add_argument("--cache", help="folder for shards from S3 (default ~/.cache/segnets)")
    parser.add_argument(
        "--over-time",
        action="store_true",
        help="let the LSTM of a student's .pt see the past frames, which it never did",
    )
    parser.add_argument("--quiet", action="store_true", help="warnings only")
    given = parser.parse_args(argv)
    began = time.monotonic()
    result: dict[str, Any] = {"file": str(given.file), "status": "done"}
    code = 0
    with keep_stdout() as say:
        log_to_console(quiet=given.quiet)
        signals_stop()
        try:
            url = resolve_url(given.store)
            result["store"] = url
            store = open_store(url, write=True, wait_s=WAIT_S)
            found = adopt(store, given.file, given.dataset, given)
            result |= {name: getattr(found, name) for name in Adopted.__slots__}
        except (SegnetsError, Stopped) as error:
            code = error.exit_code
            result["status"] = "stopped" if isinstance(error, Stopped) else "failed"
            result["error"] = {"sentence": str(error), "exit_code": code}
            print(f"error: {error}", file=sys.stderr)  # noqa: T201  # the one sentence
        say(result | {"seconds": round(time.monotonic() - began, 3)})
    return code


def adopt(store: Store, file: Path, dataset_id: str | None, options: argparse.Namespace) -> Adopted:
    """Make a done trial of a file's weights, with its scores on val.

    Raises ConfigError for a file that is none of ours, NotInStore for an unknown dataset.
    """
    dataset_id = _chosen(store, dataset_id)
    data = _bytes_of(file)
    from safetensors.torch import save

    from segnets.training.foreign import read_weights

    found = read_weights(data, str(file))
    over_batch = found.over_batch and not options.over_time
    weights = bytes(save({name: found.tensors[name] for name in sorted(found.tensors)}))
    epochs = max(1, *(len(losses) for losses in found.losses.values())) if found.losses else 1
    settings = {**found.settings, "dataset": dataset_id, "epochs": epochs}
    config = build_config(TrainConfig, settings)
    told = {**settings, "weights": digest_of(weights), "over_batch": over_batch}
    sha256 = digest({"adopted": told})
    trial = f"{config.model}-{sha256[:8]}"
    head = read_head(store, trial, sha256)
    reused = head is not None and head.event == "done"
    if reused:
        logger.info("%s is in the store already: %s", file, trial)
    else:
        shown = {**found.settings, **found.trained, "adopted": file.name[:80]}
        if found.over_batch:
            shown["lstm"] = "over the batch" if over_batch else "over time"
        one = _Weights(config, trial, sha256, weights, found.losses, shown, over_batch)
        _put(store, one, options)
        head = read_head(store, trial, sha256)
    assert head is not None
    return Adopted(
        trial=trial,
        dataset=dataset_id,
        model=config.model,
        epochs=epochs,
        val_miou=head.metrics["val_miou"],
        pixel_accuracy=head.metrics["pixel_accuracy"],
        reused=reused,
        weights_sha256=head.metrics["weights_sha256"],
    )


def _chosen(store: Store, dataset_id: str | None) -> str:
    if dataset_id is None:
        known = sorted(list_subjects(store)["dataset"])
        if len(known) != 1:
            raise ConfigError(
                f"the store has {len(known)} datasets, and none was named",
                store.url,
                f"Say --dataset ID: {', '.join(known[:5])}."
                if known
                else "Make one with python flows/preprocess.py.",
            )
        (dataset_id,) = known
    if find_dataset(store, dataset_id) is None:
        raise unknown_dataset(store, dataset_id)
    return dataset_id


def _bytes_of(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigError(
                f"the file is larger than {MOST_BYTES >> 30} GiB", str(file), "Give weights only."
            )
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the file cannot be read ({error.strerror})", str(file), "Check its name and rights."
        ) from None


@dataclass(frozen=True, slots=True)
class _Weights:
    """What is put for one file: its trial, its weights as safetensors, what is told of it."""

    config: TrainConfig
    trial: str
    sha256: str
    data: bytes
    losses: Mapping[str, Sequence[float]]
    shown: Mapping[str, Any]
    over_batch: bool


def _put(store: Store, one: _Weights, options: argparse.Namespace) -> None:
    """Claim, put the files, score what was put, and say that it is done."""
    from segnets.data.reader import open_dataset
    from segnets.inference.device import resolve_runtime
    from segnets.training.checkpoint import EPOCHS_FILE, MODEL_FILE, WEIGHTS_FILE, model_bytes
    from segnets.training.curves import epochs_table, trial_view

    config, name = one.config, str(one.shown["adopted"])
    runtime = resolve_runtime(config)
    cache = Path(options.cache) if options.cache else None
    with open_dataset(store, config.dataset, cache) as dataset:
        model = model_bytes(config, dataset, one.trial, over_batch=one.over_batch, adopted=name)
    with claim(store, one.trial, one.sha256, env=runtime.env()) as log:
        if log.head is not None and log.head.event == "done":
            return  # by another process, meanwhile
        log.note("adopted", name)
        files = [log.put_file(WEIGHTS_FILE, one.data), log.put_file(MODEL_FILE, model)]

        def commit(event: str, rows: list[dict[str, Any]], scores: Mapping[str, Any]) -> None:
            table = log.put_file(EPOCHS_FILE, epochs_table(rows))
            view = trial_view(
                config,
                one.trial,
                status="done" if event == "done" else "running",
                rows=rows,
                best_epoch=config.epochs if scores else None,
                attempts=log.attempt,
                seconds=0.0,
                weights_sha256=files[0].sha256,
            )
            log.commit(
                event,
                epoch=config.epochs,
                step=0,
                files=[table] if event == "done" else [*files, table],
                live=[Live(config.epochs, 0, ("best", "final"), (*files, table))],
                metrics={
                    "best_epoch": config.epochs,
                    "weights_sha256": files[0].sha256,
                    "state_sha256": None,
                    **scores,
                },
                view=view | {"settings": dict(one.shown)},
            )

        commit("checkpoint", _rows(one.losses, config.epochs, {}), {})
        job = val_job(one.trial, files[0].sha256, config.dataset)
        network = run_job(store, job, options.cache, quiet=options.quiet).network
        assert network is not None
        scores = {
            "val_miou": network["miou"],
            "val_miou_last": network["miou"],
            "val_loss": None,
            "pixel_accuracy": network["pixel_accuracy"],
        }
        commit("done", _rows(one.losses, config.epochs, network), scores)
        logger.info(
            "%s is trial %s, val_miou %s", options.file, one.trial, as_score(network["miou"])
        )


def _rows(
    losses: Mapping[str, Sequence[float]], epochs: int, network: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The losses that the file tells of, and the scores measured now, as of its last epoch.

    Scores that a file tells of are left out: they were measured in other ways.
    """
    from segnets.labels import CLASS_NAMES, NUM_CLASSES

    rows = []
    for epoch in range(1, epochs + 1):
        for split in ("train", "val"):
            told = losses.get(split, ())
            row: dict[str, Any] = {
                "attempt": 1,
                "epoch": epoch,
                "step": 0,
                "time": 0.0,
                "split": split,
                "loss": told[epoch - 1] if epoch <= len(told) else math.nan,
                "miou": math.nan,
                "pixel_accuracy": math.nan,
                "iou": [math.nan] * NUM_CLASSES,
                "clips_s": None,
            }
            if network and split == "val" and epoch == epochs:
                row["miou"], row["pixel_accuracy"] = network["miou"], network["pixel_accuracy"]
                ious = (network["iou"][name] for name in CLASS_NAMES)
                row["iou"] = [math.nan if one is None else one for one in ious]
            rows.append(row)
    return rows


if __name__ == "__main__":
    raise SystemExit(main())

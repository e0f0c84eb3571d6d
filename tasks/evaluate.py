"""Tasks of the evaluate flow, and the evaluation with which a training ends."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segnets.config.evaluate import EvaluateConfig
from segnets.config.ids import canonical_json, eval_id, eval_sha256
from segnets.config.train import TrainConfig
from segnets.errors import NotInStore
from segnets.labels import CLASS_NAMES
from segnets.store.bag import Bag, read_done
from segnets.store.base import Store
from segnets.store.entry import Entry, read_file
from segnets.store.log import read_head
from segnets.store.open import open_source, open_store
from tasks.display import as_score, live_bar, report_table
from tasks.runs import step

BEST = "best"

logger = logging.getLogger("segnets.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    """What the evaluate flow says; `network` is null for masks of elsewhere."""

    eval: str
    trial: str | None
    split: str | None
    network: dict[str, Any] | None
    original: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One evaluation of a trial: whose weights, on what, how."""

    trial: str
    weights_sha256: str
    dataset: str
    split: str
    min_confidence: float
    original: bool
    """Whether to score at original size too."""
    home: str
    """The dataset that the trial was trained on: its mean and deviation are the model's."""

    @property
    def sha256(self) -> str:
        """The digest of the evaluation."""
        settings: dict[str, Any] = {
            "min_confidence": self.min_confidence,
            "sizes": ["network", "original"] if self.original else ["network"],
        }
        if self.dataset != self.home:
            settings["home"] = self.home
        return eval_sha256(self.weights_sha256, self.dataset, self.split, settings)

    @property
    def id(self) -> str:
        """TRIAL-SPLIT-8hex."""
        return eval_id(self.trial, self.split, self.sha256)


def val_job(trial: str, weights_sha256: str, dataset: str) -> Job:
    """The evaluation with which a training ends: val, network size."""
    return Job(
        trial=trial,
        weights_sha256=weights_sha256,
        dataset=dataset,
        split="val",
        min_confidence=0.0,
        original=False,
        home=dataset,
    )


def val_eval_id(trial: str, weights_sha256: str, dataset: str) -> str:
    """Id of the evaluation that makes a trained trial complete."""
    return val_job(trial, weights_sha256, dataset).id


@step(task_run_name="score-on-val")
def score_on_val(trial: str, config: TrainConfig) -> EvalResult:
    """Score the best weights of a trained trial on val at network size."""
    store = open_store(config.store, write=True, wait_s=60 * config.store_wait)
    head = done_head(store, trial)
    job = val_job(trial, head.metrics["weights_sha256"], config.dataset)
    return run_job(store, job, config.cache, quiet=config.quiet)


@step(task_run_name="score-{config.trial}")
def score_trial(config: EvaluateConfig) -> EvalResult:
    """Score a trial on a split of its own dataset or another one, at both sizes."""
    store = open_store(config.store, write=True, wait_s=60 * config.store_wait)
    # With --trial ID, --dataset says what to score on; with best, also where to look for it.
    trial, _ = choose_trial(store, config.trial, config.dataset)
    head = done_head(store, trial)
    home = model_of(store, head)["dataset"]
    job = Job(
        trial=trial,
        weights_sha256=head.metrics["weights_sha256"],
        dataset=config.dataset or home,
        split=config.split or "val",
        min_confidence=config.min_confidence,
        original=True,
        home=home,
    )
    return run_job(store, job, config.cache, quiet=config.quiet)


@step(task_run_name="score-predictions")
def score_predictions(config: EvaluateConfig) -> EvalResult:
    """Score a folder of labelIds masks of any tool beside the truth of a Cityscapes folder."""
    from segnets.inference.foreign import score_label_ids

    assert config.predictions is not None
    assert config.data is not None
    wait_s = 60 * config.store_wait
    truth, masks = (open_source(url, wait_s=wait_s) for url in (config.data, config.predictions))
    split = config.split or "all"
    found = score_label_ids(truth, masks, config.split)
    sha256 = eval_sha256(found.digest, truth.url, split, {"predictions": True})
    result = EvalResult(
        eval=eval_id(None, split, sha256),
        trial=None,
        split=config.split,
        network=None,
        original=found.scores,
    )
    store = open_store(config.store, write=True, wait_s=wait_s)
    bag = Bag(store, "eval", result.eval, sha256)
    if bag.done() is None:
        content = {"v": 1, **asdict(result), "data": truth.url, "predictions": masks.url}
        item = bag.put_item("scores", [bag.put_file("eval.json", canonical_json(content))])
        bag.put_done({"scores": item})
    report(result)
    return result


def run_job(store: Store, job: Job, cache: str | None, *, quiet: bool) -> EvalResult:
    """Do an evaluation, or read it where it was done before."""
    done = read_done(store, "eval", job.id)
    if done is not None:
        content = json.loads(read_file(store, done.file("eval.json")))
        logger.info("evaluation %s is in the store already", job.id)
        result = _result(job, content["network"], content["original"])
        report(result)
        return result
    from segnets.data.reader import open_dataset
    from segnets.inference.device import runtime_to_apply
    from segnets.inference.evaluate import evaluate_split
    from segnets.training.checkpoint import load_model

    loaded = load_model(store, job.trial)
    runtime = runtime_to_apply(loaded.config, loaded.env)
    runtime.apply()
    logger.info("scores %s on %s of %s", job.trial, job.split, job.dataset)
    meta = {"trial": job.trial, "dataset": job.dataset, "weights_sha256": job.weights_sha256}
    with (
        open_dataset(store, job.dataset, Path(cache) if cache else None) as dataset,
        live_bar(job.id, quiet=quiet, unit="samples") as on_sample,
    ):
        loaded.check_clips(dataset)
        tables = evaluate_split(
            loaded.module,
            dataset,
            job.split,
            mean=loaded.mean,
            std=loaded.std,
            runtime=runtime,
            min_confidence=job.min_confidence,
            meta=meta,
            on_sample=on_sample,
            original=job.original,
            hurry=store.patience.hurry,
        )
    bag = Bag(store, "eval", job.id, job.sha256, env=runtime.env())
    files = [bag.put_file(name, data) for name, data in tables.files().items()]
    item = bag.put_item("scores", files, {"samples": tables.num_samples})
    done_item = bag.put_done({"scores": item})
    bag.put_view(
        {
            "v": 1,
            "kind": "eval",
            "id": job.id,
            "trial": job.trial,
            "dataset": job.dataset,
            "split": job.split,
            "network": tables.network,
            "original": tables.original,
            "min_confidence": job.min_confidence,
            "samples": tables.num_samples,
            "time": done_item.time,
        }
    )
    result = _result(job, tables.network, tables.original)
    report(result)
    return result


def choose_trial(store: Store, trial: str, dataset: str | None) -> tuple[str, str]:
    """The trial that is meant, and why; `best` is the one of highest val_miou."""
    if trial != BEST:
        return trial, "named by --trial"
    from segnets.grid.plan import find_best

    best = find_best(store, dataset)
    logger.info("best is %s: %s", best.trial, best.why)
    return best.trial, best.why


def done_head(store: Store, trial: str) -> Entry:
    """The head of a trial that is done; NotInStore if there is none."""
    head = read_head(store, trial)
    if head is None:
        raise NotInStore(
            f"there is no trial {trial}",
            f"store {store.url}",
            "Train one with python flows/train.py, or look for its id with python -m segnets.store ls.",
        )
    if head.event != "done":
        raise NotInStore(
            f"the trial is not done, it has {head.epoch} epochs",
            f"trial {trial} in {store.url}",
            "Run its command again to train it to the end.",
        )
    return head


def model_of(store: Store, head: Entry) -> dict[str, Any]:
    """model.json of a done trial: config, dataset, clip size, mean and std."""
    content: dict[str, Any] = json.loads(read_file(store, head.file("model.json")))
    return content


def report(result: EvalResult) -> None:
    """The scores for people: a line of the log, and a table of the flow run."""
    for size in ("network", "original"):
        scores = getattr(result, size)
        if scores is not None:
            logger.info(
                "%s at %s size: mIoU %s over %d classes, official %s, pixels right %s",
                result.eval,
                size,
                as_score(scores["miou"]),
                scores["classes_counted"],
                as_score(scores["miou_official"]),
                as_score(scores["pixel_accuracy"]),
            )
    both = result.original or result.network
    if both is not None:
        rows = [{"class": name, "iou": value} for name, value in both["iou"].items()]
        report_table("scores", rows, f"IoU of {result.eval}")


def _result(
    job: Job, network: dict[str, Any] | None, original: dict[str, Any] | None
) -> EvalResult:
    return EvalResult(
        eval=job.id,
        trial=job.trial,
        split=job.split,
        network=network and _in_class_order(network),
        original=original and _in_class_order(original),
    )


def _in_class_order(scores: dict[str, Any]) -> dict[str, Any]:
    """The same scores with the classes in the order of their trainIds: sealed JSON sorts by name."""
    return {**scores, "iou": {name: scores["iou"][name] for name in CLASS_NAMES}}

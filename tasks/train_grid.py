"""Tasks of the train_grid flow: the plan, what is missing, the launches, the leaderboard."""

import logging
from dataclasses import dataclass, fields
from typing import Any

from segnets.config.grid import GridConfig
from segnets.config.ids import grid_id, trial_id, trial_sha256
from segnets.config.train import TrainConfig
from segnets.errors import TrialsFailed
from segnets.store.base import Store
from segnets.store.log import read_head
from segnets.store.open import open_store
from tasks.display import TrialLines, report_link, report_table
from tasks.launch import Failure, Launched, launch_all
from tasks.preprocess import SYNTHETIC, find_dataset, make_streets, settings_for
from tasks.processes import Processes
from tasks.runs import in_flow_run, step
from tasks.train import is_complete, unknown_dataset

logger = logging.getLogger("segnets.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridResult:
    """What the train_grid flow says about a grid."""

    grid: str
    trials: list[str]
    ran: int
    reused: int
    failed: list[dict[str, Any]]
    best: dict[str, Any] | None
    leaderboard: list[dict[str, Any]]


@step(task_run_name="dataset")
def grid_on_dataset(config: GridConfig) -> GridConfig:
    """The grid with a dataset id in it; street scenes are made if they are not there."""
    trial = config.trial
    store = open_store(trial.store, write=True, wait_s=60 * trial.store_wait)
    if trial.dataset == SYNTHETIC:
        return config.on_dataset(make_streets(settings_for(trial)).dataset)
    for dataset in {one.dataset for one in config.trials()}:  # a grid may have an axis of datasets
        if find_dataset(store, dataset) is None:
            raise unknown_dataset(store, dataset)
    return config


@step(task_run_name="plan")
def write_plan(config: GridConfig) -> str:
    """Write the plan of the grid, so that queued trials are seen; its id."""
    store = open_store(config.trial.store, write=True, wait_s=60 * config.trial.store_wait)
    from segnets.grid.plan import put_plan

    subject = put_plan(store, config)
    logger.info("grid %s: %d trials on %s", subject, len(config.trials()), config.trial.dataset)
    return subject


def launch_missing(config: GridConfig) -> Launched:
    """Launch every trial that is not complete, as processes or, in a flow run, as flow runs.

    No task of its own: it spawns and catches signals, which belong to the main thread.
    """
    trial = config.trial
    store = open_store(trial.store, write=True, wait_s=60 * trial.store_wait)
    missing: list[TrainConfig] = []
    reused: list[str] = []
    left: list[Failure] = []
    for one in config.trials():
        if is_complete(store, one):
            reused.append(trial_id(one))
            continue
        failure = None if config.retry else _failed_before(store, one)
        failure = failure or _diverged_before(store, one)
        if failure is None:
            missing.append(one)
        else:
            left.append(failure)
    logger.info(
        "%d trials are complete, %d missing, %d left as they failed",
        len(reused),
        len(missing),
        len(left),
    )
    launched = Launched((), (), ())
    if missing:
        launched = _launch(store, config, missing)
    return Launched(launched.ran, (*reused, *launched.reused), (*left, *launched.failed))


def summarise(config: GridConfig, launched: Launched) -> GridResult:
    """The leaderboard; TrialsFailed, with the same summary, if a trial did not complete."""
    store = open_store(config.trial.store, write=False, wait_s=60 * config.trial.store_wait)
    from segnets.grid.plan import leaderboard

    trials = config.trials()
    rows = leaderboard(store, trials, list(config.axes()))
    first = next((row for row in rows if row["status"] == "done"), None)
    result = GridResult(
        grid=grid_id(config),
        trials=[trial_id(trial) for trial in trials],
        ran=len(launched.ran),
        reused=len(launched.reused),
        failed=[
            {"trial": one.trial, "exit_code": one.exit_code, "sentence": one.sentence}
            for one in launched.failed
        ],
        best=first and {name: first[name] for name in ("trial", "val_miou", "settings")},
        leaderboard=rows,
    )
    for row in rows:
        score = "-" if row["val_miou"] is None else f"{row['val_miou']:.4f}"
        settings = ", ".join(f"{name} {value}" for name, value in row["settings"].items())
        logger.info("%s  val_miou %s  %s  (%s)", row["trial"], score, row["status"], settings)
    report_table("leaderboard", rows, f"Trials of {result.grid}")
    report_link()
    if launched.failed:
        codes = {one.exit_code for one in launched.failed}
        error = TrialsFailed(
            f"{len(launched.failed)} of {len(trials)} trials did not complete",
            ", ".join(f"{one.trial} (exit {one.exit_code})" for one in launched.failed),
            "Run the same command again; it trains what is missing.",
            exit_code=4 if codes == {4} else 1,
        )
        error.summary = {field.name: getattr(result, field.name) for field in fields(result)}
        raise error
    return result


def _launch(store: Store, config: GridConfig, missing: list[TrainConfig]) -> Launched:
    with TrialLines(quiet=config.trial.quiet) as lines:
        if not in_flow_run():
            starter = Processes(lines, jobs=config.jobs, device=config.trial.device)
            return launch_all(store, missing, starter, is_complete=is_complete)
        from prefect.client.orchestration import get_client
        from prefect.runtime import flow_run

        from tasks.flow_runs import FlowRuns

        with get_client(sync_client=True) as client:
            runs = FlowRuns(client, str(flow_run.root_flow_run_id))
            return launch_all(store, missing, runs, is_complete=is_complete)


def _failed_before(store: Store, config: TrainConfig) -> Failure | None:
    """The failure of an earlier command, which --no-retry leaves alone."""
    trial = trial_id(config)
    head = read_head(store, trial, trial_sha256(config))
    if head is None or head.event != "failed":
        return None
    metrics = head.metrics
    return Failure(trial, int(metrics.get("exit_code", 1)), str(metrics.get("sentence", "")))


def _diverged_before(store: Store, config: TrainConfig) -> Failure | None:
    """The failure of a trial whose loss was not finite: it would be so again."""
    failure = _failed_before(store, config)
    if failure is None:
        return None
    head = read_head(store, failure.trial)
    return failure if head is not None and head.metrics.get("reason") == "diverged" else None

"""Tasks of the train_grid flow: the plan, what is missing, the launches, the leaderboard."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from segnets.config.grid import GridConfig
from segnets.config.ids import grid_id, trial_id, trial_ids, trial_sha256
from segnets.config.train import TrainConfig
from segnets.errors import TrialsFailed
from segnets.store.base import Store
from segnets.store.log import read_head
from segnets.store.open import open_store
from tasks.display import TrialLines, as_score, in_words, report_link, report_table
from tasks.gpus import gpus_for
from tasks.launch import Failure, Launched, launch_all
from tasks.notify import tell, told
from tasks.preprocess import SYNTHETIC, find_dataset, make_streets, settings_for, streets_id
from tasks.processes import Processes, slots_for
from tasks.runs import in_flow_run, step
from tasks.train import is_complete, unknown_dataset

logger = logging.getLogger("segnets.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridResult:
    """What the train_grid flow says about a grid."""

    grid: str
    trials: list[str] | None = None
    ran: int | None = None
    reused: int | None = None
    failed: list[dict[str, Any]] | None = None
    best: dict[str, Any] | None = None
    best_by: dict[str, Any] | None = None
    leaderboard: list[dict[str, Any]] | None = None
    points: list[dict[str, Any]] | None = None
    """Each point over its seeds; null where seed is no axis."""
    outlook: dict[str, Any] | None = None
    """What a dry run says, and nothing else then; null after a real one."""


@step(task_run_name="dataset")
def grid_on_dataset(config: GridConfig) -> GridConfig:
    """The grid with a dataset id in it; street scenes are made if they are not there."""
    trial = config.trial
    store = open_store(trial.store, write=True, wait_s=60 * trial.store_wait)
    if trial.dataset == SYNTHETIC:
        return config.on_dataset(make_streets(settings_for(trial)).dataset)
    check_datasets(store, config)
    return config


def check_datasets(store: Store, config: GridConfig) -> None:
    """NotInStore unless the store has the grid's dataset, or datasets where they are an axis."""
    for dataset in {one.dataset for one in config.trials()}:
        if find_dataset(store, dataset) is None:
            raise unknown_dataset(store, dataset)


@step(task_run_name="dry-run")
def look_ahead(config: GridConfig) -> GridResult:
    """What this grid would come to: nothing is drawn, launched or written."""
    from segnets.grid import outlook

    trial = config.trial
    store = open_store(trial.store, write=False, wait_s=60 * trial.store_wait)
    if trial.dataset == SYNTHETIC:
        config = config.on_dataset(streets_id(settings_for(trial)))
    else:
        check_datasets(store, config)
    gpus = gpus_for(trial.device, trial.ranks)
    at_a_time = slots_for(config.jobs, gpus)
    found = outlook.look_ahead(store, config, at_a_time=at_a_time)
    subject = grid_id(config)
    counts = ", ".join(f"{number} {status}" for status, number in found.counts.items() if number)
    logger.info("grid %s: %d trials (%s), %d to run", subject, found.trials, counts, found.missing)
    if found.estimate is None:
        logger.info("how long they take is not known: none of their kind is done")
    elif found.missing:
        logger.info(
            "about %s of training, %d at a time, by %d done trials of the same model and epochs",
            in_words(found.estimate),
            at_a_time,
            found.estimate_from,
        )
    return GridResult(grid=subject, outlook={**asdict(found), "at_a_time": at_a_time})


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

    In a search by halving: every trial that is still in it. No task of its own: it spawns and catches
    signals, which belong to the main thread.
    """
    store = open_store(config.trial.store, write=True, wait_s=60 * config.trial.store_wait)
    if config.search == "halving":
        return launch_halving(store, config)
    return _launch_missing(store, config, config.trials())


def launch_halving(store: Store, config: GridConfig) -> Launched:
    """Launch what a search by halving asks for, rung by rung; its decisions stand in the store."""
    from segnets.grid.halving import search

    stages: list[Launched] = []

    def bring(trials: Sequence[TrainConfig], epoch: int | None) -> None:
        stages.append(_launch_missing(store, config, trials, epoch))

    decisions = search(store, config, bring)
    ran = {trial for stage in stages for trial in stage.ran}
    reused = {trial for stage in stages for trial in stage.reused} - ran
    failed = {one.trial: one for stage in stages for one in stage.failed}
    out = {trial for decision in decisions for trial in decision.failed}
    for one in config.trials():  # out of the search since an earlier command: told all the same
        if trial_id(one) in out - set(failed) and (failure := _failed_before(store, one)):
            failed[failure.trial] = failure
    return Launched(tuple(sorted(ran)), tuple(sorted(reused)), tuple(failed.values()))


def _launch_missing(
    store: Store, config: GridConfig, trials: Sequence[TrainConfig], pause_at: int | None = None
) -> Launched:
    """Launch those of the trials that are not complete, or that have not come to epoch `pause_at`."""
    from segnets.grid.halving import standing

    def is_there(store: Store, one: TrainConfig) -> bool:
        if pause_at is not None:
            return standing(store, one, pause_at).state == "reached"
        return is_complete(store, one)

    missing: list[TrainConfig] = []
    reused: list[str] = []
    left: list[Failure] = []
    for one in trials:
        if is_there(store, one):
            reused.append(trial_id(one))
            continue
        failure = None if config.retry else _failed_before(store, one)
        failure = failure or _diverged_before(store, one)
        if failure is None:
            missing.append(replace(one, pause_at=pause_at))
        else:
            left.append(failure)
    logger.info(
        "%d trials %s, %d missing, %d left as they failed",
        len(reused),
        "are complete" if pause_at is None else f"have epoch {pause_at}",
        len(missing),
        len(left),
    )
    launched = Launched((), (), ())
    if missing:
        launched = _launch(store, config, missing, is_there)
    return Launched(launched.ran, (*reused, *launched.reused), (*left, *launched.failed))


def summarise(config: GridConfig, launched: Launched) -> GridResult:
    """The leaderboard; TrialsFailed, with the same summary, if a trial did not complete."""
    store = open_store(config.trial.store, write=False, wait_s=60 * config.trial.store_wait)
    from segnets.grid.board import best_by, leaderboard, over_seeds

    trials, axes = config.trials(), config.axes()
    ended = {one.trial: one.status for one in launched.failed if one.status is not None}
    rows = leaderboard(store, trials, list(axes), ended, _pruned(store, config))
    first = next((row for row in rows if row["status"] == "done"), None)
    result = GridResult(
        grid=grid_id(config),
        trials=list(trial_ids(config)),
        ran=len(launched.ran),
        reused=len(launched.reused),
        failed=[
            {"trial": one.trial, "exit_code": one.exit_code, "sentence": one.sentence}
            for one in launched.failed
        ],
        best=first and {name: first[name] for name in ("trial", "val_miou", "settings")},
        best_by=best_by(rows),
        leaderboard=rows,
        points=over_seeds(rows) if len(axes.get("seed", ())) > 1 else None,
        outlook=None,
    )
    say_leaderboard(result)
    report_table("leaderboard", rows, f"Trials of {result.grid}")
    if result.points is not None:
        report_table("points", result.points, f"Points of {result.grid} over their seeds")
    report_link()
    counts = {"trials": len(trials), "ran": result.ran, "reused": result.reused}
    tell(
        "grid finished",
        config.trial.store,
        grid=result.grid,
        **counts,
        failed=result.failed,
        best=result.best,
    )
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


def say_leaderboard(result: GridResult) -> None:
    """Tell people every trial, the points over their seeds, and the best by each score side by side."""
    for row in result.leaderboard or ():
        scores = "  ".join(f"{name} {as_score(row[name])}" for name in result.best_by or ())
        logger.info("%s  %-8s  %s  (%s)", row["trial"], row["status"], scores, _words(row))
    for point in result.points or ():
        miou = point["val_miou"]
        logger.info(
            "%s: val_miou %s +- %s over %d of %d seeds",
            _words(point),
            as_score(miou["mean"]),
            as_score(miou["spread"]),
            point["done"],
            point["seeds"],
        )
    for score, best in (result.best_by or {}).items():
        if best is not None:
            shown = (score, as_score(best["value"]), best["trial"], _words(best))
            logger.info("best %s %s: %s (%s)", *shown)


def _words(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row["settings"].items())


def _pruned(store: Store, config: GridConfig) -> dict[str, int]:
    """Trial -> the epoch after which the search left it behind; empty without a search."""
    if config.search != "halving":
        return {}
    from segnets.grid.halving import read_decisions

    decisions = read_decisions(store, config)
    return {trial: decision.epoch for decision in decisions for trial in decision.pruned}


def _launch(
    store: Store,
    config: GridConfig,
    missing: list[TrainConfig],
    is_there: Callable[[Store, TrainConfig], bool],
) -> Launched:
    with TrialLines(quiet=config.trial.quiet) as lines:
        if not in_flow_run():
            trial = config.trial
            starter = Processes(lines, jobs=config.jobs, device=trial.device, ranks=trial.ranks)
            return launch_all(store, missing, starter, is_complete=is_there, on_failure=told(store))
        from prefect.client.orchestration import get_client
        from prefect.runtime import flow_run

        from tasks.flow_runs import FlowRuns

        with get_client(sync_client=True) as client:
            runs = FlowRuns(client, str(flow_run.root_flow_run_id), store, is_there)
            return launch_all(store, missing, runs, is_complete=is_there, on_failure=told(store))


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

"""Scores of a trial at network and at original size, or of any tool's labelIds."""

from segnets.config.evaluate import EvaluateConfig
from tasks.evaluate import EvalResult, score_predictions, score_trial
from tasks.runs import flow, run_from_flags


@flow(name="evaluate")
def evaluate_flow(config: EvaluateConfig = EvaluateConfig()) -> EvalResult:
    """Score a trial on a split, or a folder of labelIds beside its truth."""
    return score_trial(config) if config.predictions is None else score_predictions(config)


if __name__ == "__main__":
    run_from_flags(evaluate_flow, EvaluateConfig)

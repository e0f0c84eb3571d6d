"""One trial, going on from its last checkpoint."""

from segnets.config.train import TrainConfig
from segnets.training.result import TrialResult
from tasks.evaluate import score_on_val
from tasks.notify import tells_failure
from tasks.runs import flow, run_from_flags
from tasks.train import find_complete, name_of, train_trial, with_dataset


@flow(name="train")
@tells_failure("trial failed", name_of)
def train_flow(config: TrainConfig = TrainConfig()) -> TrialResult:
    """Train one trial; run it again after any interruption and it goes on."""
    config = with_dataset(config)
    found = find_complete(config)
    if found is not None:
        return found
    result = train_trial(config)
    if result.paused_at is None:
        score_on_val(result.trial, config)
    return result


if __name__ == "__main__":
    run_from_flags(train_flow, TrainConfig)

"""Colour masks, labelIds and overlays for a folder of frames."""

from segnets.config.predict import PredictConfig
from tasks.notify import tells_night
from tasks.predict import RunResult, choose, predict_missing
from tasks.runs import flow, run_from_flags


@flow(name="predict")
@tells_night
def predict_flow(config: PredictConfig = PredictConfig()) -> RunResult:
    """Write masks for the frames that have none yet; made to be run every night."""
    return predict_missing(config, choose(config))


if __name__ == "__main__":
    run_from_flags(predict_flow, PredictConfig)

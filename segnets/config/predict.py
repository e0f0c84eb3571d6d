"""Settings of a prediction run."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt

from segnets.config.build import STRICT, Outside


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictConfig:
    """Colour masks, labelIds and overlays for frames that have none yet."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    trial: str = "best"
    """Trial id; best is the highest val_miou among the done trials of --dataset."""
    dataset: str | None = None
    """Where to look for best; else the dataset of the newest done trial."""
    data: str = "synthetic"
    """Folder of frames in the Cityscapes layout; synthetic takes the trial's own street scenes."""
    out: str = "./masks"
    """Folder or s3:// URL for the masks."""
    frames: Literal["labelled", "all"] | None = None
    """labelled: those named in leftImg8bit (the default where that exists); all: every frame of the sequences."""
    split: str | None = None
    """Only this split."""
    min_confidence: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Pixels whose highest probability is below this are black, labelId 0 (0 to below 1)."""
    store: Outside[str | None] = None
    """Folder or s3://bucket/prefix; else $SEGNETS_STORE, else ./store."""
    cache: Outside[str | None] = None
    """Folder for what is fetched from S3; else ~/.cache/segnets."""
    quiet: Outside[bool] = False
    """Only warnings and errors on stderr."""
    store_wait: Outside[Annotated[float, Ge(0)]] = 30.0
    """Minutes to wait for a store that does not answer, before giving up with exit code 4."""

"""Settings of a prediction run."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from segnets.config.build import STRICT, Outside
from segnets.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictConfig:
    """Colour masks, labelIds and overlays for frames that have none yet."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    trial: str = "best"
    """Trial id; best is the highest val_miou among the done trials of --dataset."""
    dataset: str | None = None
    """Where to look for best; else the dataset of the newest done trial."""
    data: str = "synthetic"
    """Folder or s3:// URL of frames in the Cityscapes layout, or of videos (mp4 and the like; wants pip install av); synthetic takes the trial's own street scenes."""
    out: str = "./masks"
    """Folder or s3:// URL for the masks."""
    frames: Literal["labelled", "all"] | None = None
    """labelled: those named in leftImg8bit (the default where that exists); all: every frame of the sequences."""
    split: str | None = None
    """Only this split."""
    min_confidence: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Pixels whose highest probability is below this are black, labelId 0 (0 to below 1)."""
    color: bool = True
    """Palette masks in the Cityscapes colours, under OUT/color."""
    label_ids: bool = True
    """Grey masks of labelIds, as the official evaluator reads them, under OUT/labelIds."""
    overlay: bool = True
    """Frames half covered by their colours, under OUT/overlay."""
    confidence: bool = False
    """Grey pictures of the highest probability, 255 for 1, under OUT/confidence."""
    settle: Outside[Annotated[float, Ge(0), Le(600)]] = 2.0
    """Seconds for which size and time of a new file must stand still (0 to 600); a file that still grows is left for the next night, and is no fault."""
    drift_above: Outside[Annotated[float, Ge(0), Le(1)]] = 0.25
    """Marks a night, on stderr and in the JSON, if over its new frames a larger share of pixels than this would have to change class for the class shares to be those of the training labels, if mean confidence is lower by more than this than on val, or if a larger share of pixels than this changes class from a frame to the next (0 to 1; 1 marks none)."""
    store: Outside[str | None] = None
    """Folder or s3://bucket/prefix; else $SEGNETS_STORE, else ./store."""
    cache: Outside[str | None] = None
    """Folder for what is fetched from S3; else ~/.cache/segnets."""
    quiet: Outside[bool] = False
    """Only warnings and errors on stderr."""
    store_wait: Outside[Annotated[float, Ge(0)]] = 30.0
    """Minutes to wait for a store that does not answer, before giving up with exit code 4."""

    def __post_init__(self) -> None:
        if not (self.color or self.label_ids or self.overlay or self.confidence):
            raise ConfigError(
                "there is nothing to write",
                "--no-color --no-label-ids --no-overlay",
                "Leave one of them on, or add --confidence.",
            )

"""Settings of an evaluation."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt

from segnets.config.build import STRICT, Outside
from segnets.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """Scores of a trial on a split, or of any tool's labelIds beside their truth."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    trial: str = "best"
    """Trial id; best is the highest val_miou among the done trials of --dataset."""
    dataset: str | None = None
    """Dataset id to score on; else the trial's own."""
    split: Literal["val", "train", "test"] | None = None
    """Split to score; else val (with --predictions: every split there is)."""
    predictions: str | None = None
    """Folder of labelIds masks of any tool, searched by CITY_SEQ_FRAME; scored instead of a trial."""
    data: str | None = None
    """With --predictions: the Cityscapes folder that holds the truth."""
    min_confidence: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Pixels whose highest probability is below this count as none of the classes (0 to below 1)."""
    store: Outside[str | None] = None
    """Folder or s3://bucket/prefix; else $SEGNETS_STORE, else ./store."""
    cache: Outside[str | None] = None
    """Folder for shards fetched from S3; else ~/.cache/segnets."""
    quiet: Outside[bool] = False
    """Only warnings and errors on stderr."""
    store_wait: Outside[Annotated[float, Ge(0)]] = 30.0
    """Minutes to wait for a store that does not answer, before giving up with exit code 4."""

    def __post_init__(self) -> None:
        """Rules between fields; bears unchecked values."""
        if (self.predictions is None) != (self.data is None):
            raise ConfigError(
                "--predictions and --data go together",
                f"--predictions {self.predictions} --data {self.data}",
                "Give the folder of masks and the folder of the truth, or neither.",
            )

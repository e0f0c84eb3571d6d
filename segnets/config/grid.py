"""Settings of a grid of trials."""

from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from segnets.config.axes import merge, parse_axes, points
from segnets.config.build import STRICT, Outside, build
from segnets.config.train import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class GridConfig:
    """Every combination of the axes, laid over one trial."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    trial: TrainConfig = field(default_factory=TrainConfig)
    """What all trials share."""
    grid: tuple[str, ...] = ("lr=0.001,0.003", "batch_size=2,4")
    """Axes, each FIELD=VALUE,VALUE of any field of a trial, or the name of a grid (student)."""
    jobs: Outside[Annotated[int, Ge(1), Le(1024)] | None] = None
    """Trials at a time without Prefect (1 to 1024); the default is one a GPU, else one."""
    retry: Outside[bool] = True
    """Launch trials that failed in an earlier command once more."""

    def __post_init__(self) -> None:
        """Every trial is built here, so a bad value is refused before anything runs."""
        self.trials()

    def trials(self) -> list[TrainConfig]:
        """The trials in the order of the axes, the first axis slowest; ConfigError for a bad value."""
        base = asdict(self.trial)
        return [build(TrainConfig, merge(base, point)) for point in points(parse_axes(self.grid))]

    def on_dataset(self, dataset_id: str) -> "GridConfig":
        """The same grid on this dataset."""
        return replace(self, trial=replace(self.trial, dataset=dataset_id))

"""Settings of a grid of trials."""

import functools
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal, get_args

from annotated_types import Ge, Le

from segnets.config.axes import Axes, check_once, merge, parse_axes, points
from segnets.config.build import STRICT, Outside, build, dotted_types, inside_types, read_value
from segnets.config.skips import parse_skips
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class GridConfig:
    """Every combination of the axes, laid over one trial."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    trial: TrainConfig = field(default_factory=TrainConfig)
    """What all trials share."""
    grid: tuple[str, ...] = ("lr=0.001,0.003", "batch_size=2,4")
    """Axes, each FIELD=VALUE,VALUE of any field of a trial (a value may be a range, log:LO..HI:N or lin:LO..HI:N, rounded to 3 digits or whole numbers), or the name of a grid (student)."""
    skip: tuple[str, ...] = ()
    """Points to leave out, each FIELD=VALUE,FIELD=VALUE: those at which all of it holds (a value may be LO..HI)."""
    search: Outside[Literal["full", "halving"]] = "full"
    """full trains every trial to its end; halving trains all to a third of the epochs, and of the better third each time, by val mIoU, to two thirds and to the end."""
    jobs: Outside[Annotated[int, Ge(1), Le(1024)] | None] = None
    """Trials at a time without Prefect (1 to 1024); the default is one a GPU, else one."""
    retry: Outside[bool] = True
    """Launch trials that failed in an earlier command once more."""
    dry_run: Outside[bool] = False
    """Only say how many trials there are, how many are done, and about how long the rest takes."""

    def __post_init__(self) -> None:
        """Every trial is built here, so a bad value is refused before anything runs."""
        if self.trial.pause_at is not None:
            raise ConfigError(
                "a grid decides by itself where its trials pause",
                f"--pause-at {self.trial.pause_at}",
                "Leave it away; --search halving pauses trials at a third and two thirds.",
            )
        self.trials()
        if self.search == "halving":
            self._check_is_fair()

    def _check_is_fair(self) -> None:
        """ConfigError unless the trials can be compared at a third and at two thirds of their epochs."""
        for name in {"epochs", "dataset"} & set(self.axes()):
            raise ConfigError(
                f"--search halving compares trials of one length on one dataset, {name} is an axis",
                f"--grid {name}",
                f"Take one value: --{name}.",
            )
        if self.trial.epochs < 3:
            raise ConfigError(
                "--search halving needs three epochs or more",
                f"--epochs {self.trial.epochs}",
                "Train longer, or take --search full.",
            )

    def axes(self) -> Axes:
        """Field -> its values, of the field's type; ConfigError for a field or value that cannot be."""
        return _axes(tuple(self.grid))

    def trials(self) -> list[TrainConfig]:
        """The trials in the order of the axes, the first axis slowest; ConfigError for a bad value."""
        return list(_trials(self.trial, tuple(self.grid), tuple(self.skip)))

    def on_dataset(self, dataset_id: str) -> "GridConfig":
        """The same grid on this dataset."""
        return replace(self, trial=replace(self.trial, dataset=dataset_id))


@functools.lru_cache(maxsize=16)
def _axes(grid: tuple[str, ...]) -> Axes:
    axes = parse_axes(grid, WHOLE)
    for name in axes:
        _check_can_be_axis(name)
    read = {
        name: tuple(read_value(TrainConfig, name, value) for value in values)
        for name, values in axes.items()
    }
    for name, values in read.items():  # 0.1 and 0.10 are one value: one trial, launched twice
        check_once(name, values)
    return read


@functools.lru_cache(maxsize=4)  # asked for by every step of the flow
def _trials(
    trial: TrainConfig, grid: tuple[str, ...], skip: tuple[str, ...]
) -> tuple[TrainConfig, ...]:
    axes = _axes(grid)
    skips = parse_skips(skip, axes, functools.partial(read_value, TrainConfig))
    base = asdict(trial)
    return tuple(build(TrainConfig, merge(base, point)) for point in points(axes, skips))


def _check_can_be_axis(name: str) -> None:
    """ConfigError for a field outside the id: its values would be one trial, launched many times."""
    outside = {one.name for one in fields(TrainConfig)} - set(inside_types(TrainConfig))
    if name in outside:
        raise ConfigError(
            f"{name} cannot change the result of a trial, so it is no axis",
            f"--grid {name}",
            "Set it for all trials, with a flag of its own.",
        )


def _takes_whole_numbers(hint: Any) -> bool:
    return hint is int or any(_takes_whole_numbers(part) for part in get_args(hint))


WHOLE = frozenset(
    name for name, hint in dotted_types(TrainConfig).items() if _takes_whole_numbers(hint)
)
"""Fields whose ranges give whole numbers."""

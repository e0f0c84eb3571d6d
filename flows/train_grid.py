"""Every missing trial of a grid, each in a process or flow run of its own."""

from segnets.config.grid import GridConfig
from tasks.notify import tells_failure
from tasks.runs import flow, run_from_flags
from tasks.train_grid import (
    GridResult,
    grid_on_dataset,
    launch_missing,
    look_ahead,
    summarise,
    write_plan,
)


@flow(name="train-grid")
@tells_failure("grid failed")
def train_grid_flow(config: GridConfig = GridConfig()) -> GridResult:
    """Train what is missing of a grid; a trial that fails stops no other."""
    if config.dry_run:
        return look_ahead(config)
    config = grid_on_dataset(config)
    write_plan(config)
    return summarise(config, launch_missing(config))


if __name__ == "__main__":
    run_from_flags(train_grid_flow, GridConfig)

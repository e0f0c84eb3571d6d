"""A dataset: Cityscapes folder -> validated shards in the store."""

from segnets.config.preprocess import PreprocessConfig
from tasks.preprocess import DatasetResult, convert, draw_streets, find_streets
from tasks.runs import flow, run_from_flags


@flow(name="preprocess")
def preprocess_flow(config: PreprocessConfig = PreprocessConfig()) -> DatasetResult:
    """Make a dataset from a folder in the Cityscapes layout, or from street scenes drawn by a seed."""
    found = find_streets(config)
    return found or convert(config, draw_streets(config))


if __name__ == "__main__":
    run_from_flags(preprocess_flow, PreprocessConfig)

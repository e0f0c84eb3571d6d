from dataclasses import FrozenInstanceError, asdict, fields

import pytest

from segnets.config.build import build
from segnets.config.evaluate import EvaluateConfig
from segnets.config.grid import GridConfig
from segnets.config.predict import PredictConfig
from segnets.config.preprocess import PreprocessConfig
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError

CONFIGS = [PreprocessConfig, TrainConfig, GridConfig, EvaluateConfig, PredictConfig]


@pytest.mark.parametrize("config_type", CONFIGS)
def test_a_config_comes_back_from_its_plain_dict(config_type):
    assert build(config_type, asdict(config_type())) == config_type()


@pytest.mark.parametrize("config_type", CONFIGS)
def test_a_misspelt_setting_is_refused_by_its_name(config_type):
    with pytest.raises(ConfigError, match=r"no such setting: --nosuch-thing\. See --help") as found:
        build(config_type, {"nosuch_thing": 1})
    assert found.value.exit_code == 2


@pytest.mark.parametrize("config_type", CONFIGS)
def test_a_config_is_frozen(config_type):
    with pytest.raises(FrozenInstanceError):
        setattr(config_type(), fields(config_type)[0].name, "elsewhere")


def test_a_recipe_is_no_setting():
    with pytest.raises(ConfigError, match="--recipe"):
        build(TrainConfig, {"recipe": "student"})


def test_a_misspelt_setting_of_a_group_is_named_with_its_group():
    with pytest.raises(ConfigError, match=r"--augment\.gama"):
        build(TrainConfig, {"augment": {"gama": 0.1}})


def test_an_unchecked_config_is_checked_again_when_it_is_handed_in():
    with pytest.raises(ConfigError, match="--epochs"):
        build(GridConfig, {"trial": TrainConfig(epochs=-1)})


def test_the_range_is_told_before_a_rule_between_fields():
    with pytest.raises(ConfigError, match="--epochs"):
        build(TrainConfig, {"epochs": 0, "model": "resnet_lstm", "temporal": "none"})


def test_predictions_and_data_go_together():
    with pytest.raises(ConfigError, match="--predictions and --data go together"):
        build(EvaluateConfig, {"predictions": "masks"})


@pytest.mark.parametrize("size", ["448", "448x895", "448x448", "x", "10x20", "-448x-896"])
def test_a_source_size_is_twice_as_wide_as_high(size):
    with pytest.raises(ConfigError, match="--source-size"):
        build(PreprocessConfig, {"source_size": size})


@pytest.mark.parametrize("name", ["", "A", "a-b", "a b", "a" * 41])
def test_a_dataset_name_is_short_and_plain(name):
    with pytest.raises(ConfigError, match="--name"):
        build(PreprocessConfig, {"name": name})


def test_a_night_that_would_write_nothing_is_refused():
    off = {"color": False, "label_ids": False, "overlay": False}
    with pytest.raises(ConfigError, match="there is nothing to write"):
        build(PredictConfig, off)
    assert build(PredictConfig, {**off, "confidence": True}).confidence

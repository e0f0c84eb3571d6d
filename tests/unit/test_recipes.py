import pytest

from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.train import TrainConfig
from segnets.recipes import RECIPES
from tasks.runs import under_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_valid_trial(name):
    build(TrainConfig, RECIPES[name])


def test_the_default_recipe_is_the_class_itself():
    assert build(TrainConfig, RECIPES["default"]) == TrainConfig()


def test_the_students_recipe_is_the_students():
    config = build(TrainConfig, RECIPES["student"])
    assert (config.model, config.optimizer, config.lr) == ("resnet_lstm", "adam", 0.001)
    assert (config.batch_size, config.epochs, config.weight_decay) == (1, 10, 1e-5)
    assert config.psp


def test_what_was_typed_lies_over_the_recipe_group_by_group():
    typed = {"lr": "0.01", "augment": {"flip": "0.25"}}
    config = build(TrainConfig, under_recipe(TrainConfig, typed, "student"))
    assert config.lr == 0.01
    assert config.augment.flip == 0.25
    assert config.augment.scale_max == 1.0  # the recipe's
    assert config.optimizer == "adam"


def test_a_grid_lays_the_recipe_under_its_trial():
    typed = {"grid": ("seed=1,2",), "trial": {"epochs": "3"}}
    config = build(GridConfig, under_recipe(GridConfig, typed, "student"))
    assert config.trial.epochs == 3
    assert config.trial.optimizer == "adam"

"""Recipes: name -> the settings of a trial that differ from TrainConfig's defaults.

Order of force: class default, recipe, what was typed; the last wins. The class defaults are the recipe
`default`, the best we know. A recipe is a flag, never a field: an id holds the settings it stands for.
"""

from collections.abc import Mapping
from typing import Any

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # The student project's training: Adam at one rate, plain cross-entropy, decay on everything,
    # gamma and saturation as its only augmentation. Its notebook took 20 epochs for the grid.
    "student": {
        "model": "resnet_lstm",
        "optimizer": "adam",
        "lr": 0.001,
        "batch_size": 1,
        "epochs": 10,
        "weight_decay": 1e-5,
        "schedule": "constant",
        "warm_up": 0.0,
        "ema": 0.0,
        "clip_grad": 0.0,
        "class_weights": "none",
        "augment": {"flip": 0.0, "scale_min": 1.0, "scale_max": 1.0},
    },
    # A look whether everything runs, not a result.
    "quick": {"epochs": 2, "batch_size": 8, "temporal": "mean"},
}

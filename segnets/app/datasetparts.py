"""The parts of the Dataset page as Python knows them; drawing is in the .js files of their names."""

from typing import ClassVar

import param

from segnets.app.duel import NAMED_COLORS
from segnets.app.parts import Part
from segnets.app.theme import COMPONENT, css, esm

_LOOKS = [COMPONENT, css("dataset")]


class Frequency(Part):
    """Bars on a log scale: splits {name, shares (a number a class)}; `ious` of the best model (or none)."""

    splits = param.List(default=[])
    ious = param.List(default=[])
    classes = param.List(default=[*NAMED_COLORS, {"name": "unlabelled", "color": "#000"}])
    _esm = esm("frequency")
    _stylesheets: ClassVar[list[str]] = _LOOKS


class Weights(Part):
    """Class weights {name, color, value}; mean and std of R, G, B."""

    rows = param.List(default=[])
    mean = param.List(default=[])
    std = param.List(default=[])
    _esm = esm("weights")
    _stylesheets: ClassVar[list[str]] = _LOOKS


class Checks(Part):
    """Checks {tone (good, warn, bad), title, detail}."""

    checks = param.List(default=[])
    _esm = esm("checks")
    _stylesheets: ClassVar[list[str]] = _LOOKS


class Rows(Part):
    """A table of texts: columns {title, kind (text, name, file, number, tone)}, rows of cells.

    `stacked`: on a telephone a row is a paragraph.
    """

    columns = param.List(default=[])
    rows = param.List(default=[])
    stacked = param.Boolean(default=False)
    _esm = esm("rows")
    _stylesheets: ClassVar[list[str]] = _LOOKS

"""The parts of Compare as Python knows them; drawing is in the .js files of their names."""

from typing import ClassVar

import param

from segnets.app.parts import Part
from segnets.app.theme import COMPONENT, css, esm
from segnets.app.viewer import CLASSES, Pictures

NAMED_COLORS = [
    {"name": row["name"], "color": "rgb({},{},{})".format(*row["rgb"])} for row in CLASSES
]


class Duel(Pictures):
    """Two models on one frame, every sample A over B, and the samples in order of their gap.

    Messages from the browser: {type: want, keys, source}, {type: show, sample}, {type: way, way},
    {type: opacity, opacity}, {type: open, side, sample}, {type: mistake, mistake}. To it: {type:
    sample, key, source, frame, truth, a, b}, {type: fault, key, source, sentence}; `source` names the
    two evaluations, so that an answer that comes after another choice is dropped.
    """

    catalog = param.List(default=[])
    picked = param.List(default=[])
    mistake = param.String(default="")
    classes = param.List(default=CLASSES)
    labels = param.Dict(default={})
    source = param.String(default="")
    way = param.String(default="swipe")
    opacity = param.Integer(default=55, bounds=(0, 100))
    dark = param.Boolean(default=False)
    _esm = esm("pixels", "scatter", "duel")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("duel")]


class Verdict(Part):
    """A sentence, facts {label, parts: [[text, tone]]}, settings [name, A's, B's]."""

    sentence = param.String(default="")
    tone = param.String(default="")
    facts = param.List(default=[])
    differs = param.List(default=[])
    _esm = esm("verdict")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("compare")]


class Gaps(Part):
    """IoU of A and of B per class: rows {name, color, a, b}, in the order shown."""

    rows = param.List(default=[])
    _esm = esm("gaps")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("compare")]


class Matrix(Part):
    """Confusions of A and B as shares of the truth (19, 20), None for no value; side a, b or gap.

    Message: {type: mistake, mistake}, which is TRUTH-PREDICTED or nothing.
    """

    a = param.List(default=[])
    b = param.List(default=[])
    side = param.String(default="a")
    mistake = param.String(default="")
    classes = param.List(default=NAMED_COLORS)
    _esm = esm("matrix")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("compare")]

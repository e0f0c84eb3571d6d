"""The picture viewer: what Python knows of it. Drawing is in viewer.js, looks in viewer.css."""

from typing import Any, ClassVar

import param

from segnets.app.parts import Part
from segnets.app.state import LAYERS
from segnets.app.theme import COMPONENT, css, esm
from segnets.labels import CLASS_COLORS, CLASS_NAMES

CLASSES = [
    {"name": name, "rgb": list(color)}
    for name, color in zip(CLASS_NAMES, CLASS_COLORS, strict=True)
]


WORDS = {
    "title": "Samples",
    "by": "mIoU",
    "score": "mIoU",
    "scores": "IoU of this sample",
    "order": "worst first",
    "none": "This frame has no label, so it has no scores.",
}
"""What the numbers of a catalogue are called; predictions have other ones than evaluations."""


class Viewer(Part):
    """List, strip, picture, layers, scores and legend of the samples of one evaluation.

    Messages from the browser: {type: want, keys, past, source}, {type: show, sample},
    {type: layer, layer}, {type: opacity, opacity},
    {type: hidden, hidden}. To the browser: {type: sample, ...} with encoded
    pictures and `past`, those of the earlier frames, or `past` alone, {type: fault, sentence}; `source`
    names the evaluation, so that an answer that comes after a change of model is dropped.
    """

    catalog = param.List(default=[])
    classes = param.List(default=CLASSES)
    source = param.String(default="")
    sample = param.String(default="")
    layers = param.List(default=list(LAYERS))
    layer = param.String(default="prediction")
    opacity = param.Integer(default=55, bounds=(0, 100))
    hidden = param.List(default=[])
    order = param.String(default="worst")
    words = param.Dict(default=WORDS)
    dark = param.Boolean(default=False)
    plain = param.Boolean(default=False)
    """Frames and truth only, a part of a page among others: no scores, and keys only with the focus."""
    _esm = esm("pixels", "viewer")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("viewer")]

    def answer(self, data: dict[str, Any]) -> None:
        """Send one message to the browser."""
        self._send_msg(data)

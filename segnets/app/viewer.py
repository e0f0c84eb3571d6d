"""The picture viewer: what Python knows of it. Drawing is in viewer.js, looks in viewer.css."""

from collections.abc import Callable
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


class Pictures(Part):
    """Shows one sample of many; what somebody does there is shown at once, told, and never sent back.

    Its echo would come a round trip later, when its user may be some samples further.
    """

    sample = param.List(default=["", 0])
    """[key, count]: the one that was asked for last. The count makes it news to a browser that has
    been there and has gone on since."""
    _counted: ClassVar[tuple[str, ...]] = ("sample",)

    def __init__(
        self, on_message: Callable[[dict[str, Any]], None] | None = None, **params: Any
    ) -> None:
        self._agreed = dict(params)  # what was asked for here, or told there
        self._count = 0
        self._is_told = False
        super().__init__(on_message, **self._with_count(params))

    def follow(self, **view: Any) -> None:
        """Show these, as the tab's view now has them; only what is news to the browser is sent."""
        news = {name: value for name, value in view.items() if value != self._agreed.get(name)}
        self._agreed |= news
        if not self._is_told:
            self.param.update(**self._with_count(news))

    def ask(self, sample: str) -> None:
        """Show this one in any case: there is another catalogue."""
        self._agreed["sample"] = sample
        self.param.update(**self._with_count({"sample": sample}))

    def answer(self, data: dict[str, Any]) -> None:
        """Send one message to the browser."""
        self._send_msg(data)

    def _with_count(self, view: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        return {
            name: [value, self._count] if name in self._counted else value
            for name, value in view.items()
        }

    def _take(self, messages: list[dict[str, Any]]) -> None:
        self._is_told = True
        try:
            super()._take(messages)
        finally:
            self._is_told = False


class Viewer(Pictures):
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
    layers = param.List(default=list(LAYERS))
    layer = param.String(default="prediction")
    opacity = param.Integer(default=55, bounds=(0, 100))
    hidden = param.List(default=[[], 0])
    """[classes, count], as `sample`."""
    order = param.String(default="worst")
    words = param.Dict(default=WORDS)
    dark = param.Boolean(default=False)
    plain = param.Boolean(default=False)
    """Frames and truth only, a part of a page among others: no scores, and keys only with the focus."""
    _counted: ClassVar[tuple[str, ...]] = ("sample", "hidden")
    _esm = esm("pixels", "viewer")
    _stylesheets: ClassVar[list[str]] = [COMPONENT, css("viewer")]

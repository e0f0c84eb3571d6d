"""The bar of Compare: which two are set beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from segnets.app.pages.samplerows import evaluation_label
from segnets.app.parts import SAVE_CSV, copy_link
from segnets.app.records import Evaluation
from segnets.app.rivals import comparable
from segnets.app.theme import LIGHT

MOST_OFFERED = 300


def pair_bar(
    evals: Mapping[str, Evaluation], chosen: Sequence[str], warning: str
) -> list[dict[str, Any]]:
    """Items of the bar; A is any evaluation, B one of those that can be compared with it."""
    items: list[dict[str, Any]] = [{"type": "title", "text": "Compare", "level": 1}]
    if evals:
        anchor = evals.get(chosen[0]) or evals.get(chosen[1])
        everything = sorted(evals.values(), key=lambda e: (-(e.miou or 0.0), e.trial, -e.time))
        items += [
            _choice("a", chosen[0], everything),
            _choice("b", chosen[1], comparable(anchor, evals) if anchor else everything),
            {"type": "button", "key": "swap", "text": "⇄ swap", "aria": "swap A and B"},
        ]
    if warning:
        items.append({"type": "note", "text": warning, "tone": "warn"})
    return [
        *items,
        {"type": "gap"},
        {"type": "keys", "keys": [["←→", "sample"], [["1–4"], "view"], [["f"], "flip"]]},
        *([SAVE_CSV] if evals else []),
        copy_link(a=chosen[0], b=chosen[1]),
    ]


def _choice(key: str, value: str, offered: Sequence[Evaluation]) -> dict[str, Any]:
    options = [{"value": e.id, "label": evaluation_label(e)} for e in offered[:MOST_OFFERED]]
    if all(option["value"] != value for option in options):
        options.insert(0, {"value": "", "label": "choose"})
        value = ""
    return {
        "type": "select",
        "key": key,
        "label": key.upper(),
        "aria": f"model {key.upper()}",
        "value": value,
        "color": LIGHT[key],
        "options": options,
    }

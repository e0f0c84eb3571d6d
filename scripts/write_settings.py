"""Write docs/settings.md from the config classes: every flag, its default, its help.

A test compares the file with what this prints, so the page cannot lie: python scripts/write_settings.py
"""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from segnets.cli import as_shown, choices_of
from segnets.config.build import OutsideId
from segnets.config.evaluate import EvaluateConfig
from segnets.config.grid import GridConfig
from segnets.config.predict import PredictConfig
from segnets.config.preprocess import PreprocessConfig
from segnets.config.train import TrainConfig
from segnets.recipes import RECIPES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
FLOWS = {
    "preprocess": PreprocessConfig,
    "train": TrainConfig,
    "train_grid": GridConfig,
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
}


def rows(config_type: type, prefix: str = "") -> list[str]:
    """One table row a setting, groups as dotted flags."""
    schema = TypeAdapter(config_type).json_schema()
    schema = schema if "properties" in schema else schema["$defs"][config_type.__name__]
    hints = get_type_hints(config_type, include_extras=True)
    found: list[str] = []
    for field in fields(config_type):
        default: Any = getattr(config_type(), field.name)
        if is_dataclass(default):
            if field.name != "trial":  # a grid's trial has train.py's own table
                found += rows(type(default), f"{prefix}{field.name}.")
            continue
        hint = hints[field.name]
        outside = any(isinstance(mark, OutsideId) for mark in getattr(hint, "__metadata__", ()))
        text = schema["properties"][field.name]["description"].replace("|", "\\|")
        shown = f"`{as_shown(default)}`" if as_shown(default) else ""
        flag = _typed(f"{prefix}{field.name}".replace("_", "-"), hint)
        found.append(f"| {flag} | {shown} | {'' if outside else 'yes'} | {text} |")
    return found


def _typed(name: str, hint: Any) -> str:
    """A flag as it is typed: both words of a switch, the words that a choice takes."""
    if bool in {hint, *get_args(hint)}:
        return f"`--{name}` `--no-{name}`"
    words = "\\|".join(choices_of(hint))
    return f"`--{name} {words}`" if words else f"`--{name}`"


def page() -> str:
    """The whole page."""
    parts = [
        (
            "# Settings\n\nWritten by `python scripts/write_settings.py` from `segnets/config/`, where "
            "flags, Prefect's form and ids come from too. *In the id*: another value is another dataset, "
            "trial or run. The others do not name another one: what could change bits all the same "
            "(`--ranks`, the kind of machine) is sealed at the start and compared.\n"
        )
    ]
    for flow, config_type in FLOWS.items():
        parts.append(f"\n## python flows/{flow}.py\n\n{config_type.__doc__}\n")
        if flow == "train_grid":
            parts.append("\nBesides these, every setting of `python flows/train.py`.\n")
        parts.append("\n| flag | default | in the id | what it does |\n| --- | --- | --- | --- |\n")
        parts.append("\n".join(rows(config_type)) + "\n")
    parts.append(
        "\n## Recipes\n\n`--recipe NAME` of train and train_grid lays these over the defaults; what "
        "you type wins over both.\n\n| recipe | settings that differ |\n| --- | --- |\n"
    )
    for name, settings in RECIPES.items():
        shown = ", ".join(f"{key}={value}" for key, value in settings.items()) or "the defaults"
        parts.append(f"| `{name}` | {shown} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    print(f"wrote {PAGE.name}")

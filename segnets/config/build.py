"""A validated config from a plain dict: the only constructor for flags, forms and grid values."""

import functools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast, get_type_hints

from segnets.errors import ConfigError

T = TypeVar("T")
C = TypeVar("C")

STRICT: dict[str, Any] = {
    "use_attribute_docstrings": True,
    "extra": "forbid",
    "revalidate_instances": "always",
}
"""The pydantic settings of every config class (a plain dict: no pydantic import here)."""


class OutsideId:
    """Marks a field that stays out of the id: another value is the same trial, dataset or run.

    What could change bits all the same (`ranks`, the machine) is sealed at the start and compared.
    """


Outside = Annotated[T, OutsideId()]


def build(config_type: type[C], settings: Mapping[str, Any]) -> C:
    """The config with these settings (nested dicts for groups).

    Raises ConfigError with the first thing that is wrong, named the way a user types it.
    """
    from pydantic import ValidationError

    try:
        return cast("C", _adapter(cast("Any", config_type)).validate_python(dict(settings)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        ours = first.get("ctx", {}).get("error")
        if isinstance(ours, ConfigError):  # raised by a __post_init__
            raise ours from None
        raise ConfigError(*_sentence(first)) from None


def read_value(config_type: Any, name: str, text: Any) -> Any:
    """The value of one setting (dotted for groups) from what was typed, without the rules between fields.

    Raises ConfigError for a setting that there is not, and for a value that it does not take.
    """
    from pydantic import ValidationError

    types = dotted_types(config_type)
    if name not in types:
        raise _no_such_setting(_flag(name))
    try:
        return _adapter(types[name]).validate_python(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(*_sentence({**first, "loc": (name,)})) from None


@functools.cache
def inside_types(config_type: Any) -> Mapping[str, Any]:
    """Field -> its type with its range, of the fields that stand in the id.

    Made once a class: a grid of ten thousand trials asks for as many ids.
    """
    hints = get_type_hints(config_type, include_extras=True)
    return MappingProxyType(
        {
            field.name: hints[field.name]
            for field in fields(config_type)
            if not any(isinstance(one, OutsideId) for one in _marks(hints[field.name]))
        }
    )


@functools.cache
def dotted_types(config_type: Any) -> Mapping[str, Any]:
    """The same with groups taken apart: "augment.gamma" -> its type with its range."""
    found: dict[str, Any] = {}
    for name, hint in inside_types(config_type).items():
        if is_dataclass(hint):
            below = dotted_types(cast("Any", hint))
            found |= {f"{name}.{inner}": type_ for inner, type_ in below.items()}
        else:
            found[name] = hint
    return MappingProxyType(found)


def _marks(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__metadata__", ())


@functools.cache
def _adapter(config_type: type[Any]) -> Any:
    """What checks a config class; made once, which takes 20 ms: a grid has a thousand configs."""
    from pydantic import TypeAdapter

    return TypeAdapter(config_type)


def _sentence(first: Any) -> tuple[str, str, str]:
    """What, where, next step of pydantic's first error."""
    where = ".".join(str(part) for part in first["loc"] if part != "trial")
    flag = _flag(where)
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return _no_such_setting(flag).args
    message = first["msg"][0].lower() + first["msg"][1:]
    return message, f"{flag} {first['input']!r}", "See --help for what it takes."


def _no_such_setting(flag: str) -> ConfigError:
    return ConfigError("there is no such setting", flag, "See --help for those that exist.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")

"""A validated config from a plain dict: the only constructor for flags, forms and grid values."""

import functools
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

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
    """Marks a field that cannot change the result, and so stays out of the id."""


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


@functools.cache
def _adapter(config_type: type[Any]) -> Any:
    """What checks a config class; made once, which takes 20 ms: a grid has a thousand configs."""
    from pydantic import TypeAdapter

    return TypeAdapter(config_type)


def _sentence(first: Any) -> tuple[str, str, str]:
    """What, where, next step of pydantic's first error."""
    where = ".".join(str(part) for part in first["loc"] if part != "trial")
    flag = "--" + where.replace("_", "-")
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return "there is no such setting", flag, "See --help for those that exist."
    message = first["msg"][0].lower() + first["msg"][1:]
    return message, f"{flag} {first['input']!r}", "See --help for what it takes."

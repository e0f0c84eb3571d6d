"""From what was typed to a plain dict, and from a result to the one JSON line on stdout.

cyclopts only collects the words: every value stays text, since it makes 8 of `--epochs 8.5` by itself.
`config.build` (pydantic) alone decides what a value may be. Nothing here imports torch or Prefect.
"""

import contextlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from segnets.config.axes import nest
from segnets.errors import ConfigError

RECIPE = "recipe"
"""The one flag that is no field of a config."""


def parse(
    config_type: type, argv: Sequence[str], *, prog: str, recipes: Sequence[str] = ()
) -> tuple[dict[str, Any], str | None]:
    """What was typed, as nested settings of `config_type` in text, and the name of the recipe.

    Prints the help and raises SystemExit(0) for --help. Raises ConfigError for an unknown flag, a
    stray word, a missing argument or an unknown recipe; values are not looked at.
    """
    from cyclopts import App, CycloptsError, Parameter
    from rich.console import Console

    helps = _helps(config_type) if {"--help", "-h"} & set(argv) else {}
    parameters = []
    for flag, (type_, default) in _flags(config_type).items():
        text, choices = helps.get(flag, ""), choices_of(type_)
        # cyclopts is handed str or bool only: with the real types it would convert by itself.
        hint: Any = bool if type_ is bool else str
        if get_origin(type_) is tuple:
            hint = tuple[str, ...]
        metavar = "|".join(choices) if choices else _metavar(type_)
        shown = as_shown(default)
        parameters.append(
            _parameter(
                flag.replace(".", "__"),
                hint,
                Parameter(
                    name=_flag(flag),
                    help=f"{text} [default: {shown}]" if shown else text,
                    metavar=None if hint is bool else metavar,
                    show_default=False,
                    negative_iterable=(),
                    allow_leading_hyphen=hint is str,
                ),
            )
        )
    if recipes:
        parameters.append(
            _parameter(
                RECIPE,
                str,
                Parameter(
                    name="--recipe",
                    help="Settings that go under those that are typed.",
                    metavar="|".join(recipes),
                    show_default=False,
                ),
            )
        )

    def take(**given: Any) -> dict[str, Any]:
        return given

    take.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # it is read
    app = App(
        name=prog,
        help=inspect.getdoc(config_type),
        help_formatter="plain",
        console=Console(width=100, markup=False, highlight=False),
        version_flags=[],
        result_action="return_value",
    )
    app.default(take)
    try:
        given = app(list(argv), print_error=False, exit_on_error=False)
    except CycloptsError as error:
        raise _usage_error(error) from None
    if given is None:  # --help was answered
        raise SystemExit(0)
    recipe = given.pop(RECIPE, None)
    if recipe is not None and recipe not in recipes:
        raise ConfigError(
            "there is no such recipe", f"--recipe {recipe}", f"Take one of: {', '.join(recipes)}."
        )
    return nest(_under_trial(config_type, given)), recipe


def to_flags(config: Any) -> list[str]:
    """Every setting of a config as flags, so that `parse` and `build` give the same config again."""
    words: list[str] = []
    for flag in _flags(type(config)):
        value = _value(config, flag)
        if value is None:
            continue
        if isinstance(value, bool):
            words.append(_flag(flag) if value else f"--no-{flag.replace('_', '-')}")
        elif isinstance(value, tuple):
            words += [f"{_flag(flag)}={part}" for part in value]
        else:
            words.append(f"{_flag(flag)}={value}")
    return words


def json_line(content: Mapping[str, Any]) -> bytes:
    """One line of JSON; a number that is not finite becomes null, what is not UTF-8 is escaped."""
    text = json.dumps(_finite(content), ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace") + b"\n"


@contextlib.contextmanager
def keep_stdout() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Keep the real stdout for one line: inside, file descriptor 1 is stderr.

    Yields the function that writes the line. Prints, warnings and child processes go to stderr. A
    reader that has gone away is no fault.
    """
    for fd in (0, 1, 2):  # one that is closed would be given to the next file that is opened
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # lives to the end
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115  # same
    sys.stdout.flush()
    kept = os.dup(1)
    os.set_inheritable(kept, False)
    os.dup2(2, 1)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)  # else prints into a pipe come late

    def say(content: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(kept, json_line(content))

    try:
        yield say
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _parameter(name: str, hint: Any, parameter: Any) -> inspect.Parameter:
    """A keyword that is left out of what `take` is given where nothing was typed.

    cyclopts checks defaults too once pydantic is loaded, so each is of its own type.
    """
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default={bool: False, str: ""}.get(hint, ()),
        annotation=Annotated[hint, parameter],
    )


def _flags(config_type: type) -> dict[str, tuple[Any, Any]]:
    """Flag (dotted for groups) -> its type and default; the fields of `trial` stand flat."""
    hints = get_type_hints(config_type)
    found: dict[str, tuple[Any, Any]] = {}
    default = config_type()
    for field in fields(config_type):
        type_ = hints[field.name]
        if not is_dataclass(type_):
            found[field.name] = (type_, getattr(default, field.name))
            continue
        group = "" if field.name == "trial" else f"{field.name}."
        assert isinstance(type_, type)
        found |= {group + name: flag for name, flag in _flags(type_).items()}
    return found


def _under_trial(config_type: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted settings with those of a grid's trial put where they belong."""
    own = {field.name for field in fields(config_type)}
    dotted = {name.replace("__", "."): value for name, value in given.items()}
    if not is_dataclass(get_type_hints(config_type).get("trial")):
        return dotted
    return {(name if name in own else f"trial.{name}"): value for name, value in dotted.items()}


def _helps(config_type: type) -> dict[str, str]:
    """Flag -> the docstring under its field, as pydantic reads it for the Prefect form too."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(config_type).json_schema()
    definitions = schema.get("$defs", {})

    def read(properties: Mapping[str, Any], group: str) -> Iterator[tuple[str, str]]:
        for name, content in properties.items():
            target = content.get("$ref") or content.get("allOf", [{}])[0].get("$ref")
            if target is None:
                yield group + name, content.get("description", "")
            else:
                below = definitions[target.rpartition("/")[2]]["properties"]
                yield from read(below, group if name == "trial" else f"{group}{name}.")

    return dict(read(schema["properties"], ""))


def choices_of(type_: Any) -> tuple[str, ...]:
    """The words a Literal allows; none for other types."""
    if get_origin(type_) is Literal:
        return tuple(str(word) for word in get_args(type_))
    return tuple(word for part in get_args(type_) for word in choices_of(part))


def _metavar(type_: Any) -> str:
    """INT, FLOAT or TEXT, for the help."""
    parts = {type_, *get_args(type_)}
    return "INT" if int in parts else "FLOAT" if float in parts else "TEXT"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _value(config: Any, flag: str) -> Any:
    for name in flag.split("."):
        config = (
            getattr(config, name) if hasattr(config, name) else getattr(config.trial, name)
        )  # the fields of a grid's trial stand flat
    return config


def as_shown(default: Any) -> str:
    """A default in the words of the help."""
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        return " ".join(default)
    return "" if default is None else str(default)


def _usage_error(error: Exception) -> ConfigError:
    """The error of cyclopts in our words: one line, what, where, next step."""
    from cyclopts import MissingArgumentError, UnknownOptionError, UnusedCliTokensError
    from cyclopts.exceptions import RepeatArgumentError

    next_step = "See --help."
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
        near = _near(word, error)
        return ConfigError(
            "there is no such flag", word, f"Did you mean {near}?" if near else next_step
        )
    if isinstance(error, UnusedCliTokensError):
        words = " ".join(error.unused_tokens or ())
        return ConfigError("a word that belongs to no flag", words, next_step)
    argument, token = getattr(error, "argument", None), getattr(error, "token", None)
    name = (token and token.keyword) or (argument and argument.name) or "the command line"
    if isinstance(error, MissingArgumentError):
        return ConfigError("a flag lacks its value", name, next_step)
    if isinstance(error, RepeatArgumentError):
        return ConfigError("a flag is given twice", name, "Give it once.")
    text = " ".join(str(error).split())
    return ConfigError(text or type(error).__name__, name, next_step)


def _near(word: str, error: Any) -> str | None:
    """The flag that comes nearest to a misspelt one."""
    from difflib import get_close_matches

    names = [name for argument in error.argument_collection for name in argument.names]
    found = get_close_matches(word, names, n=1, cutoff=0.7)
    return found[0] if found else None


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None  # NaN compares false
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value

"""The Prefect edge: one body for a command and for a flow run.

`flow` and `step` decide when they are called: in `python flows/x.py` without a Prefect server they are the
plain functions and Prefect is not even imported (0.3 s against 3.6 s); with a server, or in a worker,
they are a real flow run and its task runs.
"""

import dataclasses
import functools
import inspect
import logging
import os
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar, cast, get_type_hints

from segnets.cli import keep_stdout, parse
from segnets.config.axes import merge
from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.train import TrainConfig
from segnets.errors import ConfigError, SegnetsError, ServerAway
from segnets.recipes import RECIPES
from segnets.store.open import resolve_url
from segnets.store.preflight import nobody_there
from tasks.logs import log_to_console, log_to_run, quiet_for_our_errors
from tasks.stops import as_stopped, die_with_parent, leave_with_worker, signals_stop

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

logger = logging.getLogger("segnets")

# Threads that spin while they wait for one another starve each other where the cores are shared: a step
# on two threads then takes two to ten times as long. OpenMP reads this when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


# --- flow and step -----------------------------------------------------------------------------------


def step(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A Prefect task inside a flow run, the plain function outside; options are prefect.task's.

    Prefect retries no step: a store that is away is waited for in the store, a trial that died is
    started again by the grid.
    """

    def wrap(fn: Callable[P, R]) -> Callable[P, R]:
        @functools.cache
        def as_task() -> Callable[P, R]:
            import prefect

            return cast("Callable[P, R]", prefect.task(persist_result=False, **options)(fn))

        @functools.wraps(fn)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return (as_task() if in_flow_run() else fn)(*args, **kwargs)

        return call

    return wrap


def in_flow_run() -> bool:
    """Whether this code runs inside a Prefect flow run."""
    if "prefect.context" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


def is_scheduled() -> bool:
    """Whether a schedule of a deployment started this flow run, and not a person."""
    if not in_flow_run():
        return False
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.auto_scheduled)


def flow(*, name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A Prefect flow for whoever imports the file; a plain function in `python flows/x.py`."""

    def wrap(fn: Callable[P, R]) -> Callable[P, R]:
        fn.__flow_name__ = name  # type: ignore[attr-defined]  # read by as_flow and by the JSON line
        return fn if fn.__module__ == "__main__" else as_flow(fn)

    return wrap


def as_flow(fn: Callable[P, R]) -> Callable[P, R]:
    """The function as a Prefect flow, which ends a fault of ours as Failed("exit 3: SENTENCE")."""
    import prefect
    from prefect.states import Failed

    log_to_console()
    log_to_run(in_flow_run)
    quiet_for_our_errors()
    if "PREFECT__FLOW_RUN_ID" in os.environ:  # a worker started this process
        leave_with_worker()
        nobody_there()

    @functools.wraps(fn)
    def body(*args: P.args, **kwargs: P.kwargs) -> Any:
        from tasks.display import report_summary  # it asks this file whether there is a run

        try:
            result: Any = fn(*args, **kwargs)
            report_summary(_flow_name(fn), _as_dict(result))
            return result
        except SegnetsError as error:
            if error.summary:
                report_summary(_flow_name(fn), error.summary)
            # Returned instead of raised: the message is then ours, and a grid reads its number.
            return Failed(message=f"exit {error.exit_code}: {error}", data=error)

    made = prefect.flow(name=_flow_name(fn), persist_result=False)(body)
    return cast("Callable[P, R]", made)


def _flow_name(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "__flow_name__", getattr(fn, "name", fn.__name__)))


# --- is there a server -------------------------------------------------------------------------------


def api_url() -> str | None:
    """The Prefect API this command reports to; None, without importing Prefect, if nobody named one.

    An empty PREFECT_API_URL means: without Prefect. Else Prefect's own settings decide; the files are
    looked at only to save its import where none can name an API.
    """
    if os.environ.get("PREFECT_API_URL") == "":
        return None
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    named = {"PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"} & os.environ.keys()
    files = (Path("prefect.toml"), home / "profiles.toml")
    if not (named or any(path.is_file() for path in files) or _named_in_project()):
        return None
    from prefect.settings import get_current_settings

    return get_current_settings().api.url or None


def _named_in_project() -> bool:
    """Whether .env or pyproject.toml of the working directory speak of a Prefect API."""
    try:
        if "PREFECT_" in Path(".env").read_text(errors="replace"):
            return True
    except OSError:
        pass
    try:
        tool = tomllib.loads(Path("pyproject.toml").read_text()).get("tool", {})
    except (OSError, ValueError):
        return False
    return "api" in tool.get("prefect", {})


def check_server(url: str) -> None:
    """Raise ServerAway unless the Prefect server at `url` answers."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True, httpx_settings={"timeout": 10}) as client:
        fault = client.api_healthcheck()
    if fault is not None:
        raise ServerAway(
            "the Prefect server does not answer",
            url,
            "Run make up to start it, or make down to work without it.",
        )


# --- a command ---------------------------------------------------------------------------------------


def run_from_flags(fn: Callable[[C], Any], config_type: type[C]) -> NoReturn:
    """Run a flow from the command line: flags in, one line of JSON out, an exit code of README."""
    die_with_parent()
    raise SystemExit(run_command(fn, config_type, sys.argv[1:]))


def run_command(fn: Callable[[C], Any], config_type: type[C], argv: Sequence[str]) -> int:
    """The exit code of this flow with these flags; see `run_from_flags`."""
    name = _flow_name(fn)
    recipes = tuple(RECIPES) if config_type in {TrainConfig, GridConfig} else ()
    try:
        typed, recipe = parse(config_type, argv, prog=f"python flows/{_file(fn)}", recipes=recipes)
        config = build(config_type, under_recipe(config_type, typed, recipe))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # the one sentence
        return error.exit_code
    started = time.monotonic()
    settings: Any = config.trial if isinstance(config, GridConfig) else config
    result: dict[str, Any] = {"flow": name, **_unknown(fn)}
    plain, code, status, sentence = fn, 0, "done", ""
    with keep_stdout() as say:
        log_to_console(quiet=settings.quiet)
        signals_stop()
        try:
            # A look changes nothing: it needs no flow run, whose start takes longer than the look.
            url = None if getattr(config, "dry_run", False) else api_url()
            if url is not None:
                logger.info("reports to the Prefect server %s", url)
                check_server(url)
                fn = as_flow(plain)
            result |= _as_dict(fn(config))
            status = "done" if result.get("paused_at") is None else "paused"
        except ConfigError as error:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201  # the one sentence
            return error.exit_code
        except SegnetsError as error:
            code, status, sentence = error.exit_code, "failed", str(error)
            result |= error.summary
        except Exception as error:  # noqa: BLE001  # a bug: its traceback is for us
            code, status, sentence = 1, "failed", f"{type(error).__name__}: {error}"
            if fn is plain:  # Prefect has printed it already
                traceback.print_exc()
        except BaseException as error:  # Stopped, or Prefect's TerminationSignal
            stopped = as_stopped(error)
            if stopped is None:
                raise
            code, status, sentence = stopped.exit_code, "stopped", str(stopped)
        result |= {
            "status": status,
            "seconds": round(time.monotonic() - started, 3),
            "store": resolve_url(settings.store),
        }
        if sentence:
            result["error"] = {"sentence": sentence, "exit_code": code}
            print(f"error: {sentence}", file=sys.stderr)  # noqa: T201  # the one sentence
        say(result)
    return code


def under_recipe(config_type: type, typed: Mapping[str, Any], recipe: str | None) -> dict[str, Any]:
    """What was typed, laid over the settings of a recipe."""
    base = RECIPES[recipe or "default"] if config_type in {TrainConfig, GridConfig} else {}
    return merge({"trial": base} if config_type is GridConfig else base, typed)


def _file(fn: Callable[..., Any]) -> str:
    inner = inspect.unwrap(fn)
    return Path(getattr(inner, "__code__", run_command.__code__).co_filename).name


def _as_dict(summary: Any) -> dict[str, Any]:
    return dataclasses.asdict(summary) if dataclasses.is_dataclass(summary) else dict(summary)  # type: ignore[arg-type]  # an instance


def _unknown(fn: Callable[..., Any]) -> dict[str, None]:
    """The flow's own keys, all null: what a command says that did not come to its end."""
    summary = get_type_hints(fn).get("return")
    return dict.fromkeys(field.name for field in dataclasses.fields(summary)) if summary else {}

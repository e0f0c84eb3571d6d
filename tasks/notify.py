"""Word to people: a grid that has finished, a trial or a night that failed, a night that drifts.

$SEGNETS_NOTIFY says how: an http(s) URL gets each event as a POST, anything else is a command that gets
it on stdin; one JSON object in either case. It is a variable and no setting, since such URLs hold secrets,
and Prefect shows parameters. A flow waits for it 5 s at most, and its failure is a warning and no more.

event, time, host, store     in every object
grid finished                grid, trials, ran, reused, failed, best
grid failed                  exit_code, sentence: it ended before its trials did
trial failed                 trial, exit_code, sentence; a trial that was stopped has not failed
night failed                 data, exit_code, sentence
drift                        trial, run, night, why
"""

import functools
import logging
import os
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

from segnets.cli import json_line
from segnets.errors import SegnetsError, TrialsFailed
from segnets.store.base import Store
from segnets.store.open import resolve_url
from tasks.launch import Failure
from tasks.runs import in_flow_run

P = ParamSpec("P")
R = TypeVar("R")

ENVIRONMENT = "SEGNETS_NOTIFY"
LIMIT_S = 5.0
"""Longest wait for a hook."""

Event = Literal["grid finished", "grid failed", "trial failed", "night failed", "drift"]

logger = logging.getLogger("segnets.tasks")


def tell(event: Event, store: str | None, **facts: Any) -> None:
    """Hand an event to the hook, if there is one; whatever goes wrong is a warning."""
    hook = os.environ.get(ENVIRONMENT, "").strip()
    if not hook:
        return
    content = {
        "event": event,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "store": resolve_url(store),
        **facts,
    }
    is_url = urlsplit(hook).scheme in {"http", "https"}
    try:
        (_post if is_url else _hand_over)(hook, json_line(content))
    except Exception as error:  # noqa: BLE001  # the flow is worth more than the word about it
        # a URL's path and a command's words may hold a token
        parts = urlsplit(hook)
        where = f"{parts.scheme}://{parts.hostname}" if is_url else hook.split()[0]
        logger.warning("nobody was told of %s by $%s (%s): %s", event, ENVIRONMENT, where, error)


def tells_failure(
    event: Event, facts: Callable[[Any], Mapping[str, Any]] = lambda _: {}
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Tell of a flow that ends by a fault, with what `facts` reads in its config."""

    def wrap(fn: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(fn)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return fn(*args, **kwargs)
            except TrialsFailed:
                raise  # a grid that has finished; it told so
            except Exception as error:
                config: Any = args[0] if args else kwargs["config"]
                if not (of_a_grid() or getattr(config, "dry_run", False)):
                    store = getattr(getattr(config, "trial", config), "store", None)
                    with suppress(Exception):  # the flow's own fault is the one to raise
                        tell(event, store, **facts(config), **reason(error))
                raise

        return call

    return wrap


def tells_night(fn: Callable[P, R]) -> Callable[P, R]:
    """Tell of a prediction flow that fails, and of one whose result says why it drifts."""

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        result: Any = fn(*args, **kwargs)
        why = (getattr(result, "drift", None) or {}).get("why")
        if why:
            config: Any = args[0] if args else kwargs["config"]
            facts = {"trial": result.trial, "run": result.run, "night": result.night}
            tell("drift", getattr(config, "store", None), **facts, why=list(why))
        return result  # type: ignore[no-any-return]  # what fn returned

    return tells_failure("night failed", lambda config: {"data": config.data})(call)


def told(store: Store) -> Callable[[Failure], None]:
    """Tells people of a trial that failed, but not of one that somebody stopped."""

    def tell_of(failure: Failure) -> None:
        if failure.status != "stopped":
            tell(
                "trial failed",
                store.url,
                trial=failure.trial,
                exit_code=failure.exit_code,
                sentence=failure.sentence,
            )

    return tell_of


def reason(error: Exception) -> dict[str, Any]:
    """Exit code and sentence of a fault, as the flow's JSON line has them."""
    if isinstance(error, SegnetsError):
        return {"exit_code": error.exit_code, "sentence": str(error)}
    return {"exit_code": 1, "sentence": f"{type(error).__name__}: {error}"}


def of_a_grid() -> bool:
    """Whether this is a flow run that a grid launched: the grid tells of it, after its last launch.

    A trial that is a grid's process has no hook in its environment.
    """
    if not in_flow_run():
        return False
    from prefect.runtime import flow_run

    return any(str(tag).startswith("launch:") for tag in flow_run.tags or ())


def _hand_over(command: str, line: bytes) -> None:
    """Start the command with the object on its stdin; what it prints goes to stderr."""
    process = subprocess.Popen(
        shlex.split(command), stdin=subprocess.PIPE, stdout=2, start_new_session=True
    )
    try:
        process.communicate(line, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"it did not end within {LIMIT_S:g} s") from None
    finally:
        if process.poll() is None:  # also after a signal to us
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise RuntimeError(f"it ended with {process.returncode}")


def _post(url: str, line: bytes) -> None:
    """POST the object; in a thread, since names and slow servers know no common time limit."""
    import urllib.error
    import urllib.request  # with ssl and http 0.1 s, which --help need not take

    request = urllib.request.Request(  # noqa: S310  # http and https only, by the caller
        url, line, {"Content-Type": "application/json"}, method="POST"
    )
    faults: list[Exception] = []

    def send() -> None:
        try:
            # its own limit only ends the thread: the join below says first that there was no answer
            with urllib.request.urlopen(request, timeout=2 * LIMIT_S):  # noqa: S310  # same
                pass
        except (OSError, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            faults.append(error)

    thread = threading.Thread(target=send, name="notify", daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {LIMIT_S:g} s")
    if faults:
        raise faults[0]

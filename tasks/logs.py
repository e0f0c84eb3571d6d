"""Where log lines go: to stderr, to the flow run, and what of Prefect's is kept from people."""

import logging
import sys
from collections.abc import Callable
from typing import Any

from segnets.errors import SegnetsError
from tasks.stops import as_stopped

logger = logging.getLogger("segnets")


class ToStderr(logging.StreamHandler[Any]):
    """Lines for people on whatever sys.stderr is now, so that a live display can stand below them."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """The stream of the moment."""
        return sys.stderr


def log_to_console(*, quiet: bool = False) -> None:
    """Send what the core says to stderr: INFO and above, warnings only if quiet."""
    for handler in logger.handlers:
        if isinstance(handler, ToStderr):
            break
    else:
        handler = ToStderr()
        logger.addHandler(handler)
        logger.propagate = False
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.setLevel(logging.INFO)


def log_to_run(in_flow_run: Callable[[], bool]) -> None:
    """Send what the core says to the flow run too, where there is one.

    Prefect's extra_loggers adds a handler but leaves the level at WARNING, so we attach it ourselves.
    """
    from prefect.logging.handlers import APILogHandler

    if any(isinstance(handler, APILogHandler) for handler in logger.handlers):
        return
    handler = APILogHandler()
    handler.addFilter(lambda _record: in_flow_run())  # outside a run it would complain
    logger.addHandler(handler)


class NoTraceback(logging.Filter):
    """Cuts the traceback from Prefect's lines about faults we can explain, and about interrupts."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line; only its traceback goes."""
        found = record.exc_info[1] if record.exc_info else None
        errors = [found, *(record.args if isinstance(record.args, tuple) else ())]
        for error in errors:
            if not isinstance(error, BaseException):
                continue
            # Prefect's ParameterTypeError: a form or -p config= that no config can be made of
            wrong_form = type(error).__name__ == "ParameterTypeError"
            if isinstance(error, SegnetsError) or wrong_form or as_stopped(error) is not None:
                record.exc_info = record.exc_text = None
                record.msg, record.args = str(error) or type(error).__name__, ()
                break
        return True


def quiet_for_our_errors() -> None:
    """Put the filter on every logger of Prefect that would print our errors with a traceback."""
    for name in ("prefect.flow_runs", "prefect.task_runs", "prefect.engine"):
        named = logging.getLogger(name)
        if not any(isinstance(found, NoTraceback) for found in named.filters):
            named.addFilter(NoTraceback())

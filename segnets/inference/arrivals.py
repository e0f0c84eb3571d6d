"""Which files of a source are whole: their size and time of change stand still for a while.

Cameras and copying tools write while a night runs. A file that was changed lately is looked at twice,
`settle_s` apart; one that has changed between the looks is left for the next night, and is no fault.
"""

import logging
import time
from collections.abc import Mapping

from segnets.errors import NotFound
from segnets.signals import StopRequest
from segnets.store.base import Listed, Source

YOUNG = 10
"""Files older than so many times `settle_s` are not looked at twice."""

logger = logging.getLogger("segnets.predict")


class NotSettledError(Exception):
    """A file that another program is writing, or has taken away; says which, and its place."""


def find_growing(
    source: Source, files: Mapping[str, Listed], settle_s: float, stop: StopRequest
) -> set[str]:
    """The keys of those files that are no longer what was listed; waits if some are young."""
    if settle_s <= 0:
        return set()
    oldest = source.now() - YOUNG * settle_s
    young = {key: listed for key, listed in files.items() if listed.modified > oldest}
    if not young:
        return set()
    logger.info("looks again in %g s at %d files that are new", settle_s, len(young))
    until = time.monotonic() + settle_s
    while (left := until - time.monotonic()) > 0:
        stop.raise_if_requested()
        time.sleep(min(left, 0.2))
    folders = {key.partition("/")[0] for key in young}
    now = {one.key: one for folder in folders for one in source.list(f"{folder}/")}
    return {key for key, listed in young.items() if now.get(key) != listed}


def read_settled(source: Source, key: str, listed: Listed | None) -> bytes:
    """The bytes of a file, if they may be all of what was listed; else NotSettledError."""
    try:
        data = source.get(key)
    except NotFound:
        raise NotSettledError(f"it is gone: {source.url}/{key}") from None
    if listed is not None and not source.holds(listed, data):
        raise _still_written(source, key)
    return data


def check_settled(source: Source, listed: Listed | None) -> None:
    """NotSettledError if the file is no longer what was listed: asked before it is called bad."""
    if listed is None:
        return
    if listed not in source.list(listed.key):
        raise _still_written(source, listed.key)


def _still_written(source: Source, key: str) -> NotSettledError:
    return NotSettledError(f"it is still being written: {source.url}/{key}")

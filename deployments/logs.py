"""Keeps the logs of a folder small: python deployments/logs.py FOLDER  (`make up` starts it).

A NAME.log over 10 MB becomes NAME.log.1, that one NAME.log.2, and so on to 3. The process that writes it
keeps its file: the file is copied, then cut to nothing, and goes on at its start, since it was opened to
append. So nobody has to be told, neither Prefect's server nor a worker, and the end of this process
breaks no pipe. Lines of the moment between copy and cut are lost.
"""

import contextlib
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

LIMIT_BYTES = 10_000_000
KEPT = 3
"""Older files of each log."""
LOOK_S = 5.0


def main() -> int:
    """Look every few seconds until SIGTERM."""
    folder = Path(sys.argv[1])
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    while not stop.wait(LOOK_S):
        for path in folder.glob("*.log"):
            with contextlib.suppress(OSError):  # a full disk: the next look tries again
                rotate(path)
    return 0


def rotate(path: Path, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Start the file anew if it is over the limit, keeping what was in it; True if it was."""
    if path.stat().st_size <= limit_bytes:
        return False
    beside = path.with_name(f"{path.name}.new")
    try:
        shutil.copyfile(path, beside)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    for number in range(KEPT, 1, -1):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(f"{path.name}.{number - 1}").replace(f"{path}.{number}")
    beside.replace(f"{path}.1")
    os.truncate(path, 0)
    return True


if __name__ == "__main__":
    raise SystemExit(main())

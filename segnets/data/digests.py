"""What is known of source files that were looked at before: digests and verdicts, kept on this machine.

A file is known again by (path, size, mtime_ns, inode); in object storage by (key, size, modified). So
the second preprocess of the same data reads no picture. One file of JSON lines a source folder, only
appended to: a killed run keeps what it had, a torn last line is skipped, and a lost cache costs time
and nothing else.
"""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segnets.store.base import Listed, Source

VERSION = 1
_FLUSH_LINES = 200
log = logging.getLogger("segnets.data")


def cache_folder(cache: str | None) -> Path:
    """The folder for what can be made again: --cache, else ~/.cache/segnets."""
    if cache is not None:
        return Path(cache).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "segnets"


class DigestCache:
    """Verdicts by file of one source. Without a writable folder it forgets, and says so once."""

    def __init__(self, folder: Path, source: Source, *, forget: bool = False) -> None:
        name = hashlib.sha256(source.url.encode()).hexdigest()[:16]
        self._path = folder / "digests" / f"{name}.v{VERSION}.jsonl"
        self._source = source
        self._lock = threading.Lock()
        self._pending: list[str] = []
        self._known: dict[str, tuple[list[Any], dict[str, Any]]] = {}
        if not forget:
            self._load()

    def get(self, key: str, listed: Listed) -> Mapping[str, Any] | None:
        """What was found the last time, if the file is the same one."""
        stamp, found = self._known.get(key, (None, {}))
        return found if stamp is not None and stamp == self._stamp(key, listed) else None

    def stamp(self, key: str, listed: Listed) -> list[Any]:
        """What identifies the file now; take it *before* reading the file."""
        return self._stamp(key, listed)

    def put(self, key: str, stamp: list[Any], found: dict[str, Any]) -> None:
        """Remember a verdict for the file that had this stamp when it was read."""
        line = json.dumps([key, stamp, found], separators=(",", ":"))
        with self._lock:
            self._known[key] = (stamp, found)
            self._pending.append(line)
            if len(self._pending) >= _FLUSH_LINES:
                self._write()

    def flush(self) -> None:
        """Write what is pending."""
        with self._lock:
            self._write()

    def _stamp(self, key: str, listed: Listed) -> list[Any]:
        path = self._source.local_path(key)
        if path is None:
            return [listed.size, listed.modified]
        try:
            now = path.stat()
        except OSError:
            return [listed.size, listed.modified]
        return [now.st_size, now.st_mtime_ns, now.st_ino]

    def _load(self) -> None:
        try:
            lines = self._path.read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            return
        for line in lines:
            try:
                key, stamp, found = json.loads(line)
                self._known[key] = (list(stamp), dict(found))
            except (ValueError, TypeError):
                continue  # torn by a kill: this file is looked at again
        if len(lines) > 1000 and len(lines) > 3 * len(self._known):
            self._rewrite()

    def _rewrite(self) -> None:
        """Drop lines that later lines have replaced."""
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        rows = (
            json.dumps([key, stamp, found], separators=(",", ":")) + "\n"
            for key, (stamp, found) in self._known.items()
        )
        try:
            temporary.write_text("".join(rows))
            temporary.replace(self._path)
        except OSError:
            return

    def _write(self) -> None:
        if not self._pending:
            return
        text = "\n" + "\n".join(self._pending) + "\n"  # a torn line before ours ends here
        self._pending.clear()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(text)
        except OSError as error:
            log.debug("cannot keep digests in %s: %s", self._path, error)

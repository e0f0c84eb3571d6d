"""Shards fetched from object storage, kept on this machine: bounded, digest-checked, shared.

A file is named by its SHA-256, so it never changes and any number of datasets and processes share it.
A lock per file lets one process fetch while the others wait. Only what lies in our own `shards` folder
is ever deleted: the least recently used first, when the next file would not fit the bound. A reader holds
the files that it used last open, so a deletion does not disturb it; one that it opens again is fetched
again. Nothing must be cleaned after a kill.
"""

import errno
import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segnets.errors import Corrupt, Misconfigured, OutOfSpace, StoreError, Unavailable
from segnets.store.base import Store
from segnets.store.entry import FileRef

logger = logging.getLogger("segnets.data")

LIMIT_BYTES = 64 * 2**30
TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
_PART_BYTES = 16 * 2**20
_SUFFIX = ".shard"


class ShardCache:
    """A folder of fetched files, `limit_bytes` at most."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder / "shards"
        self._limit_bytes = limit_bytes

    def warn_if_small(self, total_bytes: int, what: str) -> None:
        """Say it where files that will all be read do not fit at once."""
        if total_bytes > self._limit_bytes:
            logger.warning(
                "%s has %.0f GB, the cache %s holds %.0f: shards are fetched again and again. "
                "Train from a store in a folder, or make the dataset smaller.",
                what,
                total_bytes / 1e9,
                self._folder,
                self._limit_bytes / 1e9,
            )

    def open(self, store: Store, ref: FileRef) -> int:
        """A file descriptor of the file, fetched first if it is not here.

        Raises Corrupt if what arrives twice is not what was sealed, OutOfSpace if it does not fit,
        another StoreError where the folder cannot be used.
        """
        if ref.size > self._limit_bytes:
            raise OutOfSpace(
                f"the cache is limited to {self._limit_bytes} bytes and {ref.name} has {ref.size}",
                self._folder,
                "Use a larger cache.",
            )
        path = self._folder / f"{ref.sha256}{_SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _locked(self._folder / f"{ref.sha256}.lock"):
                if not path.exists() or path.stat().st_size != ref.size:
                    self._make_room(ref.size)
                    self._fetch(store, ref, path)
                os.utime(path)  # used just now
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _explain(error, self._folder) from None

    def _fetch(self, store: Store, ref: FileRef, path: Path) -> None:
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            for _ in range(2):
                if _download(store, ref, part) == ref.sha256:
                    part.replace(path)
                    return
        finally:
            part.unlink(missing_ok=True)
        raise Corrupt(
            f"{ref.name} is not what was sealed",
            f"{store.url}/{ref.key}",
            "Make the dataset again with flows/preprocess.py in another store.",
        )

    def _make_room(self, size: int) -> None:
        """Delete the least recently used files until `size` more bytes fit the bound."""
        with _locked(self._folder / "room.lock"):
            files = []
            for file in self._folder.glob(f"*{_SUFFIX}"):
                stat = file.stat()
                files.append((stat.st_mtime_ns, stat.st_size, file))
            total = sum(entry[1] for entry in files)
            for _, file_size, file in sorted(files):
                if total + size <= self._limit_bytes:
                    break
                file.unlink(missing_ok=True)
                total -= file_size


def too_many_files(error: OSError, where: object) -> StoreError:
    """Why a shard cannot be opened, by the fault of no file."""
    return Unavailable(
        f"a shard cannot be opened ({error.strerror})",
        where,
        "Raise the limit with ulimit -n, or end other programs, and run it again.",
    )


def _explain(error: OSError, folder: Path) -> StoreError:
    """What an error of the operating system means for the cache."""
    if error.errno in TOO_MANY_FILES:
        return too_many_files(error, folder)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
        return OutOfSpace(
            f"cannot keep a fetched shard ({error.strerror})",
            folder,
            "Free space there, or name another folder with --cache.",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        file = next((one for one in (folder, *folder.parents) if one.is_file()), folder)
        return Misconfigured(
            "a file stands where the cache needs a folder",
            file,
            "Name another folder with --cache.",
        )
    return Unavailable(
        f"the cache cannot be used ({error.strerror or error})",
        folder,
        "Check its disk, or name another folder with --cache.",
    )


def _download(store: Store, ref: FileRef, part: Path) -> str:
    """Fetch in pieces; the SHA-256 of what arrived."""
    digest = hashlib.sha256()
    with part.open("wb") as file:
        for offset in range(0, ref.size, _PART_BYTES):
            piece = store.get_range(ref.key, offset, min(_PART_BYTES, ref.size - offset))
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock; it ends with the process, however that ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

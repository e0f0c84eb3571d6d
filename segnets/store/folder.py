"""A folder as a store: temporary file, fsync, rename or link, fsync of the directory.

A blob is renamed into place; an entry is linked, so that of two writers exactly one wins (rename would
overwrite in silence, O_EXCL on the final name would show a half-written file and leave a dead slot
after a crash). Every process fsyncs the chain of parents, also of directories that it found: their
maker may have died before its own fsync. Where a file system has no hard links the store is not
conditional, and entries go under names of their writers.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from segnets.errors import (
    Conflict,
    Corrupt,
    Denied,
    Misconfigured,
    NotFound,
    OutOfSpace,
    StoreError,
    Unavailable,
)
from segnets.store.base import Leftover, Listed
from segnets.store.keys import check_key, new_writer
from segnets.store.retry import WAIT_S, Patience

TEMPORARY = ".tmp-"
OURS = ("beat", "log", "obj", "probe", "view")
"""What keys.py lets a key of a store begin with; other folders beside these are somebody else's."""
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class FolderStore:
    """A store in a folder of this machine, or of a network file system that has link and fsync.

    With `any_key` keys are relative paths of any form: a source or sink of other programs' files.
    """

    def __init__(self, root: Path | str, *, wait_s: float = WAIT_S, any_key: bool = False) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100  # resolve() would follow links
        self.url = str(self.root)
        self.conditional = True  # the probe says otherwise where links are missing
        self.patience = Patience(wait_s)
        self._any_key = any_key
        self._settled: set[Path] = set()

    def get(self, key: str) -> bytes:
        """The bytes under a key; NotFound if there are none."""
        path = self._path(key)
        try:
            return path.read_bytes()
        except _NOT_THERE:
            raise _missing(path) from None
        except OSError as error:
            raise explain(error, path) from error

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on; NotFound, or Corrupt if the file ends before."""
        path = self._path(key)
        try:
            with path.open("rb", buffering=0) as file:
                parts = []
                while size > 0 and (part := os.pread(file.fileno(), size, offset)):
                    parts.append(part)
                    offset, size = offset + len(part), size - len(part)
        except _NOT_THERE:
            raise _missing(path) from None
        except OSError as error:
            raise explain(error, path) from error
        if size:
            raise Corrupt("a file is shorter than it was", path, "Check the disk.")
        return b"".join(parts)

    def put(self, key: str, data: bytes) -> None:
        """Write whole or not at all; TypeError unless `data` is bytes."""
        path = self._path(key)
        with self._temporary(path, data) as temporary:
            temporary.rename(path)
            sync_directory(path.parent)

    def put_if_absent(self, key: str, data: bytes) -> None:
        """Write if nothing stands there; Conflict if other bytes do, the same bytes are done."""
        if not self.conditional:
            if not self._holds(key, data):
                self.put(key, data)
        elif not self.create(key, data) and not self._holds(key, data):
            raise Conflict("the key is taken", self._path(key), "Another process wrote it.")

    def create(self, key: str, data: bytes) -> bool:
        """Write by a hard link if nothing stands there; False if something does.

        Raises Misconfigured where the file system has no hard links.
        """
        path = self._path(key)
        with self._temporary(path, data) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return temporary.stat().st_nlink == 2  # NFS: the reply of our own link was lost
            except OSError as error:
                if error.errno in _NO_LINKS:
                    raise Misconfigured(
                        "the file system has no hard links", path.parent, "Use another disk."
                    ) from error
                raise
            finally:
                sync_directory(path.parent)
        return True

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> list[Listed]:
        """Keys that begin with `prefix` and sort behind `after`, sorted, at most `limit`."""
        found: list[Listed] = []
        try:
            for key in sorted(key for key in self._walk(prefix) if key > after):
                if limit is not None and len(found) == limit:
                    break
                with suppress(*_NOT_THERE):  # deleted since
                    status = (self.root / key).stat()
                    found.append(Listed(key, status.st_size, status.st_mtime))
        except OSError as error:
            raise explain(error, Path(error.filename or self.root)) from error
        return found

    def check_readable(self) -> None:
        """StoreError if the folder itself may not be listed; one that is not there is empty."""
        try:
            os.scandir(self.root).close()
        except _NOT_THERE:
            pass
        except OSError as error:
            raise explain(error, self.root) from error

    def delete(self, keys: Iterable[str]) -> None:
        """Delete; an absent key is fine."""
        for key in keys:
            path = self._path(key)
            try:
                path.unlink(missing_ok=True)
            except NotADirectoryError:
                continue
            except OSError as error:
                raise explain(error, path) from error

    def local_path(self, key: str) -> Path | None:
        """The file of this key, if it is there."""
        path = self._path(key)
        return path if path.is_file() else None

    def now(self) -> float:
        """The clock of this machine (of a network file system: near enough for the app)."""
        return time.time()

    def leftovers(self, prefix: str) -> Sequence[Leftover]:
        """Temporary files of writers that died, or that still write."""
        found = []
        prefixes = (prefix,) if prefix else tuple(f"{top}/" for top in OURS)
        try:
            for key in sorted(key for one in prefixes for key in self._walk(one, temporary=True)):
                with suppress(OSError):
                    found.append(Leftover(key, key, (self.root / key).stat().st_mtime))
        except OSError as error:
            raise explain(error, Path(error.filename or self.root)) from error
        return found

    def drop_leftover(self, leftover: Leftover) -> None:
        """Remove a temporary file; a gone one is fine."""
        assert leftover.token.rpartition("/")[2].startswith(TEMPORARY)
        with suppress(*_NOT_THERE):
            (self.root / leftover.token).unlink()

    def settle(self, folder: Path) -> None:
        """Make a directory and fsync its chain of parents, once a process."""
        if folder in self._settled:
            return
        folder.mkdir(parents=True, exist_ok=True)
        chain = []
        for directory in (folder, *folder.parents):
            with suppress(PermissionError):  # an ancestor that only others may read
                sync_directory(directory)
            if directory in self._settled:
                break  # its own chain is durable; the name that was made in it since is now
            chain.append(directory)
        self._settled.update(chain)  # not before all of it: another thread may ask meanwhile

    def _path(self, key: str) -> Path:
        if not self._any_key:
            return self.root / check_key(key)
        parts = key.split("/")
        assert not {"", ".", ".."} & set(parts), f"no relative path: {key!r}"
        return self.root / key

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self.get(key) == data
        except NotFound:
            return False

    def _walk(self, prefix: str, *, temporary: bool = False) -> Iterator[str]:
        """Keys of the files that begin with `prefix`, unsorted; temporary files or all others."""
        start = prefix.rpartition("/")[0]
        waiting: list[tuple[str, set[str]]] = [(start, set())]
        while waiting:
            folder, seen = waiting.pop()
            for entry in self._entries(folder, asked_for=folder == start):
                key = f"{folder}/{entry.name}" if folder else entry.name
                if not key.startswith(prefix):
                    continue
                if not entry.is_dir():
                    if entry.name.startswith(TEMPORARY) == temporary:
                        yield key
                elif not entry.is_symlink():
                    waiting.append((key, seen))
                elif (behind := self._behind(folder, key, seen)) is not None:
                    waiting.append((key, behind))

    def _entries(self, folder: str, *, asked_for: bool) -> Sequence[os.DirEntry[str]]:
        try:
            return list(os.scandir(self.root / folder))
        except _NOT_THERE:
            return []  # nothing was ever put there
        except PermissionError:
            if asked_for or not self._is_foreign(folder):
                raise
            return []

    def _is_foreign(self, folder: str) -> bool:
        """Whether nothing of ours can lie in a folder, so that it is passed over if others own it.

        Of data and masks that is only what disks and desktops make (lost+found, .Trash-0): frames that
        nobody misses would be worse than a refusal.
        """
        name = folder.rpartition("/")[2]
        if name == "lost+found" or name.startswith("."):
            return True
        return not self._any_key and folder.partition("/")[0] not in OURS

    def _behind(self, folder: str, link: str, seen: set[str]) -> set[str] | None:
        """The real paths seen once this link to a folder is followed; None if it is not to be.

        One that leads to where it lies, or above, is not. Any other is (two splits may be links to one
        folder), but behind it a link to what was seen there is not: links in linked folders multiply.
        """
        here, there = os.path.realpath(self.root / folder), os.path.realpath(self.root / link)
        seen = seen or {here, os.path.realpath(self.root)}
        if there in seen or os.path.commonpath((here, there)) == there:
            return None
        seen.add(there)
        return seen

    @contextmanager
    def _temporary(self, path: Path, data: bytes) -> Iterator[Path]:
        """A written and fsynced file beside `path`, removed at the end if it still has its name."""
        if not isinstance(data, bytes):
            raise TypeError(f"a store takes bytes, not {type(data).__name__}")
        temporary = path.with_name(f"{TEMPORARY}{new_writer()}")
        try:
            self.settle(path.parent)
            try:
                write_durably(temporary, data)
            except FileNotFoundError:  # somebody removed the directory since it was settled
                self._settled.clear()
                self.settle(path.parent)
                write_durably(temporary, data)
            yield temporary
        except OSError as error:
            raise explain(error, path) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and fsync it. After an error the file must not be used or tried again."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # no such thing on this file system
            raise
    finally:
        os.close(descriptor)


def explain(error: OSError, path: Path) -> StoreError:
    """What an error of the operating system means for a store."""
    said = (error.strerror or str(error)).lower()
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return OutOfSpace(f"the disk of the store is full ({said})", path, "Make room there.")
    if error.errno == errno.EROFS:
        return OutOfSpace("the disk of the store is read-only", path, "Mount it for writing.")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Denied("this user may not use the store", path, "Change the folder's rights.")
    if error.errno in {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}:
        return Misconfigured(
            "a file stands where the store needs a folder", path, "Give --store another folder."
        )
    if error.errno in {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}:
        return Misconfigured(f"the folder cannot be used ({said})", path, "Give another folder.")
    return Unavailable(f"the disk does not answer ({said})", path, "Check the disk or its mount.")


def _missing(path: Path) -> NotFound:
    return NotFound("a file is not in the store", path, "List what is: python -m segnets.store ls.")

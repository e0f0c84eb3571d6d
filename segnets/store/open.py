"""URL -> Store, by a table of schemes. Only tasks, the app and python -m segnets.store come here."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from segnets.errors import ConfigError, DatasetError
from segnets.store.base import Sink, Source, Store
from segnets.store.folder import FolderStore
from segnets.store.preflight import Probed, check_readable, probe
from segnets.store.retry import WAIT_S

ENVIRONMENT = "SEGNETS_STORE"
CONDITIONAL = "SEGNETS_S3_CONDITIONAL"
"""Environment variable: `off` never trusts a server's exclusive writes, whatever the probe says."""


class Backend(Protocol):
    """Makes a store of a URL; `any_key` for a place whose files are not ours."""

    def __call__(self, url: str, *, wait_s: float, any_key: bool) -> Probed:
        """The store; nothing is asked of it yet."""


def resolve_url(url: str | None) -> str:
    """The URL that is meant: the flag, else $SEGNETS_STORE, else ./store; paths made absolute."""
    return _absolute(url or os.environ.get(ENVIRONMENT) or "./store")


def open_store(url: str | None, *, write: bool, wait_s: float = WAIT_S) -> Store:
    """The store at a URL, asked whether it answers; StoreError or ConfigError explains.

    A writer tries it out (preflight.py) and makes a folder that is not there; a reader never writes.
    `wait_s` is how long each later operation waits for a store that does not answer.
    """
    store = _backend(resolve_url(url), wait_s=wait_s, any_key=False)
    if write:
        off = os.environ.get(CONDITIONAL, "").lower() == "off"
        probe(store, conditional=False if off else None)
    else:
        check_readable(store)
    return store


def open_source(url: str, *, wait_s: float = WAIT_S) -> Source:
    """Somebody else's files, in a folder or at s3://bucket/prefix; DatasetError if not there."""
    store = _backend(_absolute(url), wait_s=wait_s, any_key=True)
    if isinstance(store, FolderStore) and not store.root.is_dir():
        raise DatasetError("there is no such folder", store.url, "Give --data another one.")
    check_readable(store)
    return Source(store)


def open_sink(url: str, *, wait_s: float = WAIT_S) -> Sink:
    """A place for masks, in a folder (made if it is not there) or at s3://bucket/prefix."""
    store = _backend(_absolute(url), wait_s=wait_s, any_key=True)
    check_readable(store)
    return Sink(store)


def _folder(url: str, *, wait_s: float, any_key: bool) -> Probed:
    return FolderStore(url, wait_s=wait_s, any_key=any_key)


def _s3(url: str, *, wait_s: float, any_key: bool) -> Probed:
    from segnets.store.s3 import S3Store  # boto3 takes 0.4 s, and a folder needs none

    return S3Store(url, wait_s=wait_s, any_key=any_key)


BACKENDS: dict[str, Backend | Callable[..., Probed]] = {"": _folder, "s3": _s3}
"""Scheme of a URL -> what opens it."""


def _backend(url: str, *, wait_s: float, any_key: bool) -> Probed:
    return BACKENDS[_scheme(url)](url, wait_s=wait_s, any_key=any_key)


def _absolute(url: str) -> str:
    scheme = _scheme(url)
    if scheme not in BACKENDS:
        raise ConfigError(
            "this kind of place is not known", url, "Give a folder, or s3://bucket/prefix."
        )
    if scheme:
        return f"{scheme}://{url.partition('://')[2].rstrip('/')}"
    return os.path.abspath(Path(url).expanduser())  # noqa: PTH100  # resolve() would follow links


def _scheme(url: str) -> str:
    head, separator, _ = url.partition("://")
    return head.lower() if separator else ""

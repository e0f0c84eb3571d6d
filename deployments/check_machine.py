"""What `make doctor` asks of this machine: Python, packages, GPU, disks, the store, the clock.

Each check returns what is well in a few words, or raises Fault with one sentence.
"""

import os
import re
import shutil
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from gpus import seen_by_torch
from place import Fault

REPOSITORY = Path(__file__).resolve().parent.parent
LOCK = REPOSITORY / "requirements.lock"
LOCKED_FOR = (3, 11)
ROOM_GB = 2.0
"""Free space below which a disk counts as full: two checkpoints of the largest model and some."""
CLOCK_S = 60.0
"""How far clocks may be apart: S3 refuses signatures from 900 on, the app takes 60 without a beat for silence."""


def python() -> str:
    """The version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise Fault(
            f"Python 3.11 to 3.13 is needed: this is {version}. Run make setup with one of them."
        )
    note = "" if sys.version_info[:2] == LOCKED_FOR else " (the lock was made and tested on 3.11)"
    return f"{version}{note}"


def packages() -> str:
    """Installed packages against requirements.lock."""
    wanted = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    found = {_canonical(one.name): one.version for one in distributions()}
    if sys.version_info[:2] != LOCKED_FOR:  # make setup resolves pyproject.toml there
        missing = sorted(name for name in ("torch", "prefect", "boto3") if name not in found)
        if missing:
            raise Fault(f"packages are missing: {', '.join(missing)}. Run make setup.")
        return f"{len(found)} installed; the lock is for Python 3.11 and was not compared"
    others = [
        f"{name} {found.get(_canonical(name), 'missing')} instead of {version}"
        for name, version in wanted.items()
        if found.get(_canonical(name)) != version
    ]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise Fault(
            f"packages differ from {LOCK.name}: {', '.join(others[:3])}{more}. Run make clean setup."
        )
    return f"all {len(wanted)} as in {LOCK.name}"


def gpu() -> str:
    """The GPUs that torch can use; torch is loaded only where the driver lists one."""
    from tasks.gpus import visible_gpus  # not above: without packages the other checks still speak

    listed = visible_gpus()
    if not listed:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") is not None
        return (
            f"none{' (CUDA_VISIBLE_DEVICES hides them)' if hidden else ''}: trials run on the CPU"
        )
    try:
        seen = seen_by_torch()
    except RuntimeError as error:
        raise Fault(
            f"torch cannot use the GPU: {error}. Compare the driver (nvidia-smi) with torch's CUDA."
        ) from None
    if len(seen) < len(listed):
        raise Fault(
            f"torch sees {len(seen)} of {len(listed)} GPUs: the driver may be too old for its CUDA. "
            "Make it newer, or set CUDA_VISIBLE_DEVICES= to train on the CPU."
        )
    return "; ".join(seen)


def disk(store_url: str) -> str:
    """Free space on every disk that a flow writes to."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    places = [
        Path(os.environ.get("SEGNETS_DATA", "data")),
        Path(os.environ.get("SEGNETS_LOGS", "logs")),
        home / "segnets",
        Path(os.environ.get("TMPDIR", "/tmp")),  # noqa: S108  # where Python's tempfile goes
    ]
    if "://" not in store_url:
        places.insert(0, Path(store_url).expanduser())
    free: dict[int, tuple[float, Path]] = {}
    for place in places:
        there = _nearest(place)
        free.setdefault(there.stat().st_dev, (shutil.disk_usage(there).free / 1e9, there))
    for size_gb, there in free.values():
        if size_gb < ROOM_GB:
            raise Fault(
                f"a disk is full: {size_gb:.1f} GB free at {there}. Make room "
                "(python -m segnets.store gc, old data and masks), then run the same commands again."
            )
    return ", ".join(f"{size_gb:.0f} GB free at {there}" for size_gb, there in free.values())


def store(url: str, clocks: dict[str, float]) -> str:
    """Whether a flow could write its checkpoints: rights, exclusive writes, the server's clock."""
    from segnets.errors import SegnetsError
    from segnets.store.open import open_store, resolve_url

    try:
        place = resolve_url(url)
        if "://" not in place and not Path(place).exists():
            above = _nearest(Path(place))
            if not os.access(above, os.W_OK | os.X_OK):
                raise Fault(
                    f"the store cannot be made: no right to write in {above}. "
                    "Say another one with --store or SEGNETS_STORE."
                )
            return f"none yet: {place} is made by the first flow"
        opened = open_store(place, write=True)
    except SegnetsError as error:
        raise Fault(str(error)) from None
    if "://" in place:
        clocks["the store"] = opened.now() - time.time()
    kind = "exclusive writes" if opened.conditional else "no exclusive writes, names per writer"
    return f"{place}: write, read, list, delete; {kind}"


def clock(clocks: dict[str, float]) -> str:
    """The clock here beside those of the servers that answered."""
    now = datetime.now(UTC)
    if now.timestamp() < LOCK.stat().st_mtime - 86_400:
        raise Fault(
            f"the clock is behind the files here: {now:%Y-%m-%d %H:%M:%S} UTC. Set it (timedatectl)."
        )
    for whose, ahead_s in clocks.items():
        if abs(ahead_s) > CLOCK_S:
            way = "behind" if ahead_s > 0 else "ahead of"
            raise Fault(
                f"the clock of this machine is {abs(ahead_s):.0f} s {way} that of {whose}: "
                f"{now:%H:%M:%S} UTC here. Set the wrong one of the two (timedatectl, NTP)."
            )
    beside = ", ".join(f"{abs(ahead_s):.0f} s from {whose}" for whose, ahead_s in clocks.items())
    return f"{now:%Y-%m-%d %H:%M:%S} UTC, {beside or 'no server to compare it with'}"


def _nearest(place: Path) -> Path:
    """The place, or the nearest folder above it that is there."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return place


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

"""Who is alive, as a hint: safety never asks a beat, it only keeps a second launch polite.

A holder of a trial rewrites one small key every 15 s. A second launch that finds beats either sees at
once that their process is gone (same host, boot and process namespace: `kill -9` and the same command
again), or watches them for two periods: moved means alive. No clocks are compared.
"""

import json
import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from segnets.config.ids import canonical_json
from segnets.errors import NotFound, StoreError, TakenOver
from segnets.store.base import Store
from segnets.store.keys import beat_key, check_id, parse_beat
from segnets.store.retry import at_most

PERIOD_S = 15.0
"""Seconds between beats; tests make it shorter."""

ALIVE_S = 60.0
"""A beat that is older, by the store's own clock, is of a process that is gone or cut off."""

logger = logging.getLogger("segnets.store")


class Beat:
    """A thread that says that this process trains a trial. It can fail, and training never notices."""

    def __init__(self, store: Store, trial: str, writer: str) -> None:
        self._store = store
        self._key = beat_key(trial, writer)
        self._count = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"beat-{trial}", daemon=True)

    def start(self) -> None:
        """Put the first beat and go on in the background."""
        self._once()
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads on this machine
            logger.debug("no beat: %s", error)

    def close(self) -> None:
        """Stop, and delete the beat; safe to repeat."""
        if self._ended.is_set():
            return
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(PERIOD_S)
        try:
            with at_most(5):
                self._store.delete([self._key])
        except StoreError as error:
            logger.debug("a beat was not deleted: %s", error)

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            self._once()

    def _once(self) -> None:
        self._count += 1
        try:
            with at_most(PERIOD_S / 2):
                self._store.put(self._key, canonical_json({**this_process(), "n": self._count}))
        except Exception as error:  # noqa: BLE001  # a hint must never break a training
            logger.debug("a beat was not written: %s", error)


def living(store: Store) -> set[str]:
    """Trials that somebody seems to train now, by one listing: a hint for people."""
    beats = store.list("beat/trial/")
    if not beats:
        return set()
    oldest = store.now() - ALIVE_S
    parsed = (parse_beat(beat.key) for beat in beats if beat.modified >= oldest)
    return {found[0] for found in parsed if found is not None}


def wait_until_still(store: Store, trial: str) -> None:
    """Return when no process seems to train this trial; TakenOver if one does.

    Takes two periods if a beat of a process that may live is found, else no time.
    """
    before = _read_beats(store, trial)
    watched = {key: beat for key, beat in before.items() if not is_gone(beat)}
    if not watched:
        return
    who = "; ".join(sorted({_name(beat) for beat in watched.values()}))
    watch_s = 2 * PERIOD_S
    logger.info(
        "waiting for up to %.0f s to see whether %s is still trained by %s", watch_s, trial, who
    )
    until = time.monotonic() + watch_s
    while time.monotonic() < until:
        time.sleep(min(PERIOD_S / 5, max(0.0, until - time.monotonic())))
        now = _read_beats(store, trial)
        moved = [
            beat
            for key, beat in now.items()
            if beat and not is_gone(beat) and beat != before.get(key)
        ]
        if moved:
            raise TakenOver(
                "another process trains this trial",
                f"{trial}, by {_name(moved[0])}",
                "Wait for it, or take the trial from it with --take-over.",
            )


def delete_other_beats(store: Store, trial: str, writer: str) -> None:
    """Remove the beats of those that held the trial before; a failure does not matter."""
    mine = beat_key(trial, writer)
    try:
        with at_most(5):
            store.delete(listed.key for listed in store.list(_prefix(trial)) if listed.key != mine)
    except StoreError as error:
        logger.debug("old beats were not deleted: %s", error)


def this_process() -> dict[str, Any]:
    """What tells this process from every other one, as far as this system says."""
    return {
        "host": socket.gethostname(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "namespace": _namespace(),
        "pid": os.getpid(),
        "start": _start_time(os.getpid()),
    }


def is_gone(beat: dict[str, Any]) -> bool:
    """Whether the process of a beat is known to have ended: one of ours, on this very boot."""
    here = this_process()
    if not here["boot"] or not here["namespace"]:
        return False
    if any(beat.get(name) != here[name] for name in ("host", "boot", "namespace")):
        return False
    pid, start = beat.get("pid"), beat.get("start")
    return isinstance(pid, int) and isinstance(start, str) and _start_time(pid) != start


def _read_beats(store: Store, trial: str) -> dict[str, dict[str, Any]]:
    """Beats by key; a torn one is empty, and equal to every other reading of it."""
    beats: dict[str, dict[str, Any]] = {}
    for listed in store.list(_prefix(trial)):
        try:
            content = json.loads(store.get(listed.key))
        except (NotFound, ValueError):
            continue  # torn or missing is not moving
        if isinstance(content, dict):
            beats[listed.key] = content
    return beats


def _prefix(trial: str) -> str:
    return f"beat/trial/{check_id('trial', trial)}."


def _name(beat: dict[str, Any]) -> str:
    return f"process {beat.get('pid')} on {beat.get('host')}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    """Start of a process in ticks since boot; empty if there is none, or only a zombie."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    # after the name in brackets: state is the first field, start time the 20th
    return "" if len(fields) < 20 or fields[0] in "ZX" else fields[19]

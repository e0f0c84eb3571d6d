"""python -m segnets.store ls|verify|gc|get URL: look at a store, check it, clean it, take a file."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from segnets.errors import NotFound, SegnetsError
from segnets.store import gc
from segnets.store.bag import read_done, read_items
from segnets.store.base import Store
from segnets.store.log import read_head
from segnets.store.open import open_store
from segnets.store.verify import Found, list_subjects, verify

WAIT_S = 15.0
"""A command at the keyboard does not wait half an hour for a server."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of the fault, 4 if verify found something wrong."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("segnets").setLevel(logging.INFO)
    try:
        return int(given.command(given))
    except SegnetsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # ... | head
        sys.stderr.close()
        return 0


def _ls(given: argparse.Namespace) -> int:
    store = open_store(given.url, write=False, wait_s=WAIT_S)
    if given.prefix:
        for listed in store.list(given.prefix):
            print(f"{listed.size:>12} {listed.key}")
        return 0
    for kind, ids in list_subjects(store).items():
        for subject in ids:
            print(f"{kind:8} {subject:48} {_state(store, kind, subject)}")
    return 0


def _state(store: Store, kind: str, subject: str) -> str:
    if kind == "trial":
        head = read_head(store, subject)
        if head is None:
            return "claimed, nothing saved yet"
        return f"{head.event}, epoch {head.epoch}, step {head.step}, attempt {head.attempt}"
    items = read_items(store, kind, subject)
    if kind == "run":
        nights = sum(item.startswith("night-") for item in items)
        return f"{nights} nights, {len(items) - nights} parts"
    done = read_done(store, kind, subject)
    return f"{len(items)} items, not complete" if done is None else f"done, {len(done.items)} items"


def _verify(given: argparse.Namespace) -> int:
    store = open_store(given.url, write=False, wait_s=WAIT_S)
    found = Found()
    for kind, ids in list_subjects(store).items():
        for subject in ids:
            if given.id in {None, subject}:
                verify(store, kind, subject, found)
    if given.id is not None and not found.lines and not found.faults:
        raise NotFound("nothing in the store has this id", given.id, "List what there is with ls.")
    for fault in found.faults:
        print(fault)
    said = "all as sealed" if not found.faults else f"{len(found.faults)} things are wrong"
    print(f"{found.lines} entries, {found.files} files, {found.size} bytes: {said}")
    return 4 if found.faults else 0


def _gc(given: argparse.Namespace) -> int:
    store = open_store(given.url, write=not given.dry_run, wait_s=WAIT_S)
    plan = gc.plan(store)
    for blob in plan.blobs:
        print(f"{blob.size:>12} {blob.key}")
    for subject, why in sorted(plan.kept.items()):
        print(f"{subject} is left alone: {why}")
    if not given.dry_run:
        gc.collect(store, plan)
    print(
        f"{'would delete' if given.dry_run else 'deleted'} {len(plan.blobs)} files of {plan.size} "
        f"bytes, {len(plan.hints)} old beats and probes, {len(plan.leftovers)} unfinished writes"
    )
    return 0


def _get(given: argparse.Namespace) -> int:
    store = open_store(given.url, write=False, wait_s=WAIT_S)
    data = store.get(given.key)
    if given.out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        Path(given.out).write_bytes(data)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m segnets.store", description=__doc__)
    commands = parser.add_subparsers(required=True)
    where = "folder or s3://bucket/prefix; else $SEGNETS_STORE, else ./store"

    ls = commands.add_parser("ls", help="every dataset, trial, grid, evaluation and run")
    ls.add_argument("url", nargs="?", help=where)
    ls.add_argument("--prefix", help="list the keys below this instead, obj/ for example")
    ls.set_defaults(command=_ls)

    check = commands.add_parser("verify", help="read everything, compare it with its seals")
    check.add_argument("url", nargs="?", help=where)
    check.add_argument("--id", help="only the subject of this id")
    check.set_defaults(command=_verify)

    collect = commands.add_parser("gc", help="delete files that no log names any more")
    collect.add_argument("url", nargs="?", help=where)
    collect.add_argument("--dry-run", action="store_true", help="only say what would go")
    collect.set_defaults(command=_gc)

    get = commands.add_parser("get", help="write the bytes of a key to stdout or a file")
    get.add_argument("url", help=where)
    get.add_argument("key", help="a key as ls --prefix shows it")
    get.add_argument("--out", help="file to write")
    get.set_defaults(command=_get)
    return parser


if __name__ == "__main__":
    sys.exit(main())

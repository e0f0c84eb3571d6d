"""python -m segnets.store ls|verify|gc|get URL: look at a store, check it, clean it, take a file.

stdout ends in one JSON line: command, store, status (done, failed), seconds, what was counted, and
`error` {sentence, exit_code} when not done. `get` without --out writes the file's bytes alone.
"""

import argparse
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from segnets.errors import ConfigError, Corrupt, NotInStore, SegnetsError
from segnets.store import gc
from segnets.store.base import Store
from segnets.store.entry import read_file
from segnets.store.keys import check_key
from segnets.store.names import find_file, list_subjects, look, named_files
from segnets.store.open import open_store
from segnets.store.verify import Found, verify, verify_views

WAIT_S = 15.0
"""A command at the keyboard does not wait half an hour for a server."""
SAY_EVERY_S = 5.0

Counts = dict[str, Any]

logger = logging.getLogger("segnets.store")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of the fault, 4 if verify found something wrong."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("segnets").setLevel(logging.INFO)
    began = time.monotonic()
    told: Counts = {"command": given.name, "store": given.url, "status": "done"}
    code = 0
    try:
        told |= given.command(given, told)
    except SegnetsError as error:
        code = error.exit_code
        print(f"error: {error}", file=sys.stderr)
        told |= {"status": "failed", "error": {"sentence": str(error), "exit_code": code}}
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # ... | head
        sys.stderr.close()
        return 0
    if given.name != "get" or given.out is not None or code:
        print(json.dumps(told | {"seconds": round(time.monotonic() - began, 3)}))
    return code


def _ls(given: argparse.Namespace, told: Counts) -> Counts:
    store = open_store(given.url, write=False, wait_s=WAIT_S)
    told["store"] = store.url
    if given.prefix is not None:
        keys = store.list(given.prefix)
        for listed in keys:
            print(f"{listed.size:>14,} {listed.key}")
        return {"keys": len(keys), "bytes": sum(listed.size for listed in keys)}
    if given.id is not None:
        _, files = named_files(store, given.id)
        for file in files:
            print(
                f"{file.ref.size:>14,} {file.path(given.id)}  {' '.join(file.labels[1:])}".rstrip()
            )
        return {"files": len(files), "bytes": sum(file.ref.size for file in files)}
    subjects = look(store)
    wide = max((len(one.id) for one in subjects), default=0)
    for one in subjects:
        print(f"{one.kind:8} {one.id:{wide}} {one.size:>14,}  {one.state}")
    counts = Counter(one.kind for one in subjects)
    return {"subjects": counts, "bytes": sum(one.size for one in subjects)}


def _verify(given: argparse.Namespace, told: Counts) -> Counts:
    store = open_store(given.url, write=False, wait_s=WAIT_S)
    told["store"] = store.url
    found = Found()
    if given.id is None:
        todo = [(kind, one) for kind, ids in list_subjects(store).items() for one in ids]
    else:
        todo = [(named_files(store, given.id)[0], given.id)]
    checks = [(f"{kind} {one}", partial(verify, store, kind, one, found)) for kind, one in todo]
    if given.id is None:
        checks.append(("summaries", partial(verify_views, store, found)))
    say = _progress("verified", len(checks))
    for name, check in checks:
        before = len(found.faults)
        check()
        for fault in found.faults[before:]:
            print(fault, flush=True)
        say(name)
    told |= {"entries": found.lines, "files": found.files, "bytes": found.size}
    told["faults"] = found.faults
    if found.faults:
        raise Corrupt(
            f"{len(found.faults)} things are not as they were sealed",
            store.url,
            "Training goes on from the newest checkpoint that is whole; put back the rest from a copy.",
        )
    return {}


def _gc(given: argparse.Namespace, told: Counts) -> Counts:
    store = open_store(given.url, write=False, wait_s=WAIT_S)  # it makes room where none is left
    told["store"] = store.url
    plan = gc.plan(store)
    for blob in plan.blobs:
        print(f"{blob.size:>14,} {blob.key}")
    for subject, why in sorted(plan.kept.items()):
        print(f"{subject} is left alone: {why}")
    if not given.dry_run:
        gc.collect(store, plan)
    return {
        "dry_run": given.dry_run,
        "files": len(plan.blobs),
        "bytes": plan.size,
        "beats_and_probes": len(plan.hints),
        "unfinished_writes": len(plan.leftovers),
        "left_alone": len(plan.kept),
    }


def _get(given: argparse.Namespace, told: Counts) -> Counts:
    if given.out is None and sys.stdout.isatty():
        raise ConfigError(
            "a file is not written to a terminal", given.file, "Say where: --out FILE."
        )
    store = open_store(given.url, write=False, wait_s=WAIT_S)
    told["store"] = store.url
    data = _read(store, given.file)
    if given.out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return {}
    try:
        Path(given.out).write_bytes(data)
    except OSError as error:
        raise ConfigError(
            f"the file cannot be written ({error.strerror})", given.out, "Choose another --out."
        ) from None
    return {"file": given.file, "out": given.out, "bytes": len(data)}


def _read(store: Store, name: str) -> bytes:
    """The bytes of a key, or of a file by its readable name."""
    if not name.startswith(("log/", "obj/", "view/")):
        return read_file(store, find_file(store, name))
    try:
        check_key(name)
    except AssertionError:  # a user has typed it
        raise NotInStore(
            "there is no such key",
            repr(name),
            "Keys hold small letters, digits, . _ - and single slashes; "
            "list them with python -m segnets.store ls URL --prefix log/.",
        ) from None
    return store.get(name)


def _progress(what: str, total: int) -> Callable[[str], None]:
    """Says on stderr every few seconds how far a long command is."""
    began = said = time.monotonic()
    done = 0

    def say(last: str) -> None:
        nonlocal said, done
        done += 1
        now = time.monotonic()
        if now - said >= SAY_EVERY_S:
            said = now
            logger.info("%s %d of %d after %.0f s, last %s", what, done, total, now - began, last)

    return say


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m segnets.store",
        description="Look at a store, check it, clean it, take a file. stdout ends in one JSON line.",
    )
    commands = parser.add_subparsers(required=True, dest="name")
    where = "folder or s3://bucket/prefix; else $SEGNETS_STORE, else ./store"

    ls = commands.add_parser(
        "ls", help="every dataset, trial, grid, evaluation and run, with bytes"
    )
    ls.add_argument("url", nargs="?", help=where)
    ls.add_argument("--id", help="list the files of this one, by the names that get takes")
    ls.add_argument("--prefix", help="list the keys below this instead, obj/ for example")
    ls.set_defaults(command=_ls)

    check = commands.add_parser("verify", help="read everything, compare it with its seals")
    check.add_argument("url", nargs="?", help=where)
    check.add_argument("--id", help="only the subject of this id")
    check.set_defaults(command=_verify)

    collect = commands.add_parser(
        "gc", help="delete files that no log names any more; safe while training runs"
    )
    collect.add_argument("url", nargs="?", help=where)
    collect.add_argument("--dry-run", action="store_true", help="only say what would go")
    collect.set_defaults(command=_gc)

    get = commands.add_parser("get", help="write a file to stdout or --out, its digest checked")
    get.add_argument("url", help="folder or s3://bucket/prefix; always to be given")
    get.add_argument("file", help="ID/FILE or ID/LABEL/FILE as ls --id shows it, or a key")
    get.add_argument("--out", help="file to write")
    get.set_defaults(command=_get)
    return parser


if __name__ == "__main__":
    sys.exit(main())

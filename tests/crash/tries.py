"""One try: run a subject with an injector in a child, look at what is there, resume, look again."""

import contextlib
import functools
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from support.servers import ministack_server, rclone_server

from crash import tiny
from crash.forks import Ended, in_child
from crash.subjects import Place, Subject, fill
from crash.taps import Injector, Taps, proceed_always
from crash.tiny import Made
from segnets.errors import Corrupt
from segnets.store.base import Store
from segnets.store.keys import KINDS
from segnets.store.names import list_subjects
from segnets.store.verify import Found, verify
from segnets.store.views import list_views, read_view

WAIT_S = 0.3
"""How long a run waits for a store that an injector has broken."""


@dataclass
class Count:
    """What was tried and found; `faults` tells of the first ones."""

    points: int = 0
    ok: int = 0
    lost_epochs: int = 0
    corrupt: int = 0
    not_bit_equal: int = 0
    wrong_end: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, found: dict[str, Any], what: str) -> None:
        """Count one try by what was found: lost, corrupt, unequal, wrong_end."""
        self.points += 1
        self.lost_epochs += sum(len(one) for one in found.get("lost", ()))
        self.corrupt += sum(len(one) for one in found.get("corrupt", ()))
        self.not_bit_equal += bool(found.get("unequal"))
        self.wrong_end += bool(found.get("wrong_end"))
        if any(found.values()):
            if len(self.faults) < 20:
                told = {name: value for name, value in found.items() if value}
                self.faults.append(f"{what}: {told}"[:1500])
        else:
            self.ok += 1

    def json(self) -> dict[str, Any]:
        return dict(vars(self))


def total(counts: dict[str, Count]) -> dict[str, Any]:
    """The sum over injectors, with the counts of each below `injectors`."""
    names = ("points", "ok", "lost_epochs", "corrupt", "not_bit_equal", "wrong_end")
    sums: dict[str, Any] = {
        name: sum(getattr(count, name) for count in counts.values()) for name in names
    }
    sums["injectors"] = {
        name: {key: value for key, value in count.json().items() if key != "faults"}
        for name, count in counts.items()
    }
    sums["faults"] = [fault for count in counts.values() for fault in count.faults][:20]
    return sums


@dataclass
class Lab:
    """Where tries happen: fresh places on one kind of store."""

    made: Made
    store: str
    bucket: str = ""
    number: int = 0

    @contextlib.contextmanager
    def place(self, subject: Subject) -> Iterator[Place]:
        """A fresh store for one try, filled with what the subject needs."""
        base = self.made.fresh("try")
        self.number += 1
        url = str(base / "store")
        if self.store != "folder":
            url = f"s3://{self.bucket}/{base.name.replace('_', 'x').lower()}"
        place = Place(url, base, self.made.folder / f"acks-{os.getpid()}-{self.number}")
        try:
            if subject.needs_trial:
                if self.store == "folder":
                    fill(place, self.made)
                else:
                    filled = in_child(lambda: fill(place, self.made))
                    assert filled.returned, filled
            yield place
        finally:
            place.acks.unlink(missing_ok=True)
            shutil.rmtree(place.cache, ignore_errors=True)
            shutil.rmtree(base, ignore_errors=True)


@contextlib.contextmanager
def open_lab(store: str, made: Made) -> Iterator[Lab]:
    """A lab on a folder, or on a server that is started for it."""
    if store == "folder":
        yield Lab(made, store)
        return
    start = {"rclone": rclone_server, "ministack": ministack_server}[store]
    with start(made.fresh("server")) as server, models_of_s3_read():
        before = {name: os.environ.get(name) for name in server.env}
        os.environ.update(server.env)
        try:
            yield Lab(made, store, server.bucket)
        finally:
            for name, text in before.items():
                os.environ.pop(name, None)
                if text is not None:
                    os.environ[name] = text


@contextlib.contextmanager
def models_of_s3_read() -> Iterator[None]:
    """Import and read what clients of S3 need once, before the forks: half a second for each, else."""
    import boto3
    import botocore.session

    import segnets.store.s3  # noqa: F401

    shared = functools.cache(botocore.session.create_loader)
    with patch.object(botocore.session, "create_loader", shared):
        boto3.session.Session().client("s3", region_name="us-east-1")
        yield


def run_tapped(
    subject: Subject,
    place: Place,
    injector: Injector,
    *,
    wait_s: float = WAIT_S,
    mutate: Callable[[], None] | None = None,
) -> Ended:
    """Run a subject in a child under an injector; the value is the number and places of operations."""

    def body() -> Any:
        if mutate is not None:
            mutate()
        forget_the_seed()
        with Taps(place.base, injector).installed() as taps:
            subject.run(place, wait_s)
        return {"count": taps.count, "places": taps.places}

    return in_child(body)


def look(subject: Subject, place: Place, expected: Any = None) -> dict[str, Any]:
    """What is wrong with a store: lost, corrupt, and, where it should be complete, unequal bits."""
    complete = expected is not None
    if not complete and not exists(place):
        return {}
    store = place.open(write=False)
    found = Found()
    for kind, ids in list_subjects(store).items():
        for one in ids:
            verify(store, kind, one, found)
    # a bag of which nothing counts yet is no damage
    faults = [fault for fault in found.faults if complete or "no line of it" not in fault]
    faults += torn_views(store) + subject.torn(place)
    product = plain(subject.product(place, store)) if complete else None
    unequal = complete and product != expected
    return {
        "lost": subject.lost(place, store),
        "corrupt": faults,
        "unequal": _differs(expected, product) if unequal else "",
    }


def torn_views(store: Store) -> list[str]:
    """Summaries that cannot be read."""
    torn = []
    for kind in KINDS:
        for listed in list_views(store, kind).values():
            try:
                read_view(store, listed.key)
            except Corrupt as error:
                torn.append(str(error))
    return torn


def exists(place: Place) -> bool:
    """Whether there is a store at all."""
    return "://" in place.url or Path(place.url).is_dir()


def aftermath(
    subject: Subject, place: Place, expected: Any, mutate: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Look at what a disturbed run has left, run the same command again, look at the result.

    What is looked at is looked at by the program as it is, whatever the runs were changed to.
    """

    def again() -> None:
        forget_the_seed()
        subject.run(place, tiny.WAIT_S)

    def all_of_it() -> list[dict[str, Any]]:
        before = look(subject, place)
        again()
        return [before, look(subject, place, expected)]

    if mutate is None:
        ended = in_child(all_of_it)
        looks = ended.value
    else:
        before = in_child(lambda: look(subject, place))
        ended = run_tapped(subject, place, proceed_always, wait_s=tiny.WAIT_S, mutate=mutate)
        after = in_child(lambda: look(subject, place, expected))
        looks = [before.value, after.value]
        if not (before.returned and after.returned):
            return {"wrong_end": f"what it left cannot be looked at: {before}, {after}"}
    if not ended.returned:
        return {"wrong_end": f"the second run ended with {ended}"}
    return {name: [one[name] for one in looks if one.get(name)] for name in looks[1]}


def undisturbed(subject: Subject, lab: Lab) -> tuple[Any, dict[str, Any]]:
    """The product of a calm run, and its operations."""
    with lab.place(subject) as place:
        ended = run_tapped(subject, place, proceed_always, wait_s=tiny.WAIT_S)
        assert ended.returned, ended
        product = in_child(lambda: subject.product(place, place.open(write=False)))
        assert product.value is not None, product
        return product.value, ended.value


def plain(value: Any) -> Any:
    """The value as it comes back from a child."""
    return json.loads(json.dumps(value))


def forget_the_seed() -> None:
    """What a fresh process has and a fork has not: random states of its own."""
    random.seed()
    np.random.seed()  # noqa: NPY002  # the state that a library might draw from
    torch.seed()


def _differs(expected: Any, product: Any) -> str:
    if product is None:
        return "it is not complete"
    return f"expected {expected!r:.300} got {product!r:.300}"

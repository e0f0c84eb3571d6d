"""Garbage is collected after a kill at any point, and again and again while the next run goes on.

    python -m tests.crash sweeps --part 1/2 --store rclone

The 24 hours of courtesy are left out for blobs, so that the rules alone decide. What counts must stay
whole, the result must be the undisturbed one's, and of a trial that is done nothing may be left that its
head does not name.
"""

import threading
from collections.abc import Callable
from typing import Any

from crash import tiny
from crash.forks import in_child
from crash.injectors import kill_before
from crash.points import kills
from crash.subjects import SUBJECTS, Place, Subject
from crash.taps import Injector, Op, Proceed
from crash.tries import Count, Lab, exists, look, open_lab, run_tapped, total, undisturbed
from segnets.store import gc
from segnets.store.base import Store
from segnets.store.keys import blob_prefix
from segnets.store.log import read_head
from segnets.store.names import list_subjects

EVERY = 11
"""Operations from one collection to the next, while a run goes on."""

Mutate = Callable[[], None]


def run(part: int, parts: int, seed: int, store: str, sample: int | None = None) -> dict[str, Any]:
    """This part's share of all operations; `sample` takes that many of each subject instead."""
    counts: dict[str, Count] = {}
    with tiny.prepare() as made, open_lab(store, made) as lab:
        for name, make in SUBJECTS.items():
            subject, count = make(made), counts.setdefault(name, Count())
            expected, calm = undisturbed(subject, lab)
            for k in kills(calm, part, parts, seed, sample):
                count.add(try_point(subject, lab, k, expected), f"{name}, killed at {k}")
    return total(counts)


def try_point(
    subject: Subject, lab: Lab, k: int, expected: Any, mutate: Mutate | None = None
) -> dict[str, Any]:
    """Kill, collect, go on while it is collected, collect, look; what is wrong."""
    with lab.place(subject) as place:
        run_tapped(subject, place, kill_before(k), mutate=mutate)
        steps = [
            lambda: _swept(subject, place, None, mutate),
            lambda: _swept(subject, place, expected, mutate),
        ]
        looks = []
        for number, step in enumerate(steps):
            if number:
                again = run_tapped(
                    subject, place, sweep_every(place, k), wait_s=tiny.WAIT_S, mutate=mutate
                )
                if not again.returned:
                    return {"wrong_end": f"the second run ended with {again}"[:1000]}
            looked = step()
            if not looked.returned:
                return {"wrong_end": f"collecting ended with {looked}"[:1000]}
            done = in_child(lambda n=number: look(subject, place, expected if n else None))
            if not done.returned:
                return {"wrong_end": f"looking ended with {done}"[:1000]}
            looks.append({**done.value, "left": looked.value})
    names = ("lost", "corrupt", "unequal", "left")
    return {name: [one[name] for one in looks if one.get(name)] for name in names}


def sweep_every(place: Place, offset: int) -> Injector:
    """Collect before every EVERY-th operation, as another process might."""
    sweeping = threading.local()
    opened: list[Store] = []  # once a run: a client of S3 is slow to make

    def inject(op: Op, proceed: Proceed) -> Any:
        if (op.index + offset) % EVERY == 0 and not getattr(sweeping, "now", False):
            sweeping.now = True
            try:
                if not opened and exists(place):
                    opened.append(place.open(write=False))
                for store in opened:
                    sweep(store)
            finally:
                sweeping.now = False
        return proceed()

    return inject


def sweep(store: Store) -> None:
    """Collect what the rules allow, however young it is."""
    found = gc.plan(store)
    found.blobs = gc.plan(store, courtesy_s=-60.0).blobs
    gc.collect(store, found)


def _swept(subject: Subject, place: Place, expected: Any, mutate: Mutate | None) -> Any:
    def body() -> list[str]:
        if mutate is not None:
            mutate()
        if not exists(place):
            return []
        sweep(place.open(write=False))
        return _left(place) if expected is not None else []

    return in_child(body)


def _left(place: Place) -> list[str]:
    """Files of trials that are done and that their heads do not name."""
    store, left = place.open(write=False), []
    for trial in list_subjects(store)["trial"]:
        head = read_head(store, trial)
        if head is not None and head.event == "done":
            listed = {one.key for one in store.list(blob_prefix("trial", trial))}
            left += [f"left: {key}" for key in sorted(listed - head.live_keys())]
    return left

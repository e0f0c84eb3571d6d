"""Every operation of every subject, with every injector: run, look, run again, look again.

    python -m tests.crash points --part k/6 --store folder      1,300 tries in a part

An operation is one call underneath the store that changes something (of S3: any request). Its number is
found by a run that nothing disturbs; `LEAST` says how many there are at least, and may only grow.
"""

import random
from dataclasses import replace
from typing import Any

from crash import tiny
from crash.forks import Ended
from crash.injectors import FAULTS, FOLDER, S3
from crash.subjects import SUBJECTS, Place, Subject
from crash.tries import WAIT_S, Count, Lab, aftermath, open_lab, run_tapped, total, undisturbed

NOT_REACHED = "it made fewer operations than an undisturbed run"

LEAST: dict[str, dict[str, int]] = {
    "folder": {
        "trial": 158,
        "trial-mid-epoch": 293,
        "dataset": 135,
        "grid": 75,
        "eval": 85,
        "run": 227,
    },
    "rclone": {
        "trial": 74,
        "trial-mid-epoch": 159,
        "dataset": 57,
        "grid": 24,
        "eval": 51,
        "run": 114,
    },
    "ministack": {
        "trial": 41,
        "trial-mid-epoch": 86,
        "dataset": 28,
        "grid": 15,
        "eval": 36,
        "run": 87,
    },
}
"""Store -> subject -> how many operations an undisturbed run has at least."""


def run(part: int, parts: int, seed: int, store: str, sample: int | None = None) -> dict[str, Any]:
    """This part's share of all points; `sample` takes that many of each injector, at random."""
    counts = {injector: Count() for injector in injectors_of(store)}
    operations: dict[str, int] = {}
    places: set[str] = set()
    points: list[tuple[str, int, str]] = []
    with tiny.prepare() as made, open_lab(store, made) as lab:
        subjects = {name: make(made) for name, make in SUBJECTS.items()}
        calm = {name: undisturbed(subject, lab) for name, subject in subjects.items()}
        for name, (_, ops) in calm.items():
            chosen = [k for k in range(ops["count"]) if (k + seed) % parts == part - 1]
            operations[name] = len(chosen)
            places |= {f"{name}: {ops['places'][k]}" for k in chosen}
            points += [(name, k, ops["places"][k]) for k in chosen]
        chance = random.Random(f"points {store} {seed} {part}/{parts}")
        for injector, count in counts.items():
            worthy = [point for point in points if worth(injector, point[2])]
            for name, k, where in worthy if sample is None else chance.sample(worthy, sample):
                found = try_point(subjects[name], lab, injector, k, calm[name][0])
                count.add(found, f"{name}, {injector} at {k} ({where})")
        numbers = {name: ops["count"] for name, (_, ops) in calm.items()}
        fewer = {name: n for name, n in numbers.items() if n < LEAST[store][name]}
    return {
        **total(counts),
        "operations": operations,
        "fewer_operations": fewer,
        "places": sorted(places),
    }


def injectors_of(store: str) -> dict[str, Any]:
    return FOLDER if store == "folder" else S3


def worth(injector: str, place: str) -> bool:
    """Whether this injector does anything else at this operation than another one does."""
    call = place.split(" ", 1)[0]
    if injector == "torn":
        return call in {"write", "PUT", "POST"}
    if injector in {"kill", "kill_after"}:
        return call not in {"GET", "HEAD"}
    return True


def kills(calm: dict[str, Any], part: int, parts: int, seed: int, sample: int | None) -> list[int]:
    """This part's share of the operations before which a kill matters; or `sample` of all."""
    points = [k for k, where in enumerate(calm["places"]) if worth("kill", where)]
    return (
        points[part - 1 :: parts]
        if sample is None
        else random.Random(seed).sample(points, min(sample, len(points)))
    )


def try_point(subject: Subject, lab: Lab, injector: str, k: int, expected: Any) -> dict[str, Any]:
    """One try; what is wrong, empty values where nothing is."""
    with lab.place(subject) as place:
        return try_at(subject, place, injector, k, expected)


def try_at(
    subject: Subject, place: Place, name: str, k: int, expected: Any, mutate: Any = None
) -> dict[str, Any]:
    """Run with the injector, judge how it ended, look, resume, look."""
    injector = (S3 if "://" in place.url else FOLDER)[name](k)
    stays_away = name.startswith(("away", "full", "broken"))
    ended = run_tapped(
        subject, place, injector, wait_s=WAIT_S if stays_away else tiny.WAIT_S, mutate=mutate
    )
    if ended.returned and ended.value["count"] <= k:
        return {"wrong_end": NOT_REACHED}
    wrong = judge(name, ended)
    if wrong:
        return {"wrong_end": wrong}
    return aftermath(subject, place, expected, mutate)


def judge(injector: str, ended: Ended) -> str:
    """What is wrong with the end of a run that was disturbed like this."""
    if injector in {"kill", "kill_after", "torn"}:
        return "" if ended.signum == 9 else f"it was not killed: {replace(ended, value=None)}"
    if ended.returned:
        return ""
    if not ended.explained or ended.fault not in FAULTS[injector]:
        return f"it ended with {ended}"
    if ended.exit_code != 4 or "\n" in ended.sentence:
        return f"no sentence with exit code 4: {ended}"
    return ""

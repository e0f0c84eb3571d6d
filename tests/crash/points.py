"""Every operation of every subject, with every injector: run, look, run again, look again."""

from typing import Any

from crash import tiny
from crash.forks import Ended
from crash.injectors import FAULTS, FOLDER, S3
from crash.subjects import SUBJECTS, Place, Subject
from crash.tries import Count, Lab, aftermath, open_lab, run_tapped, total, undisturbed


def run(part: int, parts: int, seed: int, store: str) -> dict[str, Any]:
    """This part's share of all points; `seed` only turns the order in which parts take them."""
    counts: dict[str, Count] = {}
    operations: dict[str, int] = {}
    places: set[str] = set()
    with tiny.prepare() as made, open_lab(store, made) as lab:
        for name, make in SUBJECTS.items():
            subject = make(made)
            expected, calm = undisturbed(subject, lab)
            chosen = [k for k in range(calm["count"]) if (k + seed) % parts == part - 1]
            operations[name] = len(chosen)
            places |= {f"{name}: {calm['places'][k]}" for k in chosen}
            for injector in injectors_of(store):
                for k in chosen:
                    if worth(injector, calm["places"][k]):
                        found = try_point(subject, lab, injector, k, expected)
                        what = f"{name}, {injector} at {k} ({calm['places'][k]})"
                        counts.setdefault(injector, Count()).add(found, what)
    return {**total(counts), "operations": operations, "places": sorted(places)}


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


def try_point(subject: Subject, lab: Lab, injector: str, k: int, expected: Any) -> dict[str, Any]:
    """One try; what is wrong, empty values where nothing is."""
    with lab.place(subject) as place:
        return try_at(subject, place, injector, injectors_of(lab.store)[injector](k), expected)


def try_at(
    subject: Subject, place: Place, name: str, injector: Any, expected: Any, mutate: Any = None
) -> dict[str, Any]:
    """Run with the injector, judge how it ended, look, resume, look."""
    ended = run_tapped(subject, place, injector, mutate=mutate)
    wrong = judge(name, ended)
    if wrong:
        return {"wrong_end": wrong}
    return aftermath(subject, place, expected, mutate)


def judge(injector: str, ended: Ended) -> str:
    """What is wrong with the end of a run that was disturbed like this."""
    if injector in {"kill", "kill_after", "torn"}:
        return "" if ended.signum == 9 else f"it was not killed: {ended}"
    if ended.returned:
        return ""
    if not ended.explained or ended.fault not in FAULTS[injector]:
        return f"it ended with {ended}"
    if ended.exit_code != 4 or "\n" in ended.sentence:
        return f"no sentence with exit code 4: {ended}"
    return ""

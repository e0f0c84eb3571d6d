"""Take the rules away one by one and see that a proof notices.

    python -m tests.crash mutants --part k/3      folder only

Each rule of `rules.py` is switched off in the runs that are disturbed and that go on, never in what
looks at them. The proof that should notice it draws its tries at random until one is wrong, at most
TRIES of them.
"""

import random
from collections.abc import Iterator
from typing import Any

from crash import interrupts, races, rot, sweeps, tiny
from crash.forks import in_child
from crash.points import NOT_REACHED, try_at, worth
from crash.powercut import Cuts
from crash.rules import NOT_NEEDED, RULES, Rule
from crash.subjects import SUBJECTS
from crash.taps import proceed_always
from crash.tries import Count, Lab, run_tapped, undisturbed

TRIES = 60
RACES = 6
HUNT_S = 300.0

Tries = Iterator[tuple[str, dict[str, Any]]]


def run(part: int, parts: int, seed: int, store: str, only: str | None = None) -> dict[str, Any]:
    """Hunt this part's share of the mutants; `ok` is how many were caught."""
    assert store == "folder", "tests/sim takes away what concerns servers"
    caught: dict[str, str] = {}
    survived: list[str] = []
    mine = [rule for rule in RULES if only is None or rule.says == only][part - 1 :: parts]
    with tiny.prepare() as made:
        for rule in mine:
            found = hunt(rule, made, random.Random(f"{rule.says} {seed}"))
            if found:
                caught[rule.says] = found
            else:
                survived.append(rule.says)
    return {
        "points": len(mine),
        "ok": len(caught),
        "mutants": {"caught": len(caught), "survived": len(survived)},
        "survivors": survived,
        "not_needed": NOT_NEEDED,
        "by": caught,
    }


def hunt(rule: Rule, made: tiny.Made, chance: random.Random) -> str:
    """What was wrong first with this rule switched off; empty if nothing was."""
    for number, (what, wrong) in enumerate(HUNTS[rule.proof](rule, made, chance), 1):
        if any(wrong.values()):
            told = {name: value for name, value in wrong.items() if value}
            return f"{rule.proof}, try {number}, {what}: {told}"[:300]
        if number >= TRIES:
            break
    return ""


def _points(rule: Rule, made: tiny.Made, chance: random.Random) -> Tries:
    lab = Lab(made, "folder")
    for name in rule.subjects:
        subject = SUBJECTS[name](made)
        expected, calm = undisturbed(subject, lab)
        with lab.place(subject) as place:  # its operations may be others
            ended = run_tapped(subject, place, proceed_always, wait_s=tiny.WAIT_S, mutate=rule.off)
        calm = ended.value if ended.returned else calm
        points = [
            (k, injector)
            for injector in rule.injectors
            for k in range(calm["count"])
            if worth(injector, calm["places"][k])
        ]
        chance.shuffle(points)
        for k, injector in points:
            with lab.place(subject) as place:
                wrong = try_at(subject, place, injector, k, expected, rule.off)
            if wrong.get("wrong_end") == NOT_REACHED:
                continue  # threads: it made fewer calls this time
            yield f"{injector} at {k} of {name}", wrong


def _powercut(rule: Rule, made: tiny.Made, chance: random.Random) -> Tries:
    for name in rule.subjects:
        cuts = Cuts(SUBJECTS[name](made), made, rule.off)
        for killed in cuts.unsynced_folders():
            count = Count()
            cuts.try_after_kill(chance, count, killed)
            yield f"a cut, killed after {killed}", {"found": count.faults}
        while True:
            count = Count()
            if chance.random() < 0.5:
                cuts.try_moment(chance.randrange(len(cuts.events) + 1), chance, count)
            else:
                cuts.try_after_kill(chance, count)
            yield "a cut", {"found": count.faults}


def _rot(rule: Rule, made: tiny.Made, chance: random.Random) -> Tries:
    for name in rule.subjects:
        rotten = rot.Rotten(SUBJECTS[name](made), made, rule.off)
        points: list[Any] = [*rotten.points(), *range(rotten.reads)]
        chance.shuffle(points)
        for point in points:
            if isinstance(point, int):
                yield f"read {point} of {name}", rotten.try_misread(point)
            else:
                yield f"{point} of {name}", rotten.try_damage(*point)


def _interrupts(rule: Rule, made: tiny.Made, chance: random.Random) -> Tries:
    trial = interrupts.Interrupted(made)
    lines = [(scene, line) for scene, line in trial.lines(0) if line.file.startswith("training/")]
    chance.shuffle(lines)
    trial.mutate = rule.off
    for scene, line in lines:
        wrong, _ = trial.try_line(scene, line, "interrupt")
        yield f"{line}, {scene}", wrong


def _sweeps(rule: Rule, made: tiny.Made, chance: random.Random) -> Tries:
    lab = Lab(made, "folder")
    for name in rule.subjects:
        subject = SUBJECTS[name](made)
        expected, calm = undisturbed(subject, lab)
        for k in chance.sample(range(calm["count"]), calm["count"]):
            yield f"{name} killed at {k}", sweeps.try_point(subject, lab, k, expected, rule.off)


def _races(rule: Rule, _: tiny.Made, chance: random.Random) -> Tries:
    def body() -> dict[str, Any]:
        rule.off()
        races.POLITE = 0
        return races.run(1, 1, chance.randrange(1000), "folder", races=RACES)

    while True:
        ended = in_child(body, HUNT_S)
        found = ended.value if ended.returned else {"told": [str(ended)]}
        yield f"{RACES} races", {"told": [str(one)[:150] for one in found["told"]]}


HUNTS = {
    "points": _points,
    "powercut": _powercut,
    "rot": _rot,
    "interrupts": _interrupts,
    "sweeps": _sweeps,
    "races": _races,
}

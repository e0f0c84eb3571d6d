"""Which two evaluations are set beside each other: those of the address, else of the ticked trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segnets.app.read import Snapshot
from segnets.app.records import Evaluation, Trial


@dataclass(frozen=True, slots=True)
class NoPair:
    """Why there is nothing to compare: heading, sentence, and the command that helps."""

    title: str
    sentence: str
    command: str = ""


def choose(
    snapshot: Snapshot, wanted: tuple[str, str], ticked: Sequence[str], url: str
) -> tuple[Evaluation, Evaluation] | NoPair:
    """The evaluations of these ids; "" is filled with one that can be compared."""
    evals = snapshot.evals
    if snapshot.fault and not evals:
        says = "The store does not answer; the two appear here as soon as it does."
        return NoPair("Nothing to compare", says)
    if not snapshot.looked:
        return NoPair("", "Looking at the store …")
    unknown = [one for one in wanted if one and one not in evals]
    if unknown and evals:
        says = f"Evaluation {unknown[0]} is not in this store; choose another above."
        return NoPair("Nothing to compare", says)
    first, second = rivals(evals, snapshot.trials, ticked)
    if any(wanted):
        one = evals.get(wanted[0] or wanted[1])
        others = [e.id for e in comparable(one, evals) if e.id != one.id] if one else []
        other = others[0] if others else ""
        first, second = wanted[0] or other, wanted[1] or other
    if first not in evals or second not in evals:
        held = "one" if evals else "none"
        says = (
            f"This store holds {held}. A trial is evaluated when its training ends; or do it now:"
        )
        command = f"python flows/evaluate.py --trial TRIAL --store {url}"
        return NoPair("Two evaluations are needed", says, command)
    a, b = evals[first], evals[second]
    if not alike(a, b):
        says = f"A is scored on {a.split} of {a.dataset}, B on {b.split} of {b.dataset}."
        return NoPair(
            "These two cannot be compared", f"{says} Choose two of one dataset and split."
        )
    return a, b


def rivals(
    evaluations: Mapping[str, Evaluation],
    trials: Mapping[str, Trial],
    ticked: Sequence[str],
) -> tuple[str, str]:
    """Ids of the two that are shown as long as nobody chose; "" where there is none.

    The first two ticked trials that are scored on one dataset and split, in the order of ticking, else
    the best two trials; an evaluation whose trial is not in the store comes last.
    """
    newest: dict[tuple[str, str], dict[str, Evaluation]] = {}
    for one in sorted(evaluations.values(), key=lambda e: e.time):
        newest.setdefault((one.dataset, one.split), {})[one.trial] = one
    for group in newest.values():
        chosen = [group[trial].id for trial in ticked if trial in group]
        if len(chosen) > 1:
            return chosen[0], chosen[1]
    ranked = [
        sorted(group.values(), key=lambda e: (e.trial in trials, e.miou or 0.0, e.id), reverse=True)
        for group in newest.values()
    ]
    if not ranked:
        return "", ""
    best = max(ranked, key=lambda group: (len(group) > 1, group[0].miou or 0.0))
    return best[0].id, best[1].id if len(best) > 1 else ""


def alike(a: Evaluation, b: Evaluation) -> bool:
    """Whether both are scored on the same samples: one dataset, one split."""
    return (a.dataset, a.split) == (b.dataset, b.split)


def comparable(one: Evaluation, evaluations: Mapping[str, Evaluation]) -> list[Evaluation]:
    """All evaluations on the dataset and split of this one, the best first."""
    same = [e for e in evaluations.values() if alike(e, one)]
    return sorted(same, key=lambda e: (-(e.miou or 0.0), e.trial, -e.time))

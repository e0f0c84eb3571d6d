"""What may be deleted: decided by the logs alone, never by a clock.

A trial's blob goes only if the head's inventory does not name it and its writer can never commit again:
its (attempt, writer) is below the head's, or the head is done. While an entry is torn, or somebody with
a higher rank stands at or above the head, nothing of the trial goes. Of a bag nothing goes before a
done, and nothing that any done names; a run is left alone. The 24 hours are courtesy to slow readers,
not safety.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from segnets.errors import NotInStore
from segnets.store.bag import read_done, read_named
from segnets.store.base import Leftover, Listed, Store
from segnets.store.entry import Entry
from segnets.store.history import read_slots
from segnets.store.keys import BlobName, check_id, parse_blob

COURTESY_S = 24 * 3600.0
"""Nothing younger goes, by the store's own clock."""


@dataclass
class Plan:
    """What may go, and why other things of the same kind stay."""

    blobs: list[Listed] = field(default_factory=list)
    hints: list[Listed] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the blobs that may go."""
        return sum(blob.size for blob in self.blobs)


@dataclass(frozen=True)
class _Rule:
    """What a subject allows: `named` stays, and so does everything whose rank is not below `below`."""

    named: frozenset[str] = frozenset()
    below: tuple[int, str] | None = None
    why_not: str = ""

    def lets_go(self, name: BlobName, key: str) -> bool:
        if self.why_not or key in self.named:
            return False
        return self.below is None or (name.attempt, name.writer) < self.below


def plan(store: Store, *, courtesy_s: float = COURTESY_S) -> Plan:
    """Everything that may go now. Reads every log that has blobs; writes nothing."""
    found, old = Plan(), store.now() - courtesy_s
    rules: dict[tuple[str, str], _Rule] = {}

    def rule_of(name: BlobName) -> _Rule:
        subject = name.kind, name.subject
        if subject not in rules:
            rules[subject] = _rule(store, *subject)
            if rules[subject].why_not:
                found.kept["/".join(subject)] = rules[subject].why_not
        return rules[subject]

    for blob in store.list("obj/"):
        name = parse_blob(blob.key)
        if name is not None and rule_of(name).lets_go(name, blob.key) and blob.modified < old:
            found.blobs.append(blob)
    for leftover in store.leftovers(""):
        name = parse_blob(leftover.key)
        dead = name is not None and rule_of(name).lets_go(name, leftover.key)
        if dead or leftover.modified < old:
            found.leftovers.append(leftover)
    found.hints = [
        hint for prefix in ("beat/", "probe/") for hint in store.list(prefix) if hint.modified < old
    ]
    return found


def collect(store: Store, what: Plan) -> None:
    """Delete what a plan allows; it stays right however old the plan is."""
    store.delete(listed.key for listed in (*what.blobs, *what.hints))
    for leftover in what.leftovers:
        store.drop_leftover(leftover)


def _rule(store: Store, kind: str, subject: str) -> _Rule:
    try:
        check_id(kind, subject)
    except (AssertionError, NotInStore):
        return _Rule(why_not="this version does not know its kind")
    return _trial_rule(store, subject) if kind == "trial" else _bag_rule(store, kind, subject)


def _trial_rule(store: Store, trial: str) -> _Rule:
    slots = read_slots(store, trial)
    entries = [entry for _, entry in slots if entry is not None]
    head = _head(entries)
    if len(entries) < len(slots):
        return _Rule(why_not="an entry of its log is torn")
    if head is None:
        return _Rule(why_not="it has no commit yet")
    rank = head.attempt, head.writer
    if any(one.seq >= head.seq and (one.attempt, one.writer) > rank for one in entries):
        return _Rule(why_not="somebody has claimed it since its head")
    named = frozenset(head.live_keys())
    return _Rule(named, None if head.event == "done" else rank)


def _bag_rule(store: Store, kind: str, subject: str) -> _Rule:
    if kind == "run":
        return _Rule(why_not="a run is never done")
    if read_done(store, kind, subject) is None:
        return _Rule(why_not="it is not complete")
    named = read_named(store, kind, subject)  # after: it must know the done that was found whole
    if named is None:
        return _Rule(why_not="it is not complete, or a line of it cannot be read")
    return _Rule(frozenset(named))


def _head(entries: Iterable[Entry]) -> Entry | None:
    commits = (entry for entry in entries if entry.is_commit)
    return max(commits, key=lambda entry: entry.rank, default=None)

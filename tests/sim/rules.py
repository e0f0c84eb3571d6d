"""The rules of the protocol, each with the edit that takes it away: gc, summaries, bags, beats, uploads.

Those of the log stand in `rules_log.py`; `MUTANTS` has all of them.
"""

from segnets.store import bag, beat, gc, keys, views
from segnets.store.s3 import S3Store
from sim.mutants import Mutant
from sim.rules_log import CLAIMS, COMMITS, LOSSY, READS, TRIAL

GC = {"subject": "trial", "collectors": 2}
BAG = {"subject": "dataset"}

GARBAGE = {
    "gc by fence": Mutant(
        "gc takes what cannot be committed any more (instead: what is older than 24 h)",
        (
            (gc.plan, "store.now() - courtesy_s", "store.now() - COURTESY_S"),
            (gc._trial_rule, 'None if head.event == "done" else rank', "None"),
        ),
        fixed={**GC, "days": True},
    ),
    "fence by commit": Mutant(
        "the fence is the head's rank, not that of a claim",
        (
            (
                gc._trial_rule,
                "rank = head.attempt, head.writer",
                "rank = max((one.attempt, one.writer) for one in entries)",
            ),
        ),
        fixed=GC,
    ),
    "gc waits for a settled head": Mutant(
        "while somebody with a higher rank stands at or above the head nothing goes",
        ((gc._trial_rule, "if any(one.seq", "if False and any(one.seq"),),
        fixed=GC,
    ),
    "gc waits for a readable log": Mutant(
        "while an entry is torn nothing goes",
        ((gc._trial_rule, "if len(entries) < len(slots):", "if False:"),),
        fixed={**GC, "rot": "entry"},
        not_needed="nobody can use what a torn entry named; kept for people, and as an entry of a "
        "newer version reads as torn",
    ),
    "gc spares what the head names": Mutant(
        "nothing goes that the head's inventory names",
        ((gc._trial_rule, "_Rule(named,", "_Rule(frozenset(),"),),
        fixed=GC,
    ),
    "gc ends with done": Mutant(
        "of a trial that is done everything goes that its head does not name",
        ((gc._trial_rule, 'None if head.event == "done" else rank', "rank"),),
        fixed=GC,
    ),
    "gc aborts old uploads": Mutant(
        "an upload goes that is older than 24 h",
        ((gc.plan, "if dead or leftover.modified < old:", "if False:"),),
        modes=("N", "M"),
        fixed=LOSSY,
    ),
    "gc lists blobs first": Mutant(
        "blobs are listed before the logs are read",
        (
            (
                gc.plan,
                'for blob in store.list("obj/"):',
                'rule_of(BlobName("trial", "m-1", 0, ""))\n    for blob in store.list("obj/"):',
            ),
        ),
        fixed=GC,
        not_needed="the fence holds for every log that was ever true: a plan may be of any age",
    ),
}

VIEWS = {
    "view key with number": Mutant(
        "the key of a summary holds the number of its entry",
        ((keys.view_key, "{inverted(seq)}.{writer}", "{inverted(0)}.{'0' * 16}"),),
        fixed=TRIAL,
    ),
    "who finds done writes the view": Mutant(
        "who finds a trial done and an older summary writes it",
        ((views.refresh_view, "parsed[1] >= seq", "True"),),
        fixed={**TRIAL, "kill": 0.01},
    ),
}

BAGS = {
    "gc keeps what any done names": Mutant(
        "gc keeps what any done names",
        ((bag.read_named, "for done in dones for", "for done in dones[:1] for"),),
        fixed={**BAG, "collectors": 2},
    ),
    "gc waits for a done": Mutant(
        "of a bag nothing goes before a done",
        (
            (bag.read_named, "if not dones:\n        return None", "pass"),
            (gc._bag_rule, "if read_done(store, kind, subject) is None:", "if False:"),
        ),
        fixed={**BAG, "collectors": 2},
    ),
    "gc waits for a whole done": Mutant(
        "of a bag nothing goes before a done whose blobs are all there",
        ((gc._bag_rule, "if read_done(store, kind, subject) is None:", "if False:"),),
        fixed={**BAG, "collectors": 2, "rot": "gone"},
    ),
    "gc reads names last": Mutant(
        "gc reads what dones name after it has found a whole one",
        (
            (
                gc._bag_rule,
                (
                    "named = read_named(store, kind, subject)  # after: it must know the done that was "
                    "found whole"
                ),
                "pass",
            ),
            (
                gc._bag_rule,
                "if read_done(store, kind, subject) is None:",
                (
                    "named = read_named(store, kind, subject)\n"
                    "    if read_done(store, kind, subject) is None:"
                ),
            ),
        ),
        fixed={**BAG, "collectors": 2, "rot": "gone"},
    ),
    "gc leaves runs alone": Mutant(
        "of a run nothing goes",
        (
            (gc._bag_rule, 'if kind == "run":', "if False:"),
            (bag.read_named, "if not dones:\n        return None", "pass"),
            (gc._bag_rule, "if read_done(store, kind, subject) is None:", "if False:"),
        ),
        fixed={"subject": "run", "collectors": 2},
    ),
    "a line of a bag is readable before gc": Mutant(
        "while a line of a bag cannot be read nothing goes",
        (
            (
                bag.read_named,
                "if line is None:\n            return None",
                "if line is None:\n            continue",
            ),
        ),
        fixed={**BAG, "collectors": 2, "rot": "entry"},
        not_needed="nobody can use what a torn line named; a line of a newer version reads as torn",
    ),
    "the next done": Mutant(
        "a reader takes the next done if a blob of the first is missing",
        (
            (
                bag.BagReader.done,
                "for line in lines:",
                "for line in [one for one in lines if one.item == DONE][:1]:",
            ),
        ),
        fixed={**BAG, "rot": "gone"},
    ),
    "a done is whole": Mutant(
        "a done counts if its blobs are all there",
        ((bag.BagReader.done, "if _is_there(files, sizes):", "if True:"),),
        fixed=BAG,
    ),
    "blobs before item": Mutant(
        "blobs are put before the item that names them",
        (
            (
                bag.Bag.put_file,
                "self._store.put(key, data)",
                'self.__dict__.setdefault("later", {})[key] = data',
            ),
            (
                bag.Bag._put,
                "self._store.put_if_absent(key, data)",
                (
                    "self._store.put_if_absent(key, data)\n"
                    '    for one in self.__dict__.pop("later", {}).items():\n'
                    "        self._store.put(*one)"
                ),
            ),
        ),
        fixed=BAG,
        not_needed="a line counts only with its blobs; the order saves a second making",
    ),
    "a second line has a name of its own": Mutant(
        "one process puts each key of a bag once",
        ((bag.Bag._put, "if item in self._mine:", "if False:"),),
        fixed=BAG,
    ),
}

BEATS = {
    "beats are watched": Mutant(
        "a start without --take-over watches the beats of those that may live",
        ((beat.wait_until_still, "if not watched:", "if True:"),),
        fixed=TRIAL,
    ),
    "two periods": Mutant(
        "beats are watched for two periods",
        ((beat.wait_until_still, "watch_s = 2 * PERIOD_S", "watch_s = PERIOD_S"),),
        fixed=TRIAL,
    ),
    "a beat that moved": Mutant(
        "a start without --take-over stops for a beat that moves",
        ((beat.wait_until_still, "if moved:", "if False:"),),
        fixed=TRIAL,
    ),
    "nobody waits for the dead": Mutant(
        "a process of this machine that is gone is not waited for",
        ((beat.is_gone, "return isinstance(pid, int) and", "return False and"),),
        fixed=TRIAL,
    ),
    "of this machine": Mutant(
        "only of a process of this machine can it be known that it is gone",
        ((beat.is_gone, "if any(beat.get(name)", "if False and any(beat.get(name)"),),
        fixed=TRIAL,
    ),
}

UPLOADS = {
    "multipart": Mutant(
        "without exclusive writes an object is uploaded in parts",
        ((S3Store.put, "if self.conditional and len(data) <= PART_BYTES:", "if True:"),),
        modes=("N",),
    ),
    "an unknown upload is read back": Mutant(
        "an upload that is unknown may be complete",
        ((S3Store._put_parts, "if not self._holds(key, data):", "if True:"),),
        modes=("N",),
        fixed=LOSSY,
        not_needed="the same bytes are put again under their key; reading back saves the upload",
    ),
}

MUTANTS = {**CLAIMS, **COMMITS, **READS, **GARBAGE, **VIEWS, **BAGS, **BEATS, **UPLOADS}

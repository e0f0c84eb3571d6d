"""The rules of a trial's log, each with the edit that takes it away.

Words of the source are as in its file, but for the indentation of a method.
"""

from segnets.store import entry, history, keys
from segnets.store.log import TrialLog
from segnets.store.s3 import S3Store
from sim.mutants import Mutant

TRIAL = {"subject": "trial"}
LOSSY = {"subject": "trial", "lose": 0.3}
STUBBORN = {"subject": "trial", "lose": 0.1, "stubborn": True}
ALONE = {"collectors": 0, "readers": 0, "days": False}
ROT_ENTRY = {"subject": "trial", "rot": "entry"}

CLAIMS = {
    "claim": Mutant(
        "a starter puts a claim",
        ((TrialLog._claim, "self._put_entry(entry)", "pass"),),
        fixed=TRIAL,
    ),
    "second listing": Mutant(
        "after a claim everything is read again",
        (
            (
                TrialLog._claim,
                "found = survey(self._store, self.id)\n        check_config",
                "check_config",
            ),
        ),
        fixed=TRIAL,
    ),
    "second claim": Mutant(
        "a starter claims again above others' claims",
        ((TrialLog._claim, "if not others:\n            break", "break"),),
        fixed=TRIAL,
    ),
    "stops for a higher claim": Mutant(
        "a starter stops for a claim that is higher than its own",
        ((TrialLog._claim, "self._stop_if_higher(slot)", "pass"),),
        fixed=TRIAL,
        not_needed="else it claims above that one, which stops instead: work is lost, no epoch",
    ),
    "head by commit": Mutant(
        "a claim never moves the head",
        ((history.survey, "if entry.is_commit and", "if"),),
        fixed=TRIAL,
    ),
    "attempt from all names": Mutant(
        "an attempt is one more than the highest in any name or entry",
        (
            (
                history.survey,
                "newest, highest + len(torn)",
                "newest, (head.attempt if head else 0)",
            ),
        ),
        fixed=TRIAL,
    ),
    "attempt above torn": Mutant(
        "an entry that cannot be read counts as one attempt more",
        ((history.survey, "highest + len(torn)", "highest"),),
        modes=("M",),
        fixed={**ROT_ENTRY, "starts": 4, "kill": 0.0, "lose": 0.0, **ALONE},
        rare=8500,
    ),
    "done is reused": Mutant(
        "a trial that is done is not claimed",
        ((TrialLog._claim, 'found.head.event == "done"', "False"),),
        fixed=TRIAL,
        not_needed="a claim moves no head, and training finds nothing to do at the last step",
    ),
    "a log of both kinds is read whole": Mutant(
        "where some names say no attempt, every entry is read",
        ((history.survey, "if named and len(named) < len(slots):", "if False:"),),
        modes=("M",),
        fixed=TRIAL,
    ),
}

COMMITS = {
    "look": Mutant(
        "after an append the log is looked at",
        ((TrialLog._look, "if slot.seq >= self._seq and", "if False and"),),
        fixed=TRIAL,
    ),
    "look as far as the entry": Mutant(
        "the look goes from the newest down to the own entry",
        ((TrialLog._look, "limit=limit", "limit=1"),),
        fixed=TRIAL,
    ),
    "stuck after a failed look": Mutant(
        "after a look that failed nothing more is written",
        ((TrialLog.commit, 'self._stuck = "its last entry could not be looked after"', "pass"),),
        modes=("N",),
        fixed={**STUBBORN, "kill": 0.0, "epochs": 3},
        rare=1000,
    ),
    "create-if-absent": Mutant(
        "an entry is put where nothing stands",
        ((S3Store.put_if_absent, "if not self.conditional:", "if True:"),),
        modes=("C", "M"),
        fixed=TRIAL,
    ),
    "one key, one byte string": Mutant(
        "after an unclear append no other entry is formed",
        ((TrialLog._append, 'self._stuck = "the outcome of its last entry is unknown"', "pass"),),
        fixed=STUBBORN,
    ),
    "holder never takes the next slot": Mutant(
        "a holder whose slot is taken stops",
        (
            (TrialLog.commit, "self._append(entry)", "entry = self._append(entry)"),
            (
                TrialLog._append,
                (
                    'self._stuck = "another process has the trial"\n'
                    '        raise self._taken("it holds the slot of our next entry") from None'
                ),
                (
                    "from dataclasses import replace\n"
                    "        return self._append(replace(entry, seq=entry.seq + 1))"
                ),
            ),
            (TrialLog._append, "self._seq = entry.seq", "self._seq = entry.seq; return entry"),
        ),
        modes=("C", "M"),
        fixed=TRIAL,
    ),
    "GET after an unclear append": Mutant(
        "whose entry stands there is read before it is put again",
        (
            (
                S3Store.put_if_absent,
                "if unclear and self._is_settled(key, data):\n            return",
                "pass",
            ),
            (
                S3Store.put_if_absent,
                "not self._create(key, data) and not self._is_settled(key, data)",
                "not self._create(key, data)",
            ),
            (
                S3Store.put_if_absent,
                'raise no_answer("refused as taken, yet nothing is there", self._where(key))',
                'raise Conflict("the key is taken", key, "")',
            ),
        ),
        modes=("C",),
        fixed=LOSSY,
    ),
    "blobs before entry": Mutant(
        "blobs are put before the entry that names them",
        (
            (
                TrialLog.put_file,
                "self._store.put(key, data)",
                'self.__dict__.setdefault("later", {})[key] = data',
            ),
            (
                TrialLog.commit,
                "self._append(entry)",
                (
                    "self._append(entry)\n"
                    '        for one in self.__dict__.pop("later", {}).items():\n'
                    "            self._store.put(*one)"
                ),
            ),
        ),
        fixed=TRIAL,
    ),
    "acknowledge after append": Mutant(
        "an epoch is said to be saved when its entry is known to stand",
        (
            (
                TrialLog._append,
                'self._stuck = "the outcome of its last entry is unknown"\n        raise',
                "pass",
            ),
        ),
        fixed=LOSSY,
    ),
    "delete after commit": Mutant(
        "what an entry drops is deleted when the entry stands",
        (
            (
                TrialLog.commit,
                "self._append(entry)",
                (
                    "if self.head is not None:\n"
                    "            self._drop(self.head.live_keys() - entry.live_keys())\n"
                    "        self._append(entry)"
                ),
            ),
        ),
        fixed=TRIAL,
    ),
    "delete spares named keys": Mutant(
        "no key is deleted that the inventory still names",
        (
            (
                TrialLog.commit,
                "self._drop(before - entry.live_keys())",
                (
                    "self._drop({one.key for live in (before and self._was.live) "
                    "if live not in entry.live for one in live.files})"
                ),
            ),
            (TrialLog._check_inventory, "assert not keys & self._dead", "assert keys"),
            (TrialLog.commit, "before = set()", "self._was = self.head\n        before = set()"),
        ),
        fixed=TRIAL,
    ),
    "a key is never put again": Mutant(
        "equal bytes get another key too",
        (
            (TrialLog.put_file, "next(self._counter)", "0"),
            (TrialLog._check_inventory, "assert not keys & self._dead", "assert keys"),
        ),
        fixed={**LOSSY, "keep": 1},
    ),
    "a dead key is never named": Mutant(
        "a key that was dropped or found damaged is named by no further entry",
        ((TrialLog._check_inventory, "assert not keys & self._dead", "assert keys"),),
        fixed={**TRIAL, "keep": 1},
    ),
    "64 random bits": Mutant(
        "no two writers have one name",
        ((keys.new_writer, "os.urandom(8).hex()", 'os.urandom(8) and "0" * 16'),),
    ),
}

READS = {
    "seal": Mutant(
        "an entry is believed if its seal fits",
        ((entry.unseal, "if hashlib.sha256(body", "if False and hashlib.sha256(body"),),
        fixed={**ROT_ENTRY, "flaky": True},
    ),
    "digest": Mutant(
        "a file is believed if its digest fits",
        ((entry.read_file, "if len(data) == ref.size and", "if True or"),),
        fixed={"subject": "trial", "rot": "blob"},
    ),
    "torn after three reads": Mutant(
        "an entry is torn if three reads give no good seal",
        ((history.read_entry, "range(READS)", "range(1)"),),
        fixed={**TRIAL, "flaky": True},
    ),
    "another's after three reads": Mutant(
        "an entry is another's if three reads say so",
        ((S3Store._is_settled, "range(_READS)", "range(1)"),),
        modes=("C",),
        fixed={**LOSSY, "flaky": True, "starts": 2},
    ),
    "damaged after three reads": Mutant(
        "a file is damaged if three reads say so",
        ((entry.read_file, "range(READS)", "range(1)"),),
        fixed={**TRIAL, "flaky": True},
    ),
    "torn keeps its slot": Mutant(
        "an entry that cannot be read keeps its slot",
        (
            (
                history.Survey.top.fget,
                "(slot.seq for slot in self.slots)",
                "(slot.seq for slot in self.slots if slot.key not in self.torn)",
            ),
        ),
        fixed=ROT_ENTRY,
    ),
    "stops for a torn entry": Mutant(
        "a holder stops for an entry above its own that cannot be read",
        (
            (
                TrialLog._stop_if_higher,
                "if entry is None:",
                "if entry is None:\n            return\n        if not entry:",
            ),
        ),
        fixed=ROT_ENTRY,
        rare=700,
    ),
    "keep 2": Mutant("two checkpoints or more are kept", fixed={**ROT_ENTRY, "keep": 1}),
    "a missing file asks for another look": Mutant(
        "a holder that misses a file looks whether the trial was taken",
        ((TrialLog.get_file, "self._look()", "pass"),),
        fixed=TRIAL,
        not_needed="else it trains on from an older checkpoint and stops at its next commit",
    ),
}

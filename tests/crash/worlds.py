"""The real commands on a tiny dataset: made once, copied for each try, compared by digests."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.commands import SMALL, World, new_world

from crash.places import damage
from crash.tiny import _quick_folder
from segnets.store.bag import BagReader
from segnets.store.base import Store
from segnets.store.entry import read_file
from segnets.store.log import read_head
from segnets.store.names import list_subjects
from segnets.store.open import open_store

SAVED = re.compile(r"epoch (\d+) of \d+ saved")
QUICK = ("--threads", "1", "--precision", "fp32")
NOT_COMPARED = ("time", "seconds", "env", "created")


@dataclass(frozen=True)
class Commands:
    """A world with street scenes, their dataset in its store and a trial that is done."""

    world: World
    streets: Path
    dataset: str
    trial: str

    @contextmanager
    def copy(self) -> Iterator[World]:
        """A copy that a try may change."""
        root = Path(tempfile.mkdtemp(prefix="copy-", dir=self.world.root.parent))
        try:
            world = new_world(root / "world")
            shutil.copytree(self.world.root, world.root, dirs_exist_ok=True)
            yield world
        finally:
            shutil.rmtree(root, ignore_errors=True)


@contextmanager
def prepare() -> Iterator[Commands]:
    """Make the world by its real commands."""
    whole = Path(tempfile.mkdtemp(prefix="segnets-commands-", dir=_quick_folder()))
    owner = os.getpid()
    try:
        world = new_world(whole / "world")
        made = world.run("preprocess", *SMALL)
        assert made.code == 0, made.err
        assert made.json is not None
        dataset = made.json["dataset"]
        trained = world.run("train", "--dataset", dataset, *QUICK, "--epochs", "1")
        assert trained.code == 0, trained.err
        assert trained.json is not None
        (streets,) = (world.root / "data").iterdir()
        yield Commands(world, streets, dataset, trained.json["trial"])
    finally:
        if os.getpid() == owner:
            shutil.rmtree(whole, ignore_errors=True)


def digests(store: Store, masks: Path | None = None) -> dict[str, Any]:
    """What must be equal, of every subject that is done; nothing that tells times."""
    found: dict[str, Any] = {}
    for kind, subjects in list_subjects(store).items():
        for subject in subjects:
            if kind == "trial":
                head = read_head(store, subject)
                if head is not None and head.event == "done":
                    names = ("weights_sha256", "state_sha256")
                    found[subject] = [head.metrics[name] for name in names]
            elif kind in {"dataset", "eval"}:
                found[f"{kind} {subject}"] = _files(store, kind, subject)
    if masks is not None and masks.is_dir():
        for path in sorted(masks.rglob("*.png")):
            found[str(path.relative_to(masks))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def wrong(store: Path) -> list[str]:
    """Everything in a store that is not as it was sealed; a bag that is only begun is no damage."""
    if not store.is_dir():
        return []
    faults = damage(open_store(str(store), write=False))
    return [fault for fault in faults if "no line of it" not in fault]


def _files(store: Store, kind: str, subject: str) -> Any:
    done = BagReader(store, kind, subject).done()
    if done is None:
        return None
    found: dict[str, Any] = {}
    for line in (done.item, *done.items.values()):
        for file in line.files:
            found[file.name] = file.sha256
            if file.name.endswith(".json"):
                content = json.loads(read_file(store, file))
                if isinstance(content, dict):
                    for name in NOT_COMPARED:
                        content.pop(name, None)
                found[file.name] = content
    return found


def last_epoch(store: Store, trial_there: str) -> int:
    """The epoch of the newest head, of trials other than the one that was there before."""
    trials = set(list_subjects(store)["trial"]) - {trial_there}
    heads = (read_head(store, trial) for trial in trials)
    return max((head.epoch for head in heads if head is not None), default=0)

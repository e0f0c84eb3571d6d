"""What is interrupted: a trial, a dataset, a grid's plan, an evaluation, a run of predictions.

Each subject knows how to run in a store, what counts as acknowledged, and its product: plain values
that must be equal after any interruption.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from support.tiny_dataset import make_tiny_dataset

from crash import tiny
from crash.tiny import Made
from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import grid_id, trial_id
from segnets.data.cityscapes import index_frames
from segnets.grid.plan import put_plan
from segnets.inference import predict, work
from segnets.inference.device import resolve_runtime
from segnets.inference.night import done_frames
from segnets.inference.predictor import Predictor
from segnets.store.bag import DONE, Bag, BagReader
from segnets.store.base import Store
from segnets.store.entry import read_file
from segnets.store.keys import parse_item
from segnets.store.log import read_head, read_history
from segnets.store.open import open_sink, open_source, open_store
from segnets.store.tables import from_parquet
from segnets.training.checkpoint import load_model
from segnets.training.record import Record
from tasks.evaluate import run_job, val_job

RUN = "pred-1"
PART_FRAMES = 2


@dataclass(frozen=True)
class Place:
    """One try: the URL of its store, and a folder that holds it where it is a folder, and the masks."""

    url: str
    base: Path
    acks: Path

    @property
    def cache(self) -> Path:
        """A cache of this try alone: filled by each anew, or some would read less than others."""
        return self.acks.with_suffix(".cache")

    def open(self, *, write: bool, wait_s: float = tiny.WAIT_S) -> Store:
        return open_store(self.url, write=write, wait_s=wait_s)


class Subject:
    """A thing that is made in a store; each method runs in a child of its own."""

    name: str
    needs_trial = False

    def __init__(self, made: Made) -> None:
        self.made = made

    def run(self, place: Place, wait_s: float) -> None:
        """Make it, going on from what is there; acknowledgements go to `place.acks`."""
        raise NotImplementedError

    def product(self, place: Place, store: Store) -> Any:
        """What must be equal; None while it is not complete."""
        raise NotImplementedError

    def lost(self, place: Place, store: Store) -> list[str]:
        """What was acknowledged and is not there."""
        raise NotImplementedError

    def torn(self, _: Place) -> list[str]:
        """What stands beside the store and is not whole."""
        return []


class Trial(Subject):
    """Three epochs of two steps: claims, commits, deletions."""

    name = "trial"
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 3}  # noqa: RUF012

    def run(self, place: Place, wait_s: float) -> None:
        tiny.run_trial(
            place.url, self.made, acks=place.acks, wait_s=wait_s, take_over=True, **self.settings
        )

    def product(self, _: Place, store: Store) -> Any:
        found = tiny.digests(store, self.made, **self.settings)
        return None if found is None else [found.weights_sha256, found.state_sha256, found.table]

    def lost(self, place: Place, store: Store) -> list[str]:
        said = tiny.acknowledged(place.acks)
        trial = trial_id(tiny.config(self.made, **self.settings))
        head = read_head(store, trial)
        epoch = 0 if head is None else head.epoch
        twice = {one for one in said if said.count(one) > 1}
        lost = [one for one in said if int(one) > epoch or one in twice]
        if said and not lost:
            kept = {entry.epoch for entry in read_history(store, trial) if entry.is_commit}
            lost = [one for one in said if int(one) not in kept]
        return [f"epoch {one}" for one in lost]


class MidEpoch(Trial):
    """Saves after every step, and keeps every second epoch."""

    name = "trial-mid-epoch"
    settings = {"epochs": 2, "batch_size": 2, "keep_every": 2}  # noqa: RUF012

    def run(self, place: Place, wait_s: float) -> None:
        before = Record.save_if_due
        Record.save_if_due = lambda record, _: record.save("checkpoint")
        try:
            super().run(place, wait_s)
        finally:
            Record.save_if_due = before


class BagSubject(Subject):
    """Acknowledged is what `put_item` or `put_done` has returned for."""

    kind: str

    def subject_id(self) -> str:
        raise NotImplementedError

    def lost(self, place: Place, store: Store) -> list[str]:
        reader = BagReader(store, self.kind, self.subject_id())
        there = {line.key for lines in reader.items().values() for line in lines}
        done = reader.done()
        # of two lines of one item a done names one, and gc may take the files of the other
        instead = set() if done is None else {DONE, *done.items}
        said = tiny.acknowledged(place.acks)
        return [key for key in said if key not in there and _item_of(key) not in instead]

    def done_files(self, store: Store) -> dict[str, str] | None:
        """Name -> digest of every file of the bag, read back; None while it is not complete."""
        done = BagReader(store, self.kind, self.subject_id()).done()
        if done is None:
            return None
        lines = (done.item, *done.items.values())
        for line in lines:
            for file in line.files:
                read_file(store, file)
        return {file.name: file.sha256 for line in lines for file in line.files}


def _item_of(key: str) -> str:
    named = parse_item(key)
    assert named is not None, key
    return named[0]


@contextmanager
def acknowledging(place: Place) -> Iterator[None]:
    """Every line of a bag that is put goes to the acknowledgements once `put` has returned."""
    real = Bag._put

    def put(self: Bag, *args: Any, **kwargs: Any) -> Any:
        line = real(self, *args, **kwargs)
        tiny.ack(place.acks, line.key)
        return line

    Bag._put = put  # type: ignore[method-assign]
    try:
        yield
    finally:
        Bag._put = real  # type: ignore[method-assign]


class Dataset(BagSubject):
    """Drawn files to shards."""

    name = "dataset"
    kind = "dataset"

    def subject_id(self) -> str:
        return self.made.dataset

    def run(self, place: Place, wait_s: float) -> None:
        store = place.open(write=True, wait_s=wait_s)
        with acknowledging(place):
            found = make_tiny_dataset(self.made.data, store, self.made.folder / "cache")
        assert found == self.made.dataset

    def product(self, _: Place, store: Store) -> Any:
        return self.done_files(store)


class Grid(BagSubject):
    """The plan of a grid of four."""

    name = "grid"
    kind = "grid"

    def __init__(self, made: Made) -> None:
        super().__init__(made)
        self.config()  # pydantic builds its schema once, before the forks

    def config(self) -> GridConfig:
        settings = {**tiny.SETTINGS, "dataset": self.made.dataset}
        grid = ["lr=0.001,0.002", "seed=0,1"]
        return build(GridConfig, {"trial": settings, "grid": grid})

    def subject_id(self) -> str:
        return grid_id(self.config())

    def run(self, place: Place, wait_s: float) -> None:
        store = place.open(write=True, wait_s=wait_s)
        with acknowledging(place):
            put_plan(store, self.config())

    def product(self, _: Place, store: Store) -> Any:
        return self.done_files(store)


class Evaluation(BagSubject):
    """Scores of a trial that is there."""

    name = "eval"
    kind = "eval"
    needs_trial = True

    def job(self, store: Store) -> Any:
        trial = trial_id(tiny.config(self.made))
        head = read_head(store, trial)
        assert head is not None
        return val_job(trial, str(head.metrics["weights_sha256"]), self.made.dataset)

    def subject_id(self) -> str:
        return str(self.job(template(self.made)).id)

    def run(self, place: Place, wait_s: float) -> None:
        store = place.open(write=True, wait_s=wait_s)
        with acknowledging(place):
            run_job(store, self.job(store), str(place.cache), quiet=True)

    def product(self, _: Place, store: Store) -> Any:
        files = self.done_files(store)
        done = BagReader(store, self.kind, self.subject_id()).done()
        if files is None or done is None:
            return None
        scores = json.loads(read_file(store, done.file("eval.json")))
        return [scores | {"env": 0, "time": 0}, files | {"eval.json": ""}]


class Predictions(BagSubject):
    """Masks of the frames of a folder, in parts of two frames."""

    name = "run"
    kind = "run"
    needs_trial = True

    def __init__(self, made: Made) -> None:
        super().__init__(made)
        work.PART_FRAMES = PART_FRAMES
        loaded = load_model(template(made), trial_id(tiny.config(made)))
        runtime = resolve_runtime(replace(loaded.config, allow_inexact=True), loaded.env)
        runtime.apply()
        self.predictor = Predictor(
            module=loaded.module,
            runtime=runtime,
            mean=loaded.mean,
            std=loaded.std,
            height=loaded.height,
            width=loaded.width,
        )
        self.source = open_source(str(made.data))
        jobs = index_frames(self.source, frames="labelled", split="train", clip_frames=2, stride=1)
        self.jobs = jobs[: 2 * PART_FRAMES]

    def subject_id(self) -> str:
        return RUN

    def sink(self, place: Place) -> str:
        return f"{place.url}-masks" if "://" in place.url else str(place.base / "masks")

    def run(self, place: Place, wait_s: float) -> None:
        store = place.open(write=True, wait_s=wait_s)
        sink = open_sink(self.sink(place), wait_s=wait_s)
        bag = Bag(store, "run", RUN, "0" * 64)
        with acknowledging(place):
            # without a second look at young files: it would come in some tries and not in others
            predict.predict_frames(
                self.predictor, self.jobs, self.source, sink, bag, meta={}, settle_s=0
            )

    def torn(self, place: Place) -> list[str]:
        masks, torn = open_sink(self.sink(place)), []
        for listed in masks.list():
            try:
                Image.open(io.BytesIO(masks.get(listed.key) or b"")).load()
            except (OSError, SyntaxError) as error:
                torn.append(f"{listed.key}: {error}")
        return torn

    def product(self, place: Place, store: Store) -> Any:
        items = BagReader(store, "run", RUN).items()
        if not any(item.startswith("night-") for item in items):
            return None
        if len(done_frames(items)) < len(self.jobs):
            return None
        masks = open_sink(self.sink(place))
        rows: dict[str, Any] = {}
        for item, lines in items.items():
            if item.startswith("part-"):
                table = from_parquet(read_file(store, lines[0].file("frames.parquet")))
                for row in table.drop_columns(["seconds", "part", "status"]).to_pylist():
                    rows[row["name"]] = {
                        name: value for name, value in row.items() if "offset" not in name
                    }
        pictures = {one.key: _sha256(masks.get(one.key) or b"") for one in masks.list()}
        return [sorted(pictures.items()), sorted(rows.items())]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


SUBJECTS: dict[str, Callable[[Made], Subject]] = {
    one.name: one for one in (Trial, MidEpoch, Dataset, Grid, Evaluation, Predictions)
}


def template(made: Made) -> Store:
    """A store with the tiny dataset and a trial that is done, for subjects that need one."""
    folder = made.folder / "template"
    if not folder.exists():
        half = made.folder / "template-half"
        shutil.copytree(made.store, half)
        tiny.run_trial(str(half), made)
        half.rename(folder)
    return open_store(str(folder), write=False)


def fill(place: Place, made: Made) -> None:
    """Copy the template into the store of a try."""
    source = template(made)
    if "://" not in place.url:
        shutil.copytree(source.url, place.url, dirs_exist_ok=True)
        return
    store = place.open(write=True)
    for listed in source.list(""):
        store.put(listed.key, source.get(listed.key))

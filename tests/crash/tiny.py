"""One tiny trial for all proofs: made once, trained in a fraction of a second, compared by digests.

    with tiny.prepare() as made:          # draws the files, makes the dataset, loads torch
        calm = tiny.undisturbed(made)
        tiny.run_trial(url, made, acks=path)
        assert tiny.digests(url, made) == calm

What is acknowledged goes to a file outside the store, one line an epoch, written with one `write` to a
descriptor that appends: a SIGKILL does not take it back.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from support.tiny_dataset import CLIPS, TinyNet, draw_cityscapes, make_tiny_dataset

from crash.forks import in_child
from segnets.config.build import build
from segnets.config.ids import trial_id
from segnets.config.train import TrainConfig
from segnets.data.reader import ClipDataset, open_dataset
from segnets.models.registry import MODELS
from segnets.store.base import Store
from segnets.store.entry import read_file
from segnets.store.log import read_head
from segnets.store.open import open_store
from segnets.store.tables import from_parquet
from segnets.training.curves import TIME_COLUMNS
from segnets.training.loop import train
from segnets.training.result import TrialResult

SETTINGS: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 2,  # 6 clips: 3 steps an epoch
    "temporal": "none",
    "threads": 1,
    "workers": 0,
    "precision": "fp32",
    "device": "cpu",
}
WAIT_S = 30.0
"""How long an operation may wait for a store that is there: longer than any pause of a busy machine."""
MEMORY = Path("/dev/shm")
"""A folder in memory, where there is one: an fsync costs nothing there and is asked for all the same."""


@dataclass(frozen=True)
class Made:
    """A folder with drawn files (`data`), a store with their dataset (`store`), and its id."""

    folder: Path
    dataset: str
    opened: ClipDataset = field(repr=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def fresh(self, name: str = "t") -> Path:
        """A folder of its own for one store or one try, empty."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))


@dataclass(frozen=True)
class Digests:
    """What must be equal after any interruption."""

    weights_sha256: str
    state_sha256: str
    table: str
    """epochs.parquet without the columns that tell times."""


@contextlib.contextmanager
def prepare(folder: Path | None = None) -> Iterator[Made]:
    """Drawn files, their dataset and the tiny net, for this process and its forks."""
    torch.set_num_threads(1)
    whole = folder or Path(tempfile.mkdtemp(prefix="segnets-crash-", dir=_quick_folder()))
    owner, before = os.getpid(), MODELS["resnet_convlstm"]
    try:
        draw_cityscapes(whole / "data", CLIPS)
        # in a child: the threads of the PNG decoder would not survive the forks of this process
        ended = in_child(lambda: _make_dataset(whole))
        assert ended.returned, ended
        store, dataset = open_store(str(whole / "store"), write=False), str(ended.value)
        MODELS["resnet_convlstm"] = lambda _: TinyNet()
        with open_dataset(store, dataset, whole / "cache") as opened:
            made = Made(whole, dataset, opened)
            undisturbed(made)  # so that forks find everything imported
            yield made
    finally:
        MODELS["resnet_convlstm"] = before
        if folder is None and os.getpid() == owner:
            shutil.rmtree(whole, ignore_errors=True)


def _quick_folder() -> str | None:
    return str(MEMORY) if os.access(MEMORY, os.W_OK) else None


def _make_dataset(whole: Path) -> str:
    store = open_store(str(whole / "store"), write=True)
    return make_tiny_dataset(whole / "data", store, whole / "cache")


def config(made: Made, **settings: Any) -> TrainConfig:
    """The config of the tiny trial, and of variants of it."""
    return build(TrainConfig, {**SETTINGS, "dataset": made.dataset, **settings})


def run_trial(
    url: str,
    made: Made,
    *,
    acks: Path | None = None,
    on_step: Callable[[int, int], None] | None = None,
    wait_s: float = WAIT_S,
    **settings: Any,
) -> TrialResult:
    """Train the tiny trial in a store, going on from what is there; acknowledged epochs go to `acks`."""
    store = open_store(url, write=True, wait_s=wait_s)

    def acknowledge(row: dict[str, Any]) -> None:
        if acks is not None:
            ack(acks, str(row["epoch"]))

    return train(
        config(made, **settings), made.opened, store, on_epoch=acknowledge, on_step=on_step
    )


def ack(path: Path, text: str) -> None:
    """Add a line to a file, in one write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)


def acknowledged(path: Path) -> list[str]:
    """The lines of such a file; none if it is not there."""
    return path.read_text().split() if path.exists() else []


def undisturbed(made: Made, **settings: Any) -> Digests:
    """Digests of a run that nothing disturbs, in a folder of its own."""
    url = str(made.fresh("calm"))
    run_trial(url, made, **settings)
    found = digests(url, made, **settings)
    assert found is not None
    shutil.rmtree(url)
    return found


def digests(url: str | Store, made: Made, **settings: Any) -> Digests | None:
    """Digests of the trial in a store; None while it is not done."""
    store = open_store(url, write=False, wait_s=WAIT_S) if isinstance(url, str) else url
    head = read_head(store, trial_id(config(made, **settings)))
    if head is None or head.event != "done":
        return None
    table = from_parquet(read_file(store, head.file("epochs.parquet")))
    return Digests(
        str(head.metrics["weights_sha256"]),
        str(head.metrics["state_sha256"]),
        repr(table.drop_columns(list(TIME_COLUMNS)).to_pylist()),
    )

"""How long it takes to see what a store of many trials holds: `ls`, and the first look of the app.

The trials are written as the product writes them, by its own names and bytes, but without waiting for
the disk: done after eight epochs, two checkpoints of four files each.
"""

import contextlib
import io
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from segnets.app.read import Reader
from segnets.config.ids import canonical_json
from segnets.config.train import TrainConfig
from segnets.store.__main__ import main as store_command
from segnets.store.entry import Entry, FileRef, Live, digest_of, to_bytes
from segnets.store.keys import blob_key, slot_key, view_key
from segnets.store.open import open_store
from segnets.store.tables import to_parquet
from segnets.training.curves import trial_view

FILES = ("state.pt", "epochs.parquet", "weights.safetensors", "model.json")
EPOCHS, LIVE = 8, 2
WRITER = "0123456789abcdef"
_SCORES = dict.fromkeys(("miou", "loss", "pixel_accuracy", "lr", "clips_s"), 0.5)
ROWS = [{"epoch": n, "split": s, **_SCORES} for n in range(1, EPOCHS + 1) for s in ("train", "val")]
CONTENT = dict.fromkeys(FILES, b"x" * 900) | {
    "epochs.parquet": to_parquet(pa.Table.from_pylist(ROWS), 1)
}


def fill(root: Path, trials: range, *, conditional: bool) -> None:
    """Write done trials of these numbers below a folder."""
    for number in trials:
        _write_trial(root, f"resnet_convlstm-{number:08x}", conditional=conditional)


def _write_trial(root: Path, trial: str, *, conditional: bool) -> None:
    config = TrainConfig(dataset="streets-0123456789ab", epochs=EPOCHS)
    kept = []
    for epoch in range(EPOCHS - LIVE + 1, EPOCHS + 1):
        refs = []
        for name in FILES:
            number = len(refs) + epoch * len(FILES)
            digest = digest_of(CONTENT[name])
            key = blob_key("trial", trial, 1, WRITER, number, digest)
            _write(root / key, CONTENT[name])
            refs.append(FileRef(name, key, digest, len(CONTENT[name])))
        kept.append(Live(epoch, epoch * 10, ("last",), tuple(refs)))
    for seq in range(EPOCHS + 1):
        entry = Entry(
            id=trial,
            config_sha256="0" * 64,
            seq=seq,
            attempt=1,
            writer=WRITER,
            event="claim" if seq == 0 else "done" if seq == EPOCHS else "checkpoint",
            epoch=seq,
            step=seq * 10,
            files=kept[-1].files if seq else (),
            live=tuple(kept),
        )
        _write(root / slot_key(trial, seq, 1, WRITER, conditional=conditional), to_bytes(entry))
    view = trial_view(
        config,
        trial,
        status="done",
        rows=ROWS,
        best_epoch=EPOCHS,
        attempts=1,
        seconds=60.0,
        error=None,
        weights_sha256="0" * 64,
    )
    _write(root / view_key("trial", trial, EPOCHS, WRITER), canonical_json(view) + b"\n")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def measure(url: str, trials: int, rounds: int) -> dict[str, float]:
    """Median seconds of `ls`, of the app's first look and of its next one."""
    seconds: dict[str, list[float]] = {"ls": [], "app_first_look": [], "app_next_look": []}
    for _ in range(rounds):
        seconds["ls"].append(_timed(lambda: _ls(url)))
        reader = Reader(url, lambda: open_store(url, write=False))
        seconds["app_first_look"].append(_timed(reader.look))
        assert len(reader.snapshot.trials) == trials, reader.snapshot.fault
        seconds["app_next_look"].append(_timed(reader.look))
        reader.close()
    return {name: round(sorted(took)[len(took) // 2], 2) for name, took in seconds.items()}


def _ls(url: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert store_command(["ls", url]) == 0
    assert said.getvalue().count("resnet_convlstm-") >= 1


def _timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began

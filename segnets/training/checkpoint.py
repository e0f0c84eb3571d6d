"""The checkpoint files of a trial: write them, verify them, choose the one to go on from, load a model.

Where resume is decided. Bytes are believed in this order: no more of them than this model's state can
have, SHA-256 against the sealed entry (torch loads a flipped byte in silence), an archive that holds
tensors and plain values only (archive.py), `weights_only=True`, then names, shapes, dtypes and strides
against the model that was built (torch also loads a tensor that claims 40 GB with stride 0), and only
then is anything copied. Whatever is wrong is `Corrupt`, and the checkpoint before is taken.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from segnets.config.build import build as build_config
from segnets.config.ids import inside
from segnets.config.train import TrainConfig
from segnets.data.reader import ClipDataset
from segnets.errors import ConfigError, Corrupt, NotFound, NotInStore
from segnets.models.registry import build
from segnets.models.resnet_lstm import ResnetLstm
from segnets.store.base import Store
from segnets.store.entry import Entry, FileRef, Live, read_file
from segnets.store.log import TrialLog, read_head, read_history
from segnets.training.archive import check_archive
from segnets.training.state import (
    VERSION,
    Snapshot,
    TrainState,
    check_tensors,
    contiguous_like,
    keys_digest,
    restore,
    unusable,
)

STATE_FILE = "state.pt"
WEIGHTS_FILE = "weights.safetensors"
MODEL_FILE = "model.json"
EPOCHS_FILE = "epochs.parquet"
LISTS = 5
"""How often a reader that misses a file looks for a newer head."""

logger = logging.getLogger("segnets.training")


def state_bytes(taken: Snapshot) -> bytes:
    """state.pt."""
    buffer = io.BytesIO()
    torch.save(taken, buffer)
    return buffer.getvalue()


def weights_bytes(taken: Snapshot) -> bytes:
    """weights.safetensors of the scored module; names sorted, no metadata: equal weights, equal bytes."""
    from safetensors.torch import save

    tensors = taken["ema"] if taken["ema"] is not None else taken["model"]
    return bytes(save({name: tensors[name].contiguous() for name in sorted(tensors)}))


def model_bytes(config: TrainConfig, dataset: ClipDataset, trial: str, **more: bool | str) -> bytes:
    """model.json: what `load_model` needs beside the weights; `more` is for adopted ones."""
    content = {
        **more,
        "v": VERSION,
        "trial": trial,
        "dataset": dataset.id,
        "config": inside(config),
        "height": dataset.height,
        "width": dataset.width,
        "clip_frames": dataset.clip_frames,
        "stride": dataset.stride,
        "mean": list(dataset.mean),
        "std": list(dataset.std),
    }
    return json.dumps(content, sort_keys=True).encode()


def parse_state(data: bytes, where: str) -> Snapshot:
    """The content of state.pt, still unchecked against a model; Corrupt if it is none."""
    check_archive(data, where)
    try:
        taken = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # a hostile file raises any of five kinds
        raise unusable(f"torch cannot read it ({type(error).__name__})", where) from None
    if not isinstance(taken, dict) or taken.get("v") != VERSION:
        raise unusable("it is no state of this version", where)
    return taken


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where an attempt goes on: the checkpoint, those that stay beside it, and the best weights.

    `best_files` may be named again as they are; `best_bytes` must be put under new keys, since the
    head's inventory has dropped the old ones.
    """

    live: Live
    digest: str
    stay: tuple[Live, ...]
    best_files: tuple[FileRef, ...] = ()
    best_bytes: Mapping[str, bytes] = field(default_factory=dict)


def resume(
    log: TrialLog, store: Store, state: TrainState, next_keys: Callable[[], Sequence[str]]
) -> Resumed | None:
    """Put the newest whole checkpoint into a freshly built state; None if there is none.

    One that is damaged, of another model, or with another next batch is skipped, with a note of why.
    `next_keys` gives the sample keys of the next batch of the restored state.
    """
    for live in _candidates(log, store):
        where = f"checkpoint of epoch {live.epoch}, step {live.step}"
        try:
            (ref,) = (file for file in live.files if file.name == STATE_FILE)
            if ref.size > _most_bytes(state):
                raise unusable(f"it has {ref.size} bytes, more than a state of this model", where)
            next_batch = restore(state, parse_state(log.get_file(ref), where), where)
            if next_batch != keys_digest(next_keys()):
                raise unusable("the next batch would be another one", where)
            return _resumed(log, state, live, ref.sha256, where)
        except (Corrupt, NotFound) as error:
            logger.warning("epoch %d cannot be used: %s", live.epoch, error)
            log.note("skipped", f"epoch {live.epoch}, step {live.step}: {error}")
    return None


def _most_bytes(state: TrainState) -> int:
    """More than the state.pt of this model can have: weights, averaged ones, two moments each, rows."""
    weights = sum(int(one.nbytes) for one in state.module.state_dict().values())
    return 5 * weights + 64 * 2**20


def _resumed(log: TrialLog, state: TrainState, live: Live, digest: str, where: str) -> Resumed:
    refs = tuple(ref for ref in live.files if ref.name in {WEIGHTS_FILE, MODEL_FILE})
    if state.best is not None and len(refs) != 2:
        raise unusable("its best weights are not named", where)
    data = {ref.name: log.get_file(ref) for ref in refs}  # read, so a damaged one is met here
    head = log.head
    if head is None or live not in head.live:
        return Resumed(live, digest, (), best_bytes=data)
    # Later ones were found damaged: they leave the inventory and are not named again.
    stay = [one for one in head.live if _position(one) <= _position(live) and _has_state(one)]
    return Resumed(live, digest, tuple(stay), best_files=refs)


def _candidates(log: TrialLog, store: Store) -> Iterator[Live]:
    """Checkpoints, newest first: those of the head's inventory, then what older entries named."""
    seen: set[str] = set()

    def new_ones(lives: Sequence[Live]) -> Iterator[Live]:
        for live in sorted(lives, key=_position, reverse=True):
            keys = {file.key for file in live.files if file.name == STATE_FILE}
            if keys and not keys & seen:
                seen.update(keys)
                yield live

    if log.head is None:
        return
    yield from new_ones(log.head.live)
    for entry in reversed(read_history(store, log.id)):
        yield from new_ones(entry.live)


@dataclass(frozen=True, slots=True)
class LoadedTrial:
    """A trained model for prediction: the module in eval mode, and what its clips must look like."""

    module: nn.Module
    config: TrainConfig
    dataset: str
    height: int
    width: int
    clip_frames: int
    stride: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    env: Mapping[str, Any]
    weights_sha256: str
    best_epoch: int

    def check_clips(self, dataset: ClipDataset) -> None:
        """Raise ConfigError where the clips of a dataset are not like those that it was trained on."""
        its, own = (dataset.clip_frames, dataset.stride), (self.clip_frames, self.stride)
        if its != own:
            raise ConfigError(
                f"its clips have {its[0]} frames at stride {its[1]}, the model's {own[0]} at {own[1]}",
                f"--dataset {dataset.id}",
                f"Make one by preprocess with --clip-frames {own[0]} --stride {own[1]}.",
            )


def load_model(store: Store, trial_id: str) -> LoadedTrial:
    """The best weights of a trial that has finished an epoch, on the CPU.

    Raises NotInStore for an unknown trial or one without weights yet, Corrupt for damaged files.
    """
    head, weights_ref, weights, model = _read_best(store, trial_id)
    from safetensors.torch import load

    try:
        content = json.loads(model)
        config = build_config(TrainConfig, content["config"])
        found: dict[str, Tensor] = load(weights)
    except Exception as error:  # noqa: BLE001  # whatever a damaged or foreign file raises
        raise unusable(f"its model cannot be read ({error!r})", f"trial {trial_id}") from None
    module = build(config)
    check_tensors("weights", found, contiguous_like(module), f"trial {trial_id}")
    module.load_state_dict(found)
    if content.get("over_batch") is True and isinstance(module, ResnetLstm):
        module.over_batch()
    return LoadedTrial(
        module=module.eval(),
        config=config,
        dataset=content["dataset"],
        height=int(content["height"]),
        width=int(content["width"]),
        clip_frames=int(content["clip_frames"]),
        stride=int(content["stride"]),
        mean=tuple(content["mean"]),
        std=tuple(content["std"]),
        env=dict(head.env),
        weights_sha256=weights_ref.sha256,
        best_epoch=int(head.metrics.get("best_epoch") or 0),
    )


def _read_best(store: Store, trial: str) -> tuple[Entry, FileRef, bytes, bytes]:
    """The head and its best weights; lists again while the head moves under the reader."""
    before: Entry | None = None
    for _ in range(LISTS):
        head = read_head(store, trial)
        if head is None:
            raise NotInStore(
                "no trial of this id is in the store",
                f"{trial} in {store.url}",
                "python -m segnets.store ls STORE lists those that are.",
            )
        try:
            weights_ref, model_ref = head.file(WEIGHTS_FILE), head.file(MODEL_FILE)
        except NotFound:
            raise NotInStore(
                "the trial has not finished an epoch yet", trial, "Train it first."
            ) from None
        try:
            return head, weights_ref, read_file(store, weights_ref), read_file(store, model_ref)
        except NotFound:
            if before is not None and before.rank == head.rank:
                raise
            before = head
    raise Corrupt("its weights keep moving", f"trial {trial}", "Try again when it is done.")


def _position(live: Live) -> tuple[int, int]:
    return live.epoch, live.step


def _has_state(live: Live) -> bool:
    return any(file.name == STATE_FILE for file in live.files)

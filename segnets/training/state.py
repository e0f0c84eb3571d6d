"""What the next training step could depend on: take it between two steps, put it back, digest it.

Same command, same bits. A snapshot holds tensors and plain containers only: weights, averaged weights,
optimiser, random states of torch, every CUDA device, NumPy and Python, the position in the schedule and
in the epoch, the sums of the running epoch, the best epoch, and the rows of the epochs table.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segnets.errors import Corrupt
from segnets.training.curves import Row
from segnets.training.optim import Ema
from segnets.training.step import Totals

VERSION = 1

Snapshot = dict[str, Any]
"""A copy of everything on the CPU: tensors, dicts, lists and plain values."""


@dataclass(slots=True)
class TrainState:
    """What changes while a trial is trained.

    `epoch` counts finished epochs, `step` updates since the start, `samples` clips seen of the
    epoch that runs; `best` is {epoch, step, miou, loss, pixel_accuracy} or None.
    """

    module: nn.Module
    ema: Ema | None
    optimizer: torch.optim.Optimizer
    total_steps: int
    epoch: int = 0
    step: int = 0
    samples: int = 0
    totals: Totals = field(default_factory=Totals)
    best: dict[str, Any] | None = None
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def scored(self) -> nn.Module:
        """The module that is validated and kept: the averaged one if there is one."""
        return self.ema.module if self.ema is not None else self.module


def seed_everything(seed: int) -> None:
    """Seed torch (CPU and every CUDA device), NumPy and Python."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the global generator is what a library might draw from
    torch.manual_seed(seed)


def snapshot(state: TrainState, next_keys: Sequence[str], env: Mapping[str, Any]) -> Snapshot:
    """Copy the state between two steps; the loop may go on while the copy is written.

    `next_keys` are the sample keys of the next batch: a resumed run must meet the same ones.
    """
    return {
        "v": VERSION,
        "model": _copied(state.module.state_dict()),
        "ema": None if state.ema is None else _copied(state.ema.module.state_dict()),
        "optimizer": _copied(state.optimizer.state_dict()),
        "rng": _rng_state(),
        "position": {
            "epoch": state.epoch,
            "step": state.step,
            "samples": state.samples,
            "total_steps": state.total_steps,  # with step: the position of the schedule
        },
        "totals": {
            "loss_sum": state.totals.loss_sum,
            "grad_norm_sum": state.totals.grad_norm_sum,
            "steps": state.totals.steps,
            "clips": state.totals.clips,
            "counts": state.totals.counts.clone(),
        },
        "best": None if state.best is None else dict(state.best),
        "rows": [dict(row) for row in state.rows],
        "seconds": state.seconds,
        "next_batch": keys_digest(next_keys),
        "env": json.dumps(dict(env), sort_keys=True, default=str),
    }


def state_sha256(taken: Snapshot) -> str:
    """Digest over names, dtypes, shapes and bytes of model, EMA, optimizer, RNG and accumulators.

    Of the random states torch's only: every thread of the process may draw from Python's and NumPy's,
    and those of an orchestrator do, as often as the network makes them wait.
    """
    digest = hashlib.sha256()
    parts = {part: taken[part] for part in ("model", "ema", "optimizer", "totals")}
    parts["rng"] = {name: taken["rng"][name] for name in ("torch", "cuda")}
    for part, content in parts.items():
        for name, value in _leaves(part, content):
            if isinstance(value, Tensor):
                digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
                digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            else:
                digest.update(f"{name} {type(value).__name__} {value!r}\n".encode())
    return digest.hexdigest()


def keys_digest(keys: Sequence[str]) -> str:
    """SHA-256 of the sample keys of a batch, in order."""
    return hashlib.sha256(json.dumps(list(keys)).encode()).hexdigest()


def restore(state: TrainState, taken: Snapshot, where: str) -> str:
    """Put a parsed snapshot back into a freshly built state; returns the next batch's digest.

    Everything is checked before anything is copied. Raises Corrupt.
    """
    try:
        check_tensors("model", taken["model"], state.module.state_dict(), where)
        if (taken["ema"] is None) != (state.ema is None):
            raise unusable("averaged weights are missing or too many", where)
        if state.ema is not None:
            check_tensors("ema", taken["ema"], state.ema.module.state_dict(), where)
        _check_optimizer(taken["optimizer"], state.optimizer, where)
        totals = Totals(**taken["totals"])
        check_tensors("totals", {"counts": totals.counts}, {"counts": Totals().counts}, where)
        position = taken["position"]
        epoch, step, samples, total = (
            int(position[name]) for name in ("epoch", "step", "samples", "total_steps")
        )
        if total != state.total_steps or not 0 <= step <= total or epoch < 0 or samples < 0:
            raise unusable(f"its position cannot be ({position})", where)
        next_batch, rows, best = str(taken["next_batch"]), list(taken["rows"]), taken["best"]
        seconds = float(taken["seconds"])
        _restore_rng(taken["rng"])
    except Corrupt:
        raise
    except Exception as error:  # noqa: BLE001  # any missing or ill-typed part
        raise unusable(f"a part is missing or wrong ({error!r})", where) from None
    state.module.load_state_dict(taken["model"])
    if state.ema is not None:
        state.ema.module.load_state_dict(taken["ema"])
    state.optimizer.load_state_dict(taken["optimizer"])
    state.epoch, state.step, state.samples = epoch, step, samples
    state.totals, state.rows, state.seconds = totals, rows, seconds
    state.best = None if best is None else dict(best)
    return next_batch


def _copied(value: Any) -> Any:
    """A deep copy on the CPU; strides stay, so channels_last weights come back as they were."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(one) for one in value]
    return value


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every tensor and plain value below, by name, in sorted order."""
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _leaves(f"{name}.{key}", value[key])
    elif isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from _leaves(f"{name}.{index}", one)
    else:
        yield name, value


def _rng_state() -> dict[str, Any]:
    # asked only where CUDA is in use: a question would make a context on every GPU of the machine
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch has no type
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  # see seed_everything
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if on_gpu else [],
        # JSON text: weights_only refuses numpy arrays, and Python's state is a tuple of tuples
        "numpy": json.dumps([kind, [int(key) for key in keys], *rest]),
        "python": json.dumps(random.getstate()),
    }


def _restore_rng(rng: Mapping[str, Any]) -> None:
    version, words, gauss = json.loads(rng["python"])
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = json.loads(rng["numpy"])
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002  # same
    torch.set_rng_state(rng["torch"])
    if rng["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(list(rng["cuda"])[: torch.cuda.device_count()])


def contiguous_like(module: nn.Module) -> dict[str, Tensor]:
    """Tensors without values of the names, shapes and dtypes of a module's, as files of weights have them."""
    # not .contiguous(): a channels_last 1x1 kernel counts as contiguous and keeps its other strides
    return {
        name: torch.empty_like(one, memory_format=torch.contiguous_format)
        for name, one in module.state_dict().items()
    }


def check_tensors(
    part: str, found: Mapping[str, Any], built: Mapping[str, Tensor], where: str
) -> None:
    """Corrupt unless `found` has the names, shapes, dtypes and strides of what was built."""
    if not isinstance(found, Mapping) or set(found) != set(built):
        raise unusable(f"the names of its {part} are not those of this model", where)
    for name, expected in built.items():
        _check_tensor(f"{part} {name}", found[name], expected, where)


def _check_tensor(name: str, found: Any, expected: Tensor, where: str) -> None:
    if not isinstance(found, Tensor):
        raise unusable(f"{name} is no tensor", where)
    ours = (expected.shape, expected.dtype, expected.stride())
    theirs = (found.shape, found.dtype, found.stride())
    if ours != theirs:
        raise unusable(f"{name} has shape, dtype, strides {theirs}, not {ours}", where)


def _check_optimizer(found: Any, optimizer: torch.optim.Optimizer, where: str) -> None:
    """Groups like those built, and for each parameter state of its shape, or single numbers."""
    built = optimizer.state_dict()
    if [(group["params"], set(group)) for group in found["param_groups"]] != [
        (group["params"], set(group)) for group in built["param_groups"]
    ]:
        raise unusable("its optimizer has other parameter groups", where)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, slots in found["state"].items():
        parameter = parameters[index]
        for name, value in slots.items():
            if isinstance(value, Tensor) and value.ndim == 0 and parameter.ndim > 0:
                continue  # the optimiser's own step count
            if isinstance(value, Tensor):
                _check_tensor(f"optimizer {index}.{name}", value, parameter, where)
            elif not isinstance(value, (int, float, type(None))):
                raise unusable(f"optimizer {index}.{name} is no tensor", where)


def unusable(what: str, where: str) -> Corrupt:
    """The fault of a checkpoint that is not to be believed."""
    return Corrupt(f"a checkpoint cannot be used: {what}", where, "The one before it is taken.")

"""Where and how to compute: device, number format, threads; and what makes a run repeatable.

`auto` is resolved once, at the first claim of a trial, and sealed in its env. Later attempts take the
sealed values or stop and say which one this machine cannot give: another number format, thread count
or processor gives other bits.
"""

import functools
import logging
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from segnets.config.train import TrainConfig
from segnets.errors import ConfigError

logger = logging.getLogger("segnets.device")

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """Device (cpu, cuda, cuda:1), number format of the forward pass, CPU threads."""

    device: str
    precision: Precision
    threads: int
    ranks: int = 1
    """Processes that share every batch, each with a device of this kind and as many threads."""
    inexact: tuple[str, ...] = ()
    """What differed from the sealed values and was allowed to, one sentence each."""

    @property
    def torch_device(self) -> torch.device:
        """The device as torch names it."""
        return torch.device(self.device)

    def env(self) -> dict[str, Any]:
        """What this machine and the settings became, for a sealed entry: JSON values only."""
        return {
            "device": self.torch_device.type,
            "precision": self.precision,
            "threads": self.threads,
            "ranks": self.ranks,
            "torch": torch.__version__.split("+")[0],
            "cpu": cpu_kind(),
            "gpu": gpu_name(self.device),
            "inexact": list(self.inexact),
        }

    def apply(self) -> None:
        """Set torch's threads and, on a GPU, its repeatable algorithms, for the whole process."""
        torch.set_num_threads(self.threads)
        if self.torch_device.type == "cuda":
            # cuBLAS reads this when it starts; without it matrix products vary from run to run
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.backends.cudnn.benchmark = False
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.cuda.set_device(self.torch_device)

    def autocast(self) -> AbstractContextManager[Any]:
        """A fresh context in which the forward pass runs in this number format."""
        return torch.autocast(
            self.torch_device.type, torch.bfloat16, enabled=self.precision == "bf16"
        )


def resolve_runtime(config: TrainConfig, sealed: Mapping[str, Any] | None = None) -> Runtime:
    """What `auto` and defaults are here; sealed values of an earlier attempt stand above them.

    Raises ConfigError for a device or number format that this machine has not, and, unless
    `allow_inexact`, where it differs from what was sealed; the sentence names each difference.
    """
    if sealed is None:
        runtime = _fresh(config)
        logger.info("computing on %s", _in_words(runtime))
        return runtime
    device = str(sealed.get("device", config.device))
    precision = str(sealed.get("precision", config.precision))
    threads = int(sealed.get("threads") or config.threads or default_threads())
    differences = []
    if device == "cuda" and not torch.cuda.is_available():
        differences.append("device: cuda before, no GPU here")
        device = "cpu"
    if precision == "bf16" and not has_bf16(device):
        differences.append(f"precision: bf16 before, {device} here has it not")
        precision = "fp32"
    runtime = Runtime(
        device=_with_index(device, config.device_index),
        precision="bf16" if precision == "bf16" else "fp32",
        threads=threads,
        ranks=config.ranks,
    )
    now = runtime.env()
    sealed = {"ranks": 1, **sealed}
    # the processor's kind decides the bits only where it computes
    kinds = ("ranks", "torch", "cpu") if device == "cpu" else ("ranks", "torch", "gpu")
    differences += [
        f"{key}: {sealed[key]} before, {now[key]} here"
        for key in kinds
        if sealed.get(key) is not None and sealed[key] != now[key]
    ]
    if differences and not config.allow_inexact:
        raise ConfigError(
            "this machine cannot go on with the same bits",
            "; ".join(differences),
            "Go on where the trial began, or pass --allow-inexact, which is recorded.",
        )
    for difference in differences:
        logger.warning("goes on inexactly, %s", difference)
    logger.info("computing on %s", _in_words(runtime))
    before = tuple(str(text) for text in sealed.get("inexact", ()))
    return Runtime(
        device=runtime.device,
        precision=runtime.precision,
        threads=runtime.threads,
        ranks=runtime.ranks,
        inexact=(*before, *differences),
    )


def runtime_to_apply(config: TrainConfig, sealed: Mapping[str, Any]) -> Runtime:
    """How to compute with a trained model: as it was trained where possible, by one process.

    Nothing is trained on from scores and masks, so those of another machine are as good as any.
    """
    return resolve_runtime(replace(config, ranks=1, allow_inexact=True), {**sealed, "ranks": 1})


def default_threads() -> int:
    """OMP_NUM_THREADS if it is set, else the cores this process may use, by affinity and cgroup."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    # a container with 2 CPUs on a machine of 64 cores sees 64: 64 threads would fight for 2
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def has_bf16(device: str) -> bool:
    """Whether the device computes bf16 itself; without that, autocast is slower than fp32."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool({"avx512_bf16", "amx_bf16"} & _cpu_flags())


def cpu_kind() -> str:
    """Vector capability that torch's kernels chose by, with what bf16 runs on: AVX512+avx512_bf16."""
    units = sorted({"avx512_bf16", "amx_bf16"} & _cpu_flags())
    return "+".join([torch.backends.cpu.get_cpu_capability(), *units])


def gpu_name(device: str) -> str | None:
    """The GPU's name, None on a CPU."""
    if torch.device(device).type != "cuda":
        return None
    return str(torch.cuda.get_device_name(torch.device(device)))


@functools.cache
def _cpu_flags() -> frozenset[str]:
    """Flags of the first processor in /proc/cpuinfo; torch's own question is private."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    match = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return frozenset(match[1].split() if match else ())


def _fresh(config: TrainConfig) -> Runtime:
    device = _device(config.device, config.device_index)
    return Runtime(
        device=device,
        precision=_precision(config.precision, device),
        threads=config.threads or default_threads(),
        ranks=config.ranks,
    )


def _device(wanted: str, index: int | None) -> str:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no GPU here", "--device cuda", "Take --device auto or cpu.")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return _with_index(wanted, index)


def _with_index(device: str, index: int | None) -> str:
    if device != "cuda" or index is None:
        return device
    if index >= torch.cuda.device_count():
        raise ConfigError(
            f"there are {torch.cuda.device_count()} GPUs here",
            f"--device-index {index}",
            "They are counted from 0.",
        )
    return f"cuda:{index}"


def _precision(wanted: str, device: str) -> Precision:
    if wanted == "fp32":
        return "fp32"
    if has_bf16(device):
        return "bf16"
    if wanted == "auto":
        return "fp32"
    raise ConfigError(
        "this machine does not compute bf16",
        f"--precision bf16 on {device}",
        "Take --precision auto or fp32.",
    )


def _in_words(runtime: Runtime) -> str:
    name = gpu_name(runtime.device) or f"{runtime.threads} CPU threads ({cpu_kind()})"
    shared = f", {runtime.ranks} ranks" if runtime.ranks > 1 else ""
    return f"{name} in {runtime.precision}{shared}"

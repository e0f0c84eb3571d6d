"""The GPUs of this machine as the driver lists them; torch is not asked, it takes seconds to load."""

import os
import subprocess
from collections.abc import Sequence

LISTED_S = 30.0
"""Seconds for nvidia-smi; a driver that is ill lets it hang."""


def visible_gpus() -> list[str]:
    """Names for CUDA_VISIBLE_DEVICES, one a GPU: the caller's choice, else all that are there.

    The instances of a GPU that is split (MIG) count as that one GPU.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in {"", "-1"}]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=LISTED_S
        )
    except (OSError, subprocess.SubprocessError):
        return []
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(lines))]


def gpus_for(device: str, ranks: int) -> list[str]:
    """CUDA_VISIBLE_DEVICES of the trials that can run side by side here; none on a CPU."""
    return [] if device == "cpu" else in_groups(visible_gpus(), ranks)


def in_groups(gpus: Sequence[str], ranks: int) -> list[str]:
    """The GPUs of one trial each, by commas; the trial itself says so where there are too few."""
    whole = len(gpus) // ranks * ranks or len(gpus)
    return [",".join(gpus[i : min(i + ranks, whole)]) for i in range(0, whole, ranks)]

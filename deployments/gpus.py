"""The GPUs of this machine: those the driver lists, and what torch makes of them."""

import os
import shutil
import subprocess
import sys

LISTED_S = 30.0
"""Seconds for nvidia-smi; a driver that is ill lets it hang."""
TORCH_S = 120.0
"""Seconds for torch to load and look; 5 on an idle machine."""

_LOOK = """
import torch
for index in range(torch.cuda.device_count()):
    found = torch.cuda.get_device_properties(index)
    torch.zeros(1, device=f"cuda:{index}")
    print(f"{found.name}, {found.total_memory / 2**30:.0f} GiB")
"""


def gpus() -> list[str]:
    """Names for CUDA_VISIBLE_DEVICES, one a worker: the caller's choice, else all that are there."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=LISTED_S
        )
    except subprocess.TimeoutExpired:
        return []
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(lines))]


def seen_by_torch() -> list[str]:
    """Name and memory of each GPU that torch can put a tensor on; RuntimeError says what it met.

    In a process of its own: torch takes seconds to load, and a broken driver may end or hang it.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOOK],
            capture_output=True,
            text=True,
            check=False,
            timeout=TORCH_S,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"torch did not answer within {TORCH_S:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"torch ended with {done.returncode}"]
        raise RuntimeError(said[-1])
    return done.stdout.splitlines()

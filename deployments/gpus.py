"""What torch makes of the GPUs of this machine."""

import subprocess
import sys

TORCH_S = 120.0
"""Seconds for torch to load and look; 5 on an idle machine."""

_LOOK = """
import torch
for index in range(torch.cuda.device_count()):
    found = torch.cuda.get_device_properties(index)
    torch.zeros(1, device=f"cuda:{index}")
    print(f"{found.name}, {found.total_memory / 2**30:.0f} GiB")
"""


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

"""The learning rate as a function of the step, so that resuming needs one integer.

Steps are counted over the whole trial, skipped ones included; a schedule knows nothing but how many
are done and how many there will be.
"""

import math
from collections.abc import Callable

POLY_POWER = 0.9  # Chen et al. 2017 (DeepLab): lr * (1 - progress) ** 0.9


def poly(progress: float) -> float:
    """Share of the peak that falls as (1 - progress)^0.9; `progress` is 0 to below 1."""
    return float((1 - progress) ** POLY_POWER)


def cosine(progress: float) -> float:
    """Share of the peak that falls along half a cosine; `progress` is 0 to below 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def constant(progress: float) -> float:
    """The peak all the way."""
    del progress
    return 1.0


def warm_up_steps(warm_up: float, total_steps: int) -> int:
    """Steps in which the rate rises: a share of all steps, rounded down, never all of them."""
    return min(int(warm_up * total_steps), total_steps - 1)


def learning_rate(
    step: int, total_steps: int, *, peak: float, schedule: str, warm_up: float
) -> float:
    """Learning rate of the update after `step` updates, 0 <= step < total_steps.

    It rises linearly over the warm-up, whose last step has the peak, and then follows the schedule;
    the very last step is still above zero.
    """
    assert 0 <= step < total_steps, (step, total_steps)
    warm = warm_up_steps(warm_up, total_steps)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * SCHEDULES[schedule]((step - warm) / (total_steps - warm))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "poly": poly,
    "cosine": cosine,
    "constant": constant,
}

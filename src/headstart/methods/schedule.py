"""The course of the learning rate: pure functions of the step.

One-cycle: Smith and Topin, Super-Convergence, 2018 (a rise by a cosine from 1/25 of the rate, then a fall by
a cosine to nearly 0). Cosine: Loshchilov and Hutter, SGDR, ICLR 2017, after a straight warm-up.
"""

from __future__ import annotations

import math

FIRST_SHARE = 1 / 25
LAST_SHARE = 1e-4


def rate_factor(step: int, n_steps: int, schedule: str, warmup: float) -> float:
    """Learning rate at `step` (0 .. n_steps - 1) as a share of the largest."""
    if schedule == "constant" and not warmup:
        return 1.0
    rising = max(1, round(warmup * n_steps)) if warmup else 0
    if step < rising:
        done = (step + 1) / rising
        if schedule == "one-cycle":
            return FIRST_SHARE + (1 - FIRST_SHARE) * (1 - math.cos(math.pi * done)) / 2
        return done
    if schedule == "constant":
        return 1.0
    done = (step + 1 - rising) / max(1, n_steps - rising)
    return LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * done)) / 2

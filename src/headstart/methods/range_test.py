"""The learning-rate range test: some steps at rising rates on a copy tell how fast training may go.

Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017 (section 3.3). The test restores
everything: network, optimiser and random state are as before.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headstart.methods import processes
from headstart.methods.loop import Diverged, Loop
from headstart.methods.training_options import TrainingOptions

LOWEST, HIGHEST = 1e-6, 1e-1
STEPS = 40
LEAST_STEPS = 10
SMOOTH = 0.8
BLOWN_UP = 3.0
SHARE = 1 / 3


@dataclass(frozen=True)
class RangeTest:
    """What a range test showed: rates, smoothed losses, and the rate to train with."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


def n_trial_steps(n_steps: int) -> int:
    """Steps of a test before a run of `n_steps`: at most a tenth of it, never less than ten."""
    return max(LEAST_STEPS, min(STEPS, n_steps // 10))


def range_test(
    make_loop: Callable[[TrainingOptions], Loop], options: TrainingOptions, *, steps: int = STEPS
) -> RangeTest:
    """Find a rate.

    Parameters
    ----------
    make_loop : callable
        Options to a loop on a copy of the network that may be spoilt.
    options : TrainingOptions
    steps : int
        Training steps of the test.

    Returns
    -------
    RangeTest
    """
    trial = copy.copy(options)
    trial.learning_rate, trial.schedule, trial.warmup, trial.ema = LOWEST, "constant", 0.0, 0.0
    trial.epochs, trial.unfreeze = 1_000_000, "at-once"
    loop = make_loop(trial)
    rates, losses, smooth = [], [], 0.0
    order = np.random.default_rng([loop.seed, 13]).permutation(loop.train.n)
    size = options.batch_size
    loop.mode(True)
    for step in range(steps):
        rows = processes.share(np.take(order, np.arange(step * size, (step + 1) * size), mode="wrap"))
        loop.rate = LOWEST * (HIGHEST / LOWEST) ** (step / max(1, steps - 1))
        before = loop.sums[0], loop.sums[2]
        try:
            loop._train_step(rows, loop.train.get(rows, 0))
        except Diverged:
            break
        total, n = processes.summed([loop.sums[0] - before[0], loop.sums[2] - before[1]])
        loss = total / n
        smooth = SMOOTH * smooth + (1 - SMOOTH) * loss
        rates.append(loop.rate)
        losses.append(smooth / (1 - SMOOTH ** (step + 1)))
        if losses[-1] > BLOWN_UP * min(losses):
            break
    return RangeTest(tuple(rates), tuple(losses), choose_rate(rates, losses))


def choose_rate(rates: list[float], losses: list[float]) -> float:
    """The rate where the smoothed loss was least, or a third of the largest that did not raise it, if that is less.

    "Raised" is above what the loss was over the first third of the test, where the rates are too small to matter.
    A fitted head starts near its least loss, so that the curve is flat and its least point says little: then the
    rise decides. Of two figures.
    """
    if not losses:
        return LOWEST
    start = float(np.median(losses[: max(1, len(losses) // 3)]))
    calm = [rate for rate, loss in zip(rates, losses, strict=True) if loss <= start]
    best = min(rates[int(np.argmin(losses))], max(calm) * SHARE)
    digits = 1 - math.floor(math.log10(best))
    return round(best, digits)

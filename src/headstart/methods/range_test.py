"""The learning-rate range test: some steps at rising rates on a copy tell how fast training may go.

Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017 (section 3.3). The test restores
everything: network, optimiser and random state are as before. Each step's loss is compared with that of the
untrained network on the same mixed batch, so that batches that are hard by chance do not sway the choice.
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
SHARE, TIMES, MUCH = 2 / 3, 3, 0.2


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
        Training steps of the test (as many forward passes of the untrained network beside them).

    Returns
    -------
    RangeTest
    """
    trial = copy.copy(options)
    trial.learning_rate, trial.schedule, trial.warmup, trial.ema = LOWEST, "constant", 0.0, 0.0
    trial.epochs, trial.unfreeze = 1_000_000, "at-once"
    loop, still = make_loop(trial), make_loop(trial)
    rates: list[float] = []
    gains: list[float] = []
    levels: list[float] = []
    smooth = 0.0
    order = np.random.default_rng([loop.seed, 13]).permutation(loop.train.n)
    size = options.batch_size
    loop.mode(True)
    still.mode(True)
    for step in range(steps):
        rows = processes.share(np.take(order, np.arange(step * size, (step + 1) * size), mode="wrap"))
        loop.rate = LOWEST * (HIGHEST / LOWEST) ** (step / max(1, steps - 1))
        batch = loop.train.get(rows, 0)
        before = loop.sums[0]
        level = still.idle_step(rows, batch) * len(rows)
        try:
            loop._train_step(rows, batch)
        except Diverged:
            break
        total, level, n = processes.summed([loop.sums[0] - before, level, len(rows)])
        smooth = SMOOTH * smooth + (1 - SMOOTH) * (total - level) / n
        rates.append(loop.rate)
        gains.append(smooth / (1 - SMOOTH ** (step + 1)))
        levels.append(level / n)
        if total > BLOWN_UP * level:
            break
    height = float(np.mean(levels)) if levels else 0.0
    losses = tuple(height + gain for gain in gains)
    return RangeTest(tuple(rates), losses, choose_rate(rates, gains, height))


def choose_rate(rates: list[float], gains: list[float], height: float) -> float:
    """Two thirds of the largest rate that did no harm; where much was gained, at most thrice the best one.

    A fitted head leaves little to gain, so that the largest gain of so few steps may lie anywhere; what does harm
    is plain. Values between a third and one were compared by the validation accuracy of whole runs.

    Parameters
    ----------
    rates : list of float
        Rising.
    gains : list of float
        Smoothed loss less that of the untrained network: below zero where training helped.
    height : float
        Loss of the untrained network.

    Returns
    -------
    float
        Of two figures.
    """
    if not gains:
        return LOWEST
    harmless = [rate for rate, gain in zip(rates, gains, strict=True) if gain <= 0]
    best = SHARE * max(harmless, default=rates[0])
    if min(gains) < -MUCH * height:
        best = min(best, TIMES * rates[int(np.argmin(gains))])
    digits = 1 - math.floor(math.log10(best))
    return round(best, digits)

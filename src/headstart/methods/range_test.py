"""The learning-rate range test: some steps at rising rates on a copy tell how fast training may go.

Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017 (section 3.3). The test restores
everything: network, optimiser and random state are as before. Each step's loss is compared with that of the
untrained network on the same mixed batch, so that batches that are hard by chance do not sway the choice; long
runs test several orders of the images and take the mean, since one order's curve moved the choice fourfold.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headstart.methods import processes
from headstart.methods.curve import Diverged
from headstart.methods.loop import Loop
from headstart.methods.training_options import TrainingOptions

LOWEST, HIGHEST = 1e-6, 1e-1
STEPS = 40
ORDERS = 3
STEPS_AN_ORDER = 250
LEAST_STEPS = 10
SMOOTH = 0.8
BLOWN_UP = 3.0
SHARE, TIMES, MUCH = 2 / 3, 3, 0.2
MOST_RATE = {"fitted": (200, 1e-4), "random": (math.inf, 3e-3)}
"""By start: steps below which the largest rate holds, and that rate, with AdamW."""


def rate_limit(n_steps: int, options: TrainingOptions, start: str) -> float | None:
    """The largest rate of a run; None where the range test alone decides.

    Few images are learned by heart at any rate that the test tries, and its steps are few. From a fitted head rates of
    0.0014 to 0.02 were found for 10 images a class, and took an accuracy of 78 % to 30 to 60 %. From random weights
    little is gained in a test's steps, so that nothing does harm: 0.008 to 0.07 were found, and networks learned nothing
    in 30 epochs, or little under one seed of two, that had 50 to 95 % at 0.003.

    Parameters
    ----------
    n_steps : int
        Of the run.
    options : TrainingOptions
    start : {"fitted", "pretrained", "random"}
        A fitted head on pretrained weights, a random head on them, or random weights.
    """
    steps, rate = MOST_RATE.get(start, (0, 0.0))
    return rate if n_steps < steps and options.optimiser == "adamw" else None


@dataclass(frozen=True)
class RangeTest:
    """What a range test showed: rates, smoothed losses, and the rate to train with."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


def n_trial_steps(n_steps: int) -> int:
    """Steps of a test before a run of `n_steps`: at most a tenth of it, never less than ten."""
    return max(LEAST_STEPS, min(STEPS, n_steps // 10))


def n_orders(n_steps: int) -> int:
    """Orders of the images that a test before a run of `n_steps` takes the mean of: one to three."""
    return max(1, min(ORDERS, n_steps // STEPS_AN_ORDER))


def range_test(
    make_loop: Callable[[TrainingOptions], Loop],
    options: TrainingOptions,
    *,
    steps: int = STEPS,
    orders: int = 1,
) -> RangeTest:
    """Find a rate.

    Parameters
    ----------
    make_loop : callable
        Options to a loop on a copy of the network that may be spoilt.
    options : TrainingOptions
    steps : int
        Training steps of the test (as many forward passes of the untrained network beside them).
    orders : int
        Orders of the images to take the mean of; each costs as much.

    Returns
    -------
    RangeTest
    """
    trial = copy.copy(options)
    trial.learning_rate, trial.schedule, trial.warmup, trial.ema = LOWEST, "constant", 0.0, 0.0
    trial.swa = 0.0
    trial.epochs, trial.unfreeze = 1_000_000, "at-once"
    found = [_one_order(make_loop, trial, steps, number) for number in range(orders)]
    n = min(len(each) for each in found)
    changes, levels = np.mean([each[:n] for each in found], axis=0).reshape(-1, 2).T
    rates, height = [_rate(step, steps) for step in range(n)], float(levels.mean()) if n else 0.0
    gains = _smoothed(changes)
    return RangeTest(tuple(rates), tuple(height + gain for gain in gains), choose_rate(rates, gains, height))


def _rate(step: int, steps: int) -> float:
    return float(LOWEST * (HIGHEST / LOWEST) ** (step / max(1, steps - 1)))


def _smoothed(changes: np.ndarray) -> list[float]:
    """A running mean, corrected for its start."""
    smooth, gains = 0.0, []
    for step, change in enumerate(changes):
        smooth = SMOOTH * smooth + (1 - SMOOTH) * float(change)
        gains.append(smooth / (1 - SMOOTH ** (step + 1)))
    return gains


def _one_order(
    make_loop: Callable[[TrainingOptions], Loop], trial: TrainingOptions, steps: int, number: int
) -> list[tuple[float, float]]:
    """(change of the loss against the untrained network's, that network's loss) of each step until it blows up."""
    loop, still = make_loop(trial), make_loop(trial)
    order = np.random.default_rng([loop.seed, 13, number]).permutation(loop.train.n)
    size = trial.batch_size
    loop.mode(True)
    still.mode(True)
    found: list[tuple[float, float]] = []
    for step in range(steps):
        whole = np.take(order, np.arange(step * size, (step + 1) * size), mode="wrap")
        rows = processes.share(whole)
        loop.rate = _rate(step, steps)
        batch = loop.train.get(rows, 0)
        before = loop.sums[0]
        n_own = len(rows) if processes.takes_part(size) else 0
        level = still.idle_step(rows, batch) * n_own
        try:
            loop._train_step(rows, batch, whole)
        except Diverged:
            break
        total, level, n = processes.summed([loop.sums[0] - before, level, n_own])
        found.append(((total - level) / n, level / n))
        if total > BLOWN_UP * level:
            break
    return found


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

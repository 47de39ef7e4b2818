"""In which order an epoch shows its images; a pure function of seed and epoch."""

from __future__ import annotations

import numpy as np

from headstart.methods.training_options import TrainingOptions, n_steps_of


def epoch_order(
    codes: np.ndarray, n_classes: int, options: TrainingOptions, seed: int, epoch: int
) -> np.ndarray:
    """Rows of an epoch.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Class numbers.
    n_classes : int
    options : TrainingOptions
        `balance` "sampling" draws classes equally; `steps_per_epoch` sets the length.
    seed, epoch : int

    Returns
    -------
    ndarray of int
        A permutation of the rows, or as many rows as the steps take.
    """
    n, given = len(codes), options.steps_per_epoch is not None
    length = n_steps_of(n, options) * options.batch_size if given else n
    draw = np.random.default_rng([seed, epoch, 1])
    if options.balance == "sampling":
        share = 1.0 / np.bincount(codes, minlength=n_classes)[codes]
        return draw.choice(n, length, p=share / share.sum())
    if not given:
        return draw.permutation(n)
    # the next stretch of one permutation after the other, so that short epochs go through all images in turn
    first, last = epoch * length, (epoch + 1) * length
    turns = range(first // n, -(-last // n))
    order = [np.random.default_rng([seed, turn, 1]).permutation(n) for turn in turns]
    return np.concatenate(order)[first - turns[0] * n :][:length]

"""Choosing regularisation on held-out images: one walk along a path, all folds in step.

A path goes from strong to weak regularisation; each solution starts from the one before (Friedman, Hastie &
Tibshirani 2010). The folds walk in step, so that the walk can end once held-out accuracy has fallen twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UsageError
from headstart.methods.calibrate import fit_temperature, nll

if TYPE_CHECKING:
    from numpy.typing import NDArray

Model = dict[str, Any]
Step = tuple[Model, "NDArray[np.float32]"]
N_WORSE_TO_STOP = 2


@dataclass(frozen=True, eq=False)
class Round:
    """Images to learn from and images to judge by: the validation split, or one inner fold."""

    features: NDArray[np.float32]
    codes: NDArray[np.int64]
    held_features: NDArray[np.float32]
    held_codes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choice:
    """The chosen value, its held-out accuracy and scores, and what every value visited gave.

    `worth` is what it was chosen by: the accuracy, weighted where images have weights. `model` is the fitted one where
    a single round judged (the validation split), else None.
    """

    value: Any
    accuracy: float
    worth: float
    scores: NDArray[np.float32]
    codes: NDArray[np.int64]
    visited: tuple[tuple[Any, float], ...]
    model: Model | None = field(repr=False, default=None)


def choose(
    walks: Sequence[Iterator[Step]],
    rounds: Sequence[Round],
    values: Sequence[Any],
    *,
    stops_early: bool,
    calibrates: bool,
    weights: NDArray[np.float32] | None = None,
) -> Choice:
    """Walk every round's path in step and take the value with the highest held-out accuracy.

    Each held-out image counts once, whatever its fold, or its weight (n,), in the order of the rounds. Ties go to the
    lower log loss (after temperature scaling where `calibrates`), weighted alike, then to the stronger
    regularisation, which comes first in `values`.
    """
    codes = np.concatenate([one.held_codes for one in rounds])
    steps: list[tuple[Any, float, float, NDArray[np.float32], Model | None]] = []
    best, n_worse = -1.0, 0
    for value in values:
        taken = [next(walk) for walk in walks]
        scores = np.concatenate([score for _, score in taken])
        right = scores.argmax(axis=1) == codes
        accuracy = float(np.mean(right))
        worth = accuracy if weights is None else round(float(np.average(right, weights=weights)), 9)
        steps.append((value, accuracy, worth, scores, taken[0][0] if len(rounds) == 1 else None))
        n_worse = n_worse + 1 if worth < best else 0
        best = max(best, worth)
        if stops_early and n_worse == N_WORSE_TO_STOP:
            break
    tied = [step for step in steps if step[2] == best]
    losses = [_loss(step[3], codes, calibrates, weights) for step in tied] if len(tied) > 1 else [0.0]
    value, accuracy, worth, scores, model = tied[int(np.argmin(losses))]
    return Choice(value, accuracy, worth, scores, codes, tuple((s[0], s[1]) for s in steps), model)


def _loss(
    scores: NDArray[np.float32],
    codes: NDArray[np.int64],
    calibrates: bool,
    weights: NDArray[np.float32] | None,
) -> float:
    loss = nll(scores, codes, fit_temperature(scores, codes) if calibrates else 1.0, weights)
    return round(loss, 6)  # differences beyond that are rounding, and the stronger one wins


def inner_folds(
    codes: NDArray[np.int64], n_folds: int, *, seed: int, groups: Sequence[Any] | None = None
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Stratified inner folds that leave every class something to learn from.

    There are as many folds as the smallest class with two images or more has images, 2 to `n_folds`; a class
    with one image is always learned from and never held out. With groups a group is never parted.

    Returns
    -------
    list of (rows to learn from, rows held out)
        Empty where every class has a single image, or all images are one group.
    """
    from headstart.images.split import k_folds

    counts = np.bincount(codes)
    if counts.max() < 2:
        return []
    usable = np.flatnonzero(counts[codes] >= 2)
    alone = np.flatnonzero(counts[codes] == 1)
    n = max(2, min(n_folds, int(counts[counts >= 2].min())))
    parts = None
    if groups is not None:
        parts = np.unique(np.asarray(groups), return_inverse=True)[1]
        n = min(n, len(np.unique(parts[usable])))
        if n < 2:
            return []
    folds = k_folds(codes[usable], n, seed=seed, groups=None if parts is None else parts[usable])
    found = []
    for train, held in folds:
        kept = alone if parts is None else alone[~np.isin(parts[alone], parts[usable[held]])]
        found.append((np.sort(np.concatenate([usable[train], kept])), usable[held]))
    return [(train, held) for train, held in found if len(held) and len(np.unique(codes[train])) > 1]


def given_folds(
    codes: NDArray[np.int64], folds: Sequence[int]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(rows to learn from, rows held out) of each given inner fold; one whose rest has a single class is left out.

    Raises
    ------
    UsageError
        Not one fold a row.
    """
    of_row = np.asarray(folds)
    if of_row.shape != codes.shape:
        raise UsageError(f"folds: one a row is needed ({len(codes)}); got an array of shape {of_row.shape}")
    found = [(np.flatnonzero(of_row != fold), np.flatnonzero(of_row == fold)) for fold in np.unique(of_row)]
    return [(train, held) for train, held in found if len(np.unique(codes[train])) > 1]

"""Metrics of an output that is a number: errors in its own unit, shares of variance, order, calibration.

A number is calibrated where the truth rises by one as the answer does (slope) and neither lies above the other on
the whole (bias).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.intervals import bootstrapped
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

METRICS = ("mae", "rmse", "r2", "spearman", "slope", "bias")


@dataclass(frozen=True)
class NumberScores:
    """What a test set says of an output that is a number: images, and a score a name in `METRICS`.

    r2 is absent where the truth is one number; spearman and slope where truth or answers are.
    """

    n: int
    scores: dict[str, Score]


def evaluate_number(y_true: ArrayLike, y_said: ArrayLike, *, seed: int = 0) -> NumberScores:
    """All metrics of numbers, with 95 % bootstrap intervals over the images.

    mae and rmse: mean absolute and root mean squared error, in the unit of the truth. r2: share of the variance that
    is explained; below 0 where the mean of the truth would do better. spearman: correlation of ranks, ties at their
    mean. slope: of the truth on the answers, 1 where they are calibrated. bias: mean of answer minus truth.

    Parameters
    ----------
    y_true, y_said : array of float, shape (n,)
    seed : int
        Of the bootstrap.

    Raises
    ------
    UsageError
        No images, shapes that do not agree, values that are not finite.

    Examples
    --------
    >>> found = evaluate_number([1.0, 2.0, 3.0], [1.5, 2.5, 3.5])
    >>> found.scores["mae"].value, found.scores["spearman"].value
    (0.5, 1.0)
    """
    true, said = np.asarray(y_true, dtype=np.float64), np.asarray(y_said, dtype=np.float64)
    if true.ndim != 1 or true.shape != said.shape or not len(true):
        raise UsageError(f"n numbers and n answers are needed; got shapes {true.shape} and {said.shape}")
    if not (np.isfinite(true).all() and np.isfinite(said).all()):
        raise UsageError("numbers must be finite; leave images without a number out")
    orders = _groups(true), _groups(said)
    scores = bootstrapped(
        lambda weight: {**_errors(true, said, weight), "spearman": _spearman(orders, weight)},
        len(true), seed=seed,
    )  # fmt: skip
    return NumberScores(len(true), {name: scores[name] for name in METRICS if name in scores})


def _errors(true: Floats, said: Floats, weight: Floats) -> dict[str, Floats]:
    n, error = weight.sum(axis=1), said - true
    centre, middle = true.mean(), said.mean()  # shifted, so that large numbers lose no digits
    t, s = true - centre, said - middle
    squares = weight @ error**2
    spread = weight @ t**2 - (weight @ t) ** 2 / n
    said_spread = weight @ s**2 - (weight @ s) ** 2 / n
    together = weight @ (t * s) - (weight @ t) * (weight @ s) / n
    return {
        "mae": weight @ np.abs(error) / n,
        "rmse": np.sqrt(squares / n),
        "r2": 1 - _share(squares, spread, t),
        "slope": _share(together, said_spread, s),
        "bias": weight @ error / n,
    }


def _share(part: Floats, whole: Floats, values: Floats) -> Floats:
    """Part of a spread; NaN where there is none but for rounding."""
    usable = whole > 1e-12 * max(float(values @ values), 1e-300)
    return np.asarray(np.where(usable, part / np.where(usable, whole, 1.0), np.nan), dtype=np.float64)


def _groups(values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows by rising value, the first place of each run of equal ones, and the run of each row."""
    order = np.argsort(values, kind="stable")
    _, first, group = np.unique(values[order], return_index=True, return_inverse=True)
    of_row = np.empty(len(values), dtype=np.int64)
    of_row[order] = group
    return order, first, of_row


def _spearman(
    orders: tuple[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], ...], weight: Floats
) -> Floats:
    """Pearson's correlation of the mean ranks on each of b draws."""
    x, y = (_ranks(order, weight) for order in orders)
    n = weight.sum(axis=1, keepdims=True)
    x, y = x - (n + 1) / 2, y - (n + 1) / 2
    spread = np.sqrt((weight * x**2).sum(axis=1) * (weight * y**2).sum(axis=1))
    usable = spread > 1e-9
    return np.asarray(
        np.where(usable, (weight * x * y).sum(axis=1) / np.where(usable, spread, 1.0), np.nan),
        dtype=np.float64,
    )


def _ranks(order: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], weight: Floats) -> Floats:
    rows, first, of_row = order
    held = np.add.reduceat(weight[:, rows], first, axis=1)
    middle = np.cumsum(held, axis=1) - (held - 1) / 2
    return np.asarray(middle[:, of_row], dtype=np.float64)

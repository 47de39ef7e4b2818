"""What the model would say, from the labels so far: a head on features that are there already, so it is instant.

Linear discriminant analysis with a shrunk covariance, chosen and calibrated on inner folds; with many classes
the nearest class mean, whose cost does not grow with their square (Mensink et al. 2013).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.events import unheard
from headstart.methods.heads import make_head

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.methods.heads_base import Head

MANY_CLASSES = 100
FEW, FOLDS = 400, 3
MOST_HELD, HELD_CELLS = 600, 60_000
CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class Guesses:
    """What the model says of some images.

    Attributes
    ----------
    codes : int (n,)
        Likeliest class, a row of `Suggester.classes`.
    confidence : float32 (n,)
        Its probability, 0..1.
    margin : float32 (n,)
        Probability of the likeliest class less that of the next, 0..1: small where the model is unsure.
    """

    codes: NDArray[np.int64]
    confidence: NDArray[np.float32]
    margin: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Suggester:
    """A fitted head and how it came about.

    Attributes
    ----------
    head : Head
    classes : tuple of str
        Those that have a label.
    n : int
        Labels it was fitted on.
    calibrated : bool
        Whether some labels could be held out to bring confidence in line with how often it is right.
    seconds : float
        Of the fit, wall-clock.
    """

    head: Head
    classes: tuple[str, ...]
    n: int
    calibrated: bool
    seconds: float

    def guess(self, points: NDArray[np.float32]) -> Guesses:
        """What the model says of images at `points` (n, d)."""
        step = max(1, CELLS_AT_ONCE // len(self.classes))
        parts = [
            _best_two(self.head.predict_proba(points[at : at + step])) for at in range(0, len(points), step)
        ]
        if not parts:
            nothing = np.zeros(0, np.float32)
            return Guesses(np.zeros(0, np.int64), nothing, nothing)
        codes, best, margin = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Guesses(codes, best, margin)


def fit_suggester(points: NDArray[np.float32], labels: Sequence[str]) -> Suggester | None:
    """A model of the labels so far.

    Parameters
    ----------
    points : float32 (n, d)
        Features of the labelled images.
    labels : sequence of str, length n

    Returns
    -------
    Suggester or None
        None while fewer than two classes have a label.
    """
    known = np.asarray(labels, dtype=object)
    names, codes, counts = np.unique(known.astype(str), return_inverse=True, return_counts=True)
    if len(names) < 2:
        return None
    start = time.perf_counter()
    head = make_head("lda" if len(names) <= MANY_CLASSES else "nearest_mean")
    with unheard():  # whether it could be calibrated is part of the result
        out = _held_out(codes, len(names))
        if len(codes) < FEW or not out.any():
            head.fit(points, codes, n_folds=FOLDS)
        else:
            head.fit(points[~out], codes[~out], validation=(points[out], codes[out]), refit=True)
    calibrated = bool(counts.min() >= 2) and not head.selected_on_.startswith("nothing")
    return Suggester(head, tuple(map(str, names)), len(known), calibrated, time.perf_counter() - start)


def _held_out(codes: NDArray[np.int64], n_classes: int) -> NDArray[np.bool_]:
    """Labels that the model is chosen and calibrated on before it is fitted on all: a fixed random part.

    The first image of each class stays, so that no class is missing from the fit.
    """
    n = len(codes)
    size = min(n // 4, MOST_HELD, max(100, HELD_CELLS // n_classes))
    out = np.zeros(n, bool)
    out[np.random.default_rng(0).choice(n, size, replace=False)] = True
    out[np.unique(codes, return_index=True)[1]] = False
    return out


def _best_two(
    probabilities: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    top = np.argpartition(probabilities, -2, axis=1)[:, -2:]
    shares = np.take_along_axis(probabilities, top, axis=1)
    first = shares.argmax(axis=1)
    every = np.arange(len(top))
    return top[every, first], shares[every, first], np.abs(shares[:, 1] - shares[:, 0])

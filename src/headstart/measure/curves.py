"""Learning curves: accuracy against images a class, with a fitted law and what it says of larger numbers.

The error falls as an inverse power of the images down to a floor, error = a n^-b + c (Cortes et al. 1993,
Learning curves: asymptotic values and rate of convergence; Hestness et al. 2017, arXiv:1712.00409); an
exponential fall is kept where it foretells the last point better. Bands are of the law of the means over seeds: the
law is fitted again to means that are shifted by what the seeds leave open. They hold if the law does, and know nothing
of other laws, of single runs, or of test images that no seed tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.curve_fit import EXPONENTIAL, LAWS, POWER, fit_all, fit_one, shape
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

N_DRAWS = 2000
REACH = 4.0
"""How many times the largest measured number of images a law is asked for."""
LEAST_SPREAD = 1e-3
PRIOR = 4
"""Degrees of freedom that the variance of all sizes counts for in that of one size."""


@dataclass(frozen=True)
class CurvePoint:
    """A measured point of a learning curve.

    Attributes
    ----------
    n : float
        Training images a class.
    mean : float
        Score, its mean over seeds; 0 to 1.
    spread : float
        Standard deviation over seeds; 0 for a single seed.
    n_seeds : int
    """

    n: float
    mean: float
    spread: float
    n_seeds: int


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Measured points and the law score = 1 - (a n^-b + c), or 1 - (a exp(-b n) + c).

    Attributes
    ----------
    name : str
    points : tuple of CurvePoint
        By rising n.
    law : {"inverse power", "exponential"}
    a, b, c : float
        `c` is the error that no number of images takes away: a >= 0, b > 0, 0 <= c <= 1.
    misses : dict of str to float
        By how much each law misses the last point when fitted on the others; empty for three points.
    draws : ndarray, shape (3, n_draws)
        a, b and c of the law fitted to each draw of shifted means; what they span is the band.
    """

    name: str
    points: tuple[CurvePoint, ...]
    law: str
    a: float
    b: float
    c: float
    misses: dict[str, float]
    draws: Floats

    @property
    def ceiling(self) -> float:
        """The score that the law approaches."""
        return 1 - self.c

    @property
    def measured(self) -> tuple[float, float]:
        """Smallest and largest measured number of images a class."""
        return self.points[0].n, self.points[-1].n

    def at(self, n: ArrayLike) -> Floats:
        """The law's scores at any numbers of images, no questions asked."""
        return scores_at(self.law, np.array([self.a, self.b, self.c]), np.asarray(n, dtype=np.float64))

    def draws_at(self, n: ArrayLike) -> Floats:
        """The law's scores of every draw, shape (n_draws, len(n))."""
        return scores_at(self.law, self.draws[:, :, None], np.atleast_1d(np.asarray(n, dtype=np.float64)))

    def predict(self, n: float) -> Score | CannotTell:
        """The score at `n` images a class with its 95 % interval (of the mean over seeds, not of one run).

        Few seeds say little of their own spread: in simulated curves of five sizes and three or five seeds the
        interval held the truth in 87 to 94 of 100, not in 95.

        `CannotTell` beyond four times the largest measured number, and below the smallest.

        Raises
        ------
        UsageError
            `n` is not above 0.
        """
        if not n > 0:
            raise UsageError(f"n: images a class, above 0; got {n}")
        least, most = self.measured
        if not least <= n <= REACH * most:
            return CannotTell(
                f"{n:g} images a class lie outside {least:g} to {REACH * most:g}, for which {least:g} to "
                f"{most:g} measured images speak"
            )
        value = float(self.at(n))
        low, high = np.quantile(self.draws_at(n)[:, 0], [0.025, 0.975])
        seeds = min(point.n_seeds for point in self.points)
        low, high = max(0.0, min(value, float(low))), min(1.0, max(value, float(high)))
        return Score(value, low, high, n=len(self.points), n_seeds=seeds)


def scores_at(law: str, abc: Floats, n: Floats) -> Floats:
    """Scores of a law with parameters (3, ...) at numbers of images, clipped to 0 .. 1."""
    return np.asarray(np.clip(1 - abc[0] * shape(law, n, abc[1]) - abc[2], 0.0, 1.0), dtype=np.float64)


def learning_curve(
    name: str, sizes: ArrayLike, scores: Sequence[ArrayLike], generator: np.random.Generator, *,
    n_draws: int = N_DRAWS,
) -> LearningCurve | CannotTell:  # fmt: skip
    """Fit a law to the scores of several seeds at several training sizes.

    The variance at a size is drawn towards that of all sizes, as if by four more degrees of freedom: that of
    two or three seeds alone is hardly known. Points are weighted by one over it, and the draws of the band shift each
    point's mean by its standard error times Student's t with as many degrees of freedom as all seeds leave.

    Parameters
    ----------
    name : str
    sizes : array of float, shape (s,)
        Training images a class, no size twice, all above 0.
    scores : sequence of array of float, shape (n_seeds,)
        Scores of the seeds at each size, 0 to 1; the seeds need not be equally many.
    generator : numpy Generator
    n_draws : int

    Returns
    -------
    LearningCurve or CannotTell
        `CannotTell` for fewer than three sizes, and where no size has two seeds.

    Raises
    ------
    UsageError
        Sizes and scores that do not agree, scores outside 0 to 1, fewer than 100 draws.
    """
    if n_draws < 100:
        raise UsageError(f"n_draws: at least 100 are needed for a band, got {n_draws}")
    points = _points(sizes, scores)
    if len(points) < 3:
        return CannotTell(f"a law needs three training sizes or more; {len(points)} were measured")
    degrees = sum(point.n_seeds - 1 for point in points)
    if degrees == 0:
        return CannotTell("every size was run with one seed, so the spread over seeds is not known")
    n, errors = np.array([p.n for p in points]), np.array([1 - p.mean for p in points])
    deviation = _standard_errors(points, degrees)
    weights = 1 / deviation**2
    misses = _misses(n, errors, weights)
    law = _chosen(misses, float(deviation[-1]))
    drawn = np.clip(errors + deviation * _shifts(generator, n_draws, len(n), degrees), 0.0, 1.0)
    a, b, c = (float(value) for value in fit_one(law, n, errors, weights))
    return LearningCurve(name, points, law, a, b, c, misses, fit_all(law, n, drawn, weights))


def _shifts(generator: np.random.Generator, n_draws: int, n_sizes: int, degrees: int) -> Floats:
    """Student's t of all sizes together: one common scale a draw."""
    scale = np.sqrt(degrees / generator.chisquare(degrees, size=(n_draws, 1)))
    return np.asarray(generator.normal(size=(n_draws, n_sizes)) * scale, dtype=np.float64)


def _standard_errors(points: Sequence[CurvePoint], degrees: int) -> Floats:
    pooled = sum((p.n_seeds - 1) * p.spread**2 for p in points) / degrees
    own, known = np.array([p.spread**2 for p in points]), np.array([p.n_seeds - 1 for p in points])
    variance = np.maximum((known * own + PRIOR * pooled) / (known + PRIOR), LEAST_SPREAD**2)
    return np.asarray(np.sqrt(variance / np.array([p.n_seeds for p in points])), dtype=np.float64)


def _misses(n: Floats, errors: Floats, weights: Floats) -> dict[str, float]:
    """How far each law, fitted without the last point, misses it; nothing where three points are all."""
    if len(n) < 4:
        return {}
    found = {}
    for law in LAWS:
        a, b, c = fit_one(law, n[:-1], errors[:-1], weights[:-1])
        found[law] = abs(float(a * shape(law, n[-1:], np.array([b]))[0] + c - errors[-1]))
    return found


def _chosen(misses: dict[str, float], noise: float) -> str:
    """The inverse power, unless the exponential foretells the last point better by more than its noise."""
    return EXPONENTIAL if misses and misses[EXPONENTIAL] < misses[POWER] - 2 * noise else POWER


def _points(sizes: ArrayLike, scores: Sequence[ArrayLike]) -> tuple[CurvePoint, ...]:
    n, each = np.asarray(sizes, dtype=np.float64), [np.asarray(s, dtype=np.float64) for s in scores]
    if n.ndim != 1 or len(n) != len(each) or len(n) == 0 or any(s.ndim != 1 or len(s) == 0 for s in each):
        raise UsageError("every training size needs a flat list of scores, one a seed")
    if not (np.isfinite(n).all() and (n > 0).all()) or len(set(n.tolist())) < len(n):
        raise UsageError(f"training sizes must be above 0, none twice; got {n.tolist()}")
    if not all(((s >= 0) & (s <= 1)).all() for s in each):
        raise UsageError("scores must be numbers between 0 and 1")
    order = np.argsort(n)
    return tuple(
        CurvePoint(
            n=float(n[i]), mean=float(each[i].mean()), n_seeds=len(each[i]),
            spread=float(each[i].std(ddof=1)) if len(each[i]) > 1 else 0.0,
        )
        for i in order
    )  # fmt: skip

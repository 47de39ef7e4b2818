"""A mean effect over datasets, with an error that knows of the spread between them.

Each dataset counts alike (random effects with equal weights, the variance between datasets by moments). From three
datasets on the mean is judged as Hartung and Knapp do: t with one degree less than there are datasets, here never
narrower than the noise inside them allows. Two datasets show no spread worth the name: their noise alone judges,
unless they differ by more than it; then the difference judges, on its one degree of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ALPHA = 0.05
Part = tuple[float, float]
"""A variance and its degrees of freedom."""


@dataclass(frozen=True)
class Pooled:
    """A mean over datasets.

    Attributes
    ----------
    value, error, degrees : float
        The mean, its standard error, and the degrees of freedom of t.
    between : float or None
        Standard deviation of the true effects between datasets, 0 where noise explains all; None of one dataset.
    differ_p : float or None
        Of the test that all datasets have the same effect; None of one dataset.
    """

    value: float
    error: float
    degrees: float
    between: float | None = None
    differ_p: float | None = None


def pooled(values: Sequence[float], noise: Sequence[Sequence[Part]]) -> Pooled:
    """The mean of one value a dataset.

    Parameters
    ----------
    values : sequence of float, shape (n,)
    noise : sequence of sequence of (variance, degrees of freedom)
        Independent parts of the variance of each value, with their degrees of freedom (Satterthwaite); parts
        without degrees are left out. The variance of each value is above 0.

    Examples
    --------
    >>> pooled([0.02, 0.03, 0.04], [[(0.0001, 50.0)]] * 3).degrees
    2.0
    """
    n = len(values)
    parts = [[part for part in each if part[1] > 0] for each in noise]
    inside = [sum(variance for variance, _ in each) for each in parts]
    total = sum(inside)
    degrees = total**2 / sum(variance**2 / free for each in parts for variance, free in each)
    mean = math.fsum(values) / n
    if n == 1:
        return Pooled(mean, math.sqrt(total), degrees)
    spread = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    between = max(0.0, spread - total / n)
    differ_p = _differ_p(values, inside, degrees)
    if n == 2 and differ_p >= ALPHA:
        return Pooled(mean, math.sqrt(total) / n, degrees, math.sqrt(between), differ_p)
    return Pooled(mean, math.sqrt((between + total / n) / n), n - 1.0, math.sqrt(between), differ_p)


def _differ_p(values: Sequence[float], inside: Sequence[float], degrees: float) -> float:
    """Of Cochran's Q, against F where the noise itself is estimated (for two values this is Welch's t test)."""
    from scipy.stats import f

    weights = [1 / variance for variance in inside]
    centre = sum(w * value for w, value in zip(weights, values, strict=True)) / sum(weights)
    q = sum(w * (value - centre) ** 2 for w, value in zip(weights, values, strict=True))
    return float(f.sf(q / (len(values) - 1), len(values) - 1, degrees))

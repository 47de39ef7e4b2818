"""How much a method loses under a change of the images: the drop with its interval, paired where it can be.

On the same images clean and changed each image is its own control: Student's t over images; where all are alike
the bound that Clopper and Pearson (1934) give for what was not seen. On other images the
two proportions are independent: Newcombe's interval from Wilson's (1998, Statistics in Medicine 17:873, method 10).
Mean corruption error: Hendrycks and Dietterich 2019, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def mean_share(shares: ArrayLike) -> Score:
    """Mean over images of each one's share of right answers (0..1), with Student's 95 % interval over images."""
    values = np.asarray(shares, dtype=np.float64)
    return _clipped(_over_images(values), 0.0)


def paired_drop(before: ArrayLike, after: ArrayLike) -> Score:
    """Accuracy lost from `before` to `after` on the same images, with its 95 % interval.

    Parameters
    ----------
    before, after : array of float, shape (n,)
        Share of right answers on each image, 0..1.

    Returns
    -------
    Score
        Positive where something is lost; -1..1.

    Examples
    --------
    >>> round(paired_drop([1, 1, 1, 0], [1, 0, 0.5, 0]).value, 3)
    0.375
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise UsageError(f"the same images before and after are needed; got {first.shape} and {second.shape}")
    return _clipped(_over_images(first - second), -1.0)


def unpaired_drop(before: Score, after: Score) -> Score:
    """Accuracy lost between two sets of different images, from the two scores and their intervals.

    Examples
    --------
    >>> from headstart.measure.values import Score
    >>> drop = unpaired_drop(Score(0.9, 0.85, 0.93, 200), Score(0.7, 0.62, 0.77, 100))
    >>> round(drop.value, 2), drop.low > 0.1, drop.high < 0.3
    (0.2, True, True)
    """
    value = before.value - after.value
    low = value - math.hypot(before.value - before.low, after.high - after.value)
    high = value + math.hypot(before.high - before.value, after.value - after.low)
    return Score(value, max(-1.0, low), min(1.0, high), min(before.n, after.n))


def mean_corruption_error(accuracy: Mapping[str, float], baseline: Mapping[str, float]) -> float | None:
    """Mean over corruptions of a method's errors over the baseline's, summed over severities; 1 is as the baseline.

    Parameters
    ----------
    accuracy, baseline : mapping of "corruption/severity" to accuracy in 0..1
        Under the same conditions.

    Returns
    -------
    float or None
        None where the baseline makes no error under any corruption.
    """
    errors: dict[str, list[float]] = {}
    for condition, value in accuracy.items():
        both = errors.setdefault(condition.rpartition("/")[0], [0.0, 0.0])
        both[0] += 1 - value
        both[1] += 1 - baseline[condition]
    ratios = [own / other for own, other in errors.values() if other > 0]
    return sum(ratios) / len(ratios) if ratios else None


def _over_images(values: np.ndarray) -> Score:
    from scipy.stats import t

    n, mean = len(values), float(values.mean())
    if n < 2:
        return Score(mean, -1.0, 1.0, n)
    spread = float(values.std(ddof=1))
    half = float(t.ppf(0.975, n - 1)) * spread / math.sqrt(n)
    if (
        spread <= 1e-12
    ):  # all alike: as many as a share of 1 - 0.025**(1/n) may still be otherwise (Clopper, Pearson)
        half = 1 - 0.025 ** (1 / n)
    return Score(mean, mean - half, mean + half, n)


def _clipped(score: Score, low: float) -> Score:
    return Score(score.value, max(low, score.low), min(1.0, score.high), score.n)

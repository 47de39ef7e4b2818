"""Two methods over repeated splits of one data set: the corrected resampled t-test and its Bayesian reading.

Training sets of different splits share images, so the scores are not independent and the plain t-test claims
too much. Nadeau and Bengio (2003, Machine Learning 52) replace 1/J by 1/J + n_test/n_train in its variance;
Corani and Benavoli (2015, Machine Learning 100) show that the posterior is the same Student distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.intervals import BOUNDS
from headstart.measure.paired import Difference, checked_level
from headstart.measure.posterior import Posterior
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

CORRECTED_T = "corrected resampled t-test"
CORRELATED_T = "Bayesian correlated t-test"


def corrected_t(
    scores_a: ArrayLike, scores_b: ArrayLike, *, test_over_train: float, level: float = 0.95
) -> Difference | CannotTell:
    """Difference of two methods over k folds times r repeats, or over repeated random splits.

    Parameters
    ----------
    scores_a, scores_b : array of float, shape (n_splits,)
        Scores of both methods on the same splits.
    test_over_train : float
        Test images over training images of one split: 1 / (k - 1) for k folds, 0.25 for 80 and 20 per cent.
    level : float
        Confidence of the interval.

    Returns
    -------
    Difference or CannotTell
        `CannotTell` for a single split, and where every split gives the same difference.

    Raises
    ------
    UsageError
        Scores that are not pairs of finite numbers, a ratio that is not positive, a level outside 0 to 1.

    Examples
    --------
    >>> found = corrected_t([0.80, 0.84, 0.82], [0.75, 0.77, 0.79], test_over_train=0.5)
    >>> round(found.value, 3), round(found.p, 3)
    (0.05, 0.111)
    """
    from scipy.stats import t

    checked_level(level)
    differences = _differences(scores_a, scores_b, test_over_train)
    found = _student(differences, test_over_train)
    if isinstance(found, CannotTell):
        return found
    mean, error, degrees = found
    half = float(t.isf((1 - level) / 2, degrees)) * error
    return Difference(
        value=mean, low=mean - half, high=mean + half,
        p=2 * float(t.sf(abs(mean) / error, degrees)), level=level, test=CORRECTED_T,
        n=len(differences), n_differ=int((differences != 0).sum()), standard_error=error, degrees=degrees,
    )  # fmt: skip


def correlated_t(
    scores_a: ArrayLike, scores_b: ArrayLike, *, test_over_train: float, rope: float = 0.01
) -> Posterior | CannotTell:
    """How likely a is better, both do practically the same, b is better, given scores over the same splits.

    Parameters
    ----------
    scores_a, scores_b, test_over_train
        As in `corrected_t`.
    rope : float
        Largest difference that does not matter; 0.01 is one point of accuracy.

    Raises
    ------
    UsageError
        As `corrected_t`; a negative rope.
    """
    from scipy.stats import t

    check_rope(rope)
    found = _student(_differences(scores_a, scores_b, test_over_train), test_over_train)
    if isinstance(found, CannotTell):
        return found
    mean, error, degrees = found
    below, above = (float(t.sf((rope + side * mean) / error, degrees)) for side in (1, -1))
    return Posterior(above, max(0.0, 1 - above - below), below, rope, CORRELATED_T)


def over_folds(scores: Sequence[Score], *, test_over_train: float, metric: str = "") -> Score:
    """Mean over the folds of one data set, with the corrected resampled interval: training sets share images.

    Student's t over folds with the variance of Nadeau and Bengio (1/k + n_test/n_train in place of 1/k); never
    narrower than the images alone make it, which the folds, all different, share out.

    Parameters
    ----------
    scores : sequence of Score
        One a fold.
    test_over_train : float
        Test images over training images of one fold: 1 / (k - 1).
    metric : str
        Name of the metric: its interval is clipped to what it can be, as `over_seeds` clips it.

    Returns
    -------
    Score
        n is the number of all tested images.

    Examples
    --------
    >>> from headstart.measure.values import Score
    >>> found = over_folds([Score(0.8, 0.7, 0.9, 50), Score(0.9, 0.8, 1.0, 50)], test_over_train=1.0)
    >>> round(found.value, 2), found.n, found.n_seeds
    (0.85, 100, 2)
    """
    if len(scores) == 1:
        return scores[0]
    from scipy.stats import t

    k = len(scores)
    values = np.array([score.value for score in scores])
    error = float(values.std(ddof=1)) * math.sqrt(1 / k + test_over_train)
    half = float(t.ppf(0.975, k - 1)) * error
    images = float(np.mean([score.high - score.low for score in scores])) / 2 / math.sqrt(k)
    half, mean = max(half, images), float(values.mean())
    least, most = BOUNDS.get(metric, (0.0, math.inf if any(score.high > 1 for score in scores) else 1.0))
    return Score(mean, max(least, mean - half), min(most, mean + half), sum(score.n for score in scores), k)


def check_rope(rope: float) -> None:
    """Refuse a region of practical equivalence that is none."""
    if not 0 <= rope < math.inf:
        raise UsageError(f"rope: the largest difference that does not matter, 0 or more; got {rope}")


def _student(differences: Floats, ratio: float) -> tuple[float, float, float] | CannotTell:
    """Mean, standard error and degrees of freedom."""
    n = len(differences)
    if n < 2:
        return CannotTell("one split shows no spread over splits; two or more are needed")
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread <= 1e-12:
        return CannotTell(f"all {n} splits give the same difference, so its spread over splits is not known")
    return mean, spread * math.sqrt(1 / n + ratio), n - 1.0


def _differences(scores_a: ArrayLike, scores_b: ArrayLike, ratio: float) -> Floats:
    a, b = np.asarray(scores_a, dtype=np.float64), np.asarray(scores_b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0:
        raise UsageError(f"scores of both methods on the same splits are needed; got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise UsageError("scores hold NaN or infinity; leave out splits that failed, for both methods")
    if not 0 < ratio < math.inf:
        raise UsageError(f"test_over_train: test images over training images, above 0; got {ratio}")
    return a - b

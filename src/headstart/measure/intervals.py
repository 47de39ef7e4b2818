"""95 % intervals: over test images (Wilson, bootstrap) and over images and seeds together.

Accuracy is a proportion and gets the score interval of Wilson (1927, JASA 22). What is no proportion (macro
averages, log loss, calibration error) gets the bootstrap percentile interval (Efron & Tibshirani 1993,
ch. 13): images are drawn with replacement, all metrics from the same draws. Seeds: see `over_seeds`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z_95 = 1.959963984540054
N_RESAMPLES = 1000
DRAWS_AT_ONCE = 1 << 21  # image draws held at one time: bounds the memory on large test sets
BOUNDS = {
    **dict.fromkeys(("log_loss", "mae", "rmse", "mae_levels"), (0.0, math.inf)),
    **dict.fromkeys(("kappa", "spearman", "drop"), (-1.0, 1.0)),
    **dict.fromkeys(("slope", "bias"), (-math.inf, math.inf)),
    "r2": (-math.inf, 1.0),
}
"""Least and largest value of metrics that do not lie between 0 and 1."""
UNBOUNDED_ABOVE = frozenset(name for name, (_, high) in BOUNDS.items() if math.isinf(high))


def wilson(k: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Score interval of the proportion `k` of `n` (Wilson 1927), at 95 % where `z` is left alone.

    Parameters
    ----------
    k : int
        Successes, 0 to `n`.
    n : int
        Cases, at least 1.
    z : float
        Standard errors to either end.

    Returns
    -------
    low, high : float
        Between 0 and 1, never of zero width.

    Raises
    ------
    UsageError
        `n` below 1 or `k` outside 0 to `n`.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    if n < 1 or not 0 <= k <= n:
        raise UsageError(f"a proportion needs n of at least 1 and k from 0 to n; got k = {k}, n = {n}")
    middle, half = _wilson(k / n, n, z)
    return (0.0 if k == 0 else max(0.0, middle - half)), (1.0 if k == n else min(1.0, middle + half))


def _wilson(share: float, n: int, z: float) -> tuple[float, float]:
    """Middle and half width of the score interval."""
    z2 = z * z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    return middle, z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))


def less_one_error(score: float, n: int) -> float:
    """The lower end of the score interval at one standard error: what a score by few images is worth in a choice.

    Of equally many images the order of scores stays as it is; a score by fewer stands back. Any mean of values between
    0 and 1 varies at most as a proportion does. A score below 0 (an R2) stays as it is.

    Parameters
    ----------
    score : float
        At most 1.
    n : int
        Images behind it, at least 1.

    Examples
    --------
    >>> [round(less_one_error(score, n), 3) for score, n in ((1.0, 4), (0.9, 400))]
    [0.8, 0.884]
    """
    if score <= 0:
        return score
    middle, half = _wilson(min(score, 1.0), n, 1.0)
    return max(0.0, middle - half)


def resamples(n: int, *, seed: int, n_resamples: int = N_RESAMPLES) -> Iterator[NDArray[np.int64]]:
    """Rows drawn with replacement, in blocks of shape (b, n) whose b add up to `n_resamples`."""
    generator = np.random.default_rng(seed)
    block = max(1, min(n_resamples, DRAWS_AT_ONCE // n))
    for start in range(0, n_resamples, block):
        yield generator.integers(0, n, size=(min(block, n_resamples - start), n))


def percentile_interval(
    value: float,
    draws: NDArray[np.float64],
    *,
    centred: bool = False,
    low: float = 0.0,
    high: float = 1.0,
) -> tuple[float, float]:
    """2.5 and 97.5 percentiles of bootstrap draws of a metric, clipped to `low` .. `high`.

    Parameters
    ----------
    value : float
        The metric on the whole test set; the interval always holds it.
    draws : ndarray of float, shape (n_resamples,)
        The metric on each resample.
    centred : bool
        Take the bootstrap's estimate of the metric's bias off first. The calibration error needs it: a
        resample repeats images, which adds noise inside the bins, and noise only ever adds to an absolute
        difference, so that its plain percentiles can lie wholly above the value.
    low, high : float
        Least and largest value that the metric can take.
    """
    shift = value - float(draws.mean()) if centred else 0.0
    ends = np.quantile(draws, [0.025, 0.975]) + shift
    return max(low, min(value, float(ends[0]))), min(high, max(value, float(ends[1])))


def bootstrapped(
    of: Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]], n: int, *, seed: int = 0,
    centred: Collection[str] = ("ece",),
) -> dict[str, Score]:  # fmt: skip
    """Metrics of n images with bootstrap percentile intervals, all from the same 1,000 draws.

    Parameters
    ----------
    of : callable
        From how often each image counts, shape (b, n), to each metric, shape (b,); NaN where it has no value.
    n : int
    seed : int
    centred : collection of str
        Metrics whose interval is freed of the bootstrap's bias (see `percentile_interval`).

    Returns
    -------
    dict of str to Score
        Metrics without a value on the images themselves are left out; draws without one say nothing.
    """
    values = {name: float(value[0]) for name, value in of(np.ones((1, n))).items()}
    blocks = [of(_counts(rows)) for rows in resamples(n, seed=seed)]
    scores = {}
    for name, value in values.items():
        if not math.isfinite(value):
            continue
        draws = np.concatenate([block[name] for block in blocks])
        low, high = BOUNDS.get(name, (0.0, 1.0))
        kept = draws[np.isfinite(draws)]
        if len(kept):
            low, high = percentile_interval(value, kept, centred=name in centred, low=low, high=high)
        scores[name] = Score(value, low, high, n)
    return scores


def _counts(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often each of n images is in each draw; rows (b, n) to counts (b, n)."""
    b, n = rows.shape
    flat = (np.arange(b)[:, None] * n + rows).ravel()
    return np.bincount(flat, minlength=b * n).reshape(b, n).astype(np.float64)


def over_seeds(scores: Sequence[Score], *, metric: str = "") -> Score:
    r"""Mean over seeds, with an interval for both the choice of test images and the seed.

    Writing :math:`v_i, l_i, h_i` for the values and interval ends of m seeds, S for the sample standard
    deviation of the values and t for the 97.5 % quantile of Student's t with m - 1 degrees of freedom,

    .. math:: \bar v - \sqrt{\overline{(v_i - l_i)}^2 + t^2 S^2 / m}, \qquad
              \bar v + \sqrt{\overline{(h_i - v_i)}^2 + t^2 S^2 / m}.

    The image part is not divided by m: seeds mostly share their test images, so more seeds do not make the
    test set larger. The two variances add (law of total variance; Bouthillier et al. 2021, "Accounting for
    variance in machine learning benchmarks", section 2). One seed gives that seed's own interval.

    Parameters
    ----------
    scores : sequence of Score
        One a seed, the same metric on test sets of one size or nearly so.
    metric : str
        Name of the metric: its interval is clipped to what it can be (see `BOUNDS`; 0 to 1 for others). Unnamed
        scores are clipped at 1 unless one of the seeds itself reaches above 1.

    Returns
    -------
    Score
        n is the smallest test set, n_seeds the number of scores.

    Raises
    ------
    UsageError
        No scores.
    """
    if not scores:
        raise UsageError("a mean over seeds needs at least one score; got none")
    if len(scores) == 1:
        return scores[0]
    m = len(scores)
    values = np.array([score.value for score in scores], dtype=float)
    seed_part = _t_quantile(m - 1) * float(values.std(ddof=1)) / math.sqrt(m)
    below = float(np.mean([score.value - score.low for score in scores]))
    above = float(np.mean([score.high - score.value for score in scores]))
    mean = float(values.mean())
    least, most = BOUNDS.get(metric, (0.0, math.inf if any(score.high > 1 for score in scores) else 1.0))
    return Score(
        value=mean,
        low=max(least, mean - math.hypot(below, seed_part)),
        high=min(most, mean + math.hypot(above, seed_part)),
        n=min(score.n for score in scores),
        n_seeds=m,
    )


@lru_cache(maxsize=256)
def _t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def accuracy_of(right: NDArray[np.bool_]) -> Score:
    """Accuracy with its 95 % interval over images and seeds.

    Parameters
    ----------
    right : array of bool, shape (n_seeds, n)
        Whether each image was right in each run.
    """
    n = right.shape[1]
    each = [Score(float(one.mean()), *wilson(int(one.sum()), n), n) for one in right]
    return over_seeds(each, metric="accuracy")

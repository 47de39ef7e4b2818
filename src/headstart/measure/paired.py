"""Two methods on the same test images: McNemar's test, and the difference of accuracy with its interval.

One run each: the mid-p version of McNemar's test, which Fagerland, Lydersen and Laake (2013, BMC Med. Res.
Methodol. 13:91) recommend over the exact and the continuity-corrected one. Several seeds: each image counts
once, with its mean over seeds, and the spread over seeds is added. Intervals and p-values come from the same
statistic: an interval leaves out zero exactly where p is below one minus its level.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UnknownName, UsageError
from headstart.measure.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

KINDS = ("mid-p", "exact", "chi2")
MID_P = "McNemar's test (mid-p)"
OVER_SEEDS = "t-test over images and seeds"


@dataclass(frozen=True)
class Difference:
    """Score of method a minus score of method b, as a test of the two saw it.

    Attributes
    ----------
    value : float
        Positive where a scores higher.
    low, high : float
        Interval of confidence `level`; holds `value`.
    p : float
        Two-sided, of this comparison alone. Below `1 - level` exactly where the interval leaves out zero.
    level : float
        Confidence of the interval, e.g. 0.95.
    test : str
        Name of the test.
    n : int
        Images, splits or draws of a data set that were compared.
    n_differ : int
        Those on which the two methods did not do the same.
    standard_error : float
        Of `value`, at least that under which p was found; 0 where nothing differs.
    degrees : float
        Degrees of freedom behind the standard error; infinite for McNemar's test and the bootstrap.
    """

    value: float
    low: float
    high: float
    p: float
    level: float
    test: str
    n: int
    n_differ: int
    standard_error: float
    degrees: float = math.inf


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of one run each.

    Attributes
    ----------
    n : int
        Images.
    only_a, only_b : int
        Images that one method has right and the other wrong.
    p : float
        Two-sided; 1 where no image tells the methods apart.
    kind : {"mid-p", "exact", "chi2"}
    """

    n: int
    only_a: int
    only_b: int
    p: float
    kind: str


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike, *, kind: str = "mid-p") -> McNemar:
    """Whether two classifiers err equally often on the same images (McNemar 1947, Psychometrika 12).

    Parameters
    ----------
    correct_a, correct_b : array of bool, shape (n,)
        Whether each image was right.
    kind : {"mid-p", "exact", "chi2"}
        "exact" is the binomial test; "mid-p" counts half of the observed outcome; "chi2" is the
        continuity-corrected approximation for 25 discordant images or more.

    Raises
    ------
    UnknownName
        No such kind.
    UsageError
        No images, or arrays that do not agree.

    Examples
    --------
    >>> mcnemar([1, 1, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0, 1]).p
    0.03125
    """
    if kind not in KINDS:
        raise UnknownName("kind of McNemar's test", kind, KINDS)
    a, b = correctness(correct_a), correctness(correct_b)
    if len(a) > 1 or len(b) > 1:
        raise UsageError(
            "McNemar's test compares one run with one run; for several seeds use paired_accuracy"
        )
    _same_images(a, b)
    only_a, only_b = int((a > b).sum()), int((a < b).sum())
    return McNemar(a.shape[1], only_a, only_b, _mcnemar_p(only_a, only_b, kind), kind)


def _mcnemar_p(only_a: int, only_b: int, kind: str) -> float:
    n, less = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return 1.0
    if kind == "exact":
        from scipy.stats import binomtest

        return float(binomtest(less, n).pvalue)
    if kind == "chi2":
        from scipy.stats import chi2

        return float(chi2.sf(max(0, abs(only_a - only_b) - 1) ** 2 / n, 1))
    return _mid_p(less, n)


@lru_cache(maxsize=65536)
def _mid_p(less: int, n: int) -> float:
    """McNemar's mid-p; many pairs of a study differ on as many images."""
    return min(1.0, 2 * float(_mid_tail(less, n, np.array(0.5))))


def paired_accuracy(correct_a: ArrayLike, correct_b: ArrayLike, *, level: float = 0.95) -> Difference:
    r"""Difference of accuracy of two methods on the same images, one run or several seeds each.

    One run each: p is McNemar's (mid-p). The interval is that of the product of two estimates, the share
    :math:`\pi` of images on which the runs differ (Wilson) and the balance :math:`\phi` between the two kinds
    of them (mid-p binomial), put together by their variance estimates recovered from the limits (MOVER; Zou
    and Donner 2008, Statist. Med. 27).

    Several seeds: with :math:`d_i` the difference of image i between the two means over seeds, the standard
    error joins the spread over images, with one image added in each direction so that few differing images do
    not look like certainty (Bonett and Price 2012, J. Educ. Behav. Stat. 37), and the spread of each method's
    accuracy over its seeds; t has the degrees of freedom of Welch and Satterthwaite. What is noise of single
    images is counted in both parts, so the test errs on the careful side. A method with a single
    run has no spread over seeds to add: only where its seed changes nothing is that the whole truth.

    Parameters
    ----------
    correct_a, correct_b : array of bool, shape (n,) or (n_seeds, n)
        Whether each image was right in each run. The seeds of a and b need not be equally many.
    level : float
        Confidence of the interval, between 0 and 1.

    Raises
    ------
    UsageError
        No images, arrays that do not agree, a level outside 0 to 1.
    """
    checked_level(level)
    a, b = correctness(correct_a), correctness(correct_b)
    _same_images(a, b)
    if len(a) == len(b) == 1:
        return _one_run(int((a > b).sum()), int((a < b).sum()), a.shape[1], level)
    return _over_seeds(a, b, level)


def _one_run(only_a: int, only_b: int, n: int, level: float) -> Difference:
    differ = only_a + only_b
    low, high = _product_interval(only_a, only_b, n, level)
    return Difference(
        value=(only_a - only_b) / n, low=low, high=high, p=_mcnemar_p(only_a, only_b, "mid-p"), level=level,
        test=MID_P, n=n, n_differ=differ, standard_error=math.sqrt(differ) / n,
    )  # fmt: skip


def _product_interval(only_a: int, only_b: int, n: int, level: float) -> tuple[float, float]:
    differ = only_a + only_b
    share, (share_low, share_high) = differ / n, wilson_at(differ, n, level)
    balance = (only_a - only_b) / differ if differ else 0.0
    low, high = (2 * end - 1 for end in _mid_p_interval(only_a, differ, level))
    below = share - share_low if low > 0 else share_high - share
    above = share_high - share if high > 0 else share - share_low
    value = share * balance
    return (
        max(-1.0, value - math.hypot(share * (balance - low), low * below)),
        min(1.0, value + math.hypot(share * (high - balance), high * above)),
    )


def wilson_at(k: int, n: int, level: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion at any confidence."""
    from scipy.special import ndtri

    return wilson(k, n, -float(ndtri((1 - level) / 2)))


def _mid_p_interval(k: int, n: int, level: float) -> tuple[float, float]:
    """Ends at which the mid-p binomial test of the proportion k of n is just at the level."""
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else _root(lambda share: _mid_tail(n - k, n, 1 - share) - tail)
    high = 1.0 if k == n else _root(lambda share: tail - _mid_tail(k, n, share))
    return low, high


def _mid_tail(k: int, n: int, share: Floats) -> Floats:
    """Chance of fewer than k of n, plus half the chance of exactly k, for each share."""
    from scipy.special import bdtr

    below = bdtr(k - 1, n, share) if k else 0.0
    found: Floats = (bdtr(k, n, share) + below) / 2
    return found


def _root(rises: Callable[[Floats], Floats]) -> float:
    """Where a function of a share, which rises, is zero: to 1e-14, 256 times closer with each look at all between.

    (scipy.optimize would take longer to load than all roots of a large study to find.)
    """
    low, high = 0.0, 1.0
    for _ in range(6):
        shares = np.linspace(low, high, 257)
        at = int(np.clip(np.searchsorted(rises(shares), 0.0), 1, 256))
        low, high = float(shares[at - 1]), float(shares[at])
    return (low + high) / 2


def accuracy_p(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """The p-value of `paired_accuracy` alone, without the interval that takes most of its time."""
    return accuracy_p_of(correctness(correct_a), correctness(correct_b))


def accuracy_p_of(a: Floats, b: Floats) -> float:
    """`accuracy_p` of what `correctness` gave, which thousands of pairs need not ask again."""
    _same_images(a, b)
    if len(a) == len(b) == 1:
        return _mcnemar_p(int((a > b).sum()), int((a < b).sum()), "mid-p")
    centre, error, degrees = _spread_over_seeds(a, b)
    return two_sided(centre / error, degrees)


def two_sided(ratio: float, degrees: float) -> float:
    """p-value of a t-statistic."""
    from scipy.special import stdtr

    return 2 * float(stdtr(degrees, -abs(ratio)))


def t_limit(level: float, degrees: float) -> float:
    """The t-statistic that a two-sided interval of confidence `level` reaches to."""
    from scipy.special import stdtrit

    return -float(stdtrit(degrees, (1 - level) / 2))


def _over_seeds(a: Floats, b: Floats, level: float) -> Difference:
    n, each = a.shape[1], a.mean(axis=0) - b.mean(axis=0)
    centre, error, degrees = _spread_over_seeds(a, b)
    half, value = t_limit(level, degrees) * error, float(each.mean())
    return Difference(
        value=value, low=max(-1.0, min(value, centre - half)), high=min(1.0, max(value, centre + half)),
        p=two_sided(centre / error, degrees), level=level, test=OVER_SEEDS, n=n,
        n_differ=int((each != 0).sum()), standard_error=error, degrees=degrees,
    )  # fmt: skip


def _spread_over_seeds(a: Floats, b: Floats) -> tuple[float, float, float]:
    """Centre, standard error and degrees of freedom of the difference over images and seeds."""
    n = a.shape[1]
    each = a.mean(axis=0) - b.mean(axis=0)
    centre = float(each.sum()) / (n + 2)
    over_images = (float((each**2).sum() + 2) / (n + 2) - centre**2) / (n + 2)
    parts = [(over_images, n - 1.0)]
    # runs that are right and wrong alike spread alike: nothing is left between them
    if not np.array_equal(a, b):
        parts += [_seed_part(runs) for runs in (a, b) if len(runs) > 1]
    error = math.sqrt(sum(part for part, _ in parts))
    degrees = error**4 / sum(part**2 / df for part, df in parts if df > 0) if n > 1 else 1.0
    return centre, error, degrees


def _seed_part(runs: Floats) -> tuple[float, float]:
    """Variance of a method's mean accuracy by its seeds, and its degrees of freedom."""
    return float(runs.mean(axis=1).var(ddof=1)) / len(runs), len(runs) - 1.0


def correctness(values: ArrayLike) -> Floats:
    """Right (1) and wrong (0) as an array of shape (n_seeds, n); one run may come flat.

    Raises
    ------
    UsageError
        No images, or anything but 0 and 1.
    """
    runs = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if runs.ndim != 2 or runs.size == 0:
        raise UsageError(f"right or wrong of (n_seeds, n_images) is needed; got the shape {runs.shape}")
    if not ((runs == 0) | (runs == 1)).all():
        raise UsageError("right or wrong must be True or False (1 or 0) for every image")
    return runs


def checked_level(level: float) -> None:
    """Refuse a confidence that is none."""
    if not 0 < level < 1:
        raise UsageError(f"the level of an interval lies between 0 and 1, e.g. 0.95; got {level}")


def _same_images(a: Floats, b: Floats) -> None:
    if a.shape[1] != b.shape[1]:
        raise UsageError(
            f"both methods must be tested on the same images; got {a.shape[1]} and {b.shape[1]} of them"
        )

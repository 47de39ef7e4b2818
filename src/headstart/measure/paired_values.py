"""Methods compared by what each image scores (any number, not only right or wrong), on the same images.

One idea: the mean difference over images with the spread of its parts, images and seeds, as in
`headstart.measure.paired.paired_accuracy` for several seeds; verdicts with Holm's correction come from it. Where each
split tested images of its own, the parts are images and splits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.paired import Difference, checked_level, t_limit, two_sided
from headstart.measure.paired_splits import NO_SPLIT, OVER_SPLITS
from headstart.measure.verdicts import ALPHA, ROPE, Verdicts, judge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

TEST = "paired t-test over images and seeds"
NO_EFFECT = CannotTell("there is no usual effect size for such scores")
FEW = CannotTell("fewer than two images are compared")
Runs = Mapping[int, "ArrayLike"]
"""By split: what each of its test images scores."""


def paired_values(
    scores_a: ArrayLike, scores_b: ArrayLike, *, level: float = 0.95
) -> Difference | CannotTell:
    """Mean difference of two methods' scores of the same images, one run or several seeds each.

    The standard error joins the spread of the images' differences (means over seeds) and that of each method's mean
    over its seeds; t has the degrees of freedom of Welch and Satterthwaite. What is noise of single images is counted
    in both parts, which errs on the careful side.

    Parameters
    ----------
    scores_a, scores_b : array of float, shape (n,) or (n_seeds, n)
    level : float
        Confidence of the interval, between 0 and 1.

    Returns
    -------
    Difference or CannotTell
        The latter where fewer than two images are compared, or the difference is the same on every image.

    Raises
    ------
    UsageError
        No images, arrays that do not agree, values that are not finite, a level outside 0 to 1.

    Examples
    --------
    >>> found = paired_values([0.9, 0.8, 0.9, 0.7], [0.5, 0.6, 0.4, 0.4])
    >>> round(found.value, 3), found.low > 0
    (0.35, True)
    """
    checked_level(level)
    a, b = _runs(scores_a), _runs(scores_b)
    if a.shape[1] != b.shape[1]:
        raise UsageError(f"both methods must be tested on the same images; got {a.shape[1]} and {b.shape[1]}")
    n, each = a.shape[1], a.mean(axis=0) - b.mean(axis=0)
    if n < 2:
        return FEW
    parts = [(float(each.var(ddof=1)) / n, n - 1.0)]
    parts += [(float(r.mean(axis=1).var(ddof=1)) / len(r), len(r) - 1.0) for r in (a, b) if len(r) > 1]
    return _student(float(each.mean()), parts, level, TEST, n, int((each != 0).sum()))


def paired_values_over_splits(
    scores_a: Sequence[ArrayLike], scores_b: Sequence[ArrayLike], *, level: float = 0.95
) -> Difference | CannotTell:
    """Mean over splits of the difference of two methods, each split with test images of its own.

    The part of the images is the mean of the splits' own standard errors: splits share images, so their number does
    not narrow it. To it the spread over splits is added (as `headstart.measure.paired_splits`); t has the degrees of
    freedom of Welch and Satterthwaite. Both err on the careful side.

    Parameters
    ----------
    scores_a, scores_b : sequence of array of float, shape (n_s,)
        What each test image scores, split by split, in the same order for both.
    level : float
        Confidence of the interval, between 0 and 1.

    Returns
    -------
    Difference or CannotTell
        As `paired_values`; `n` is the number of images of the largest split.

    Raises
    ------
    UsageError
        As `paired_values`; no splits.

    Examples
    --------
    >>> found = paired_values_over_splits([[0.9, 0.8, 0.9], [0.7, 0.8, 0.9]], [[0.5, 0.5, 0.4], [0.3, 0.5, 0.6]])
    >>> round(found.value, 3), found.low > 0
    (0.367, True)
    """
    checked_level(level)
    if not len(scores_a) == len(scores_b) > 0:
        raise UsageError(
            f"both methods must be tested on the same splits; got {len(scores_a)} and {len(scores_b)}"
        )
    if len(scores_a) == 1:
        return paired_values(scores_a[0], scores_b[0], level=level)
    each = [_difference(a, b) for a, b in zip(scores_a, scores_b, strict=True)]
    means, sizes = np.array([gap.mean() for gap in each]), [len(gap) for gap in each]
    if min(sizes) < 2:
        return FEW
    error = float(np.mean([gap.std(ddof=1) / math.sqrt(len(gap)) for gap in each]))
    parts = [
        (error**2, float(np.mean(sizes)) - 1),
        (float(means.var(ddof=1)) / len(means), len(means) - 1.0),
    ]
    n_differ = max(int((gap != 0).sum()) for gap in each)
    return _student(float(means.mean()), parts, level, OVER_SPLITS, max(sizes), n_differ)


def _student(
    value: float, parts: Sequence[tuple[float, float]], level: float, test: str, n: int, n_differ: int
) -> Difference | CannotTell:
    """The difference whose variance has these parts, each with its degrees of freedom."""
    error = math.sqrt(sum(part for part, _ in parts))
    if error == 0:
        return CannotTell("the difference is the same on every image")
    degrees = error**4 / sum(part**2 / df for part, df in parts)
    half = t_limit(level, degrees) * error
    return Difference(
        value=value, low=value - half, high=value + half, p=two_sided(value / error, degrees), level=level,
        test=test, n=n, n_differ=n_differ, standard_error=error, degrees=degrees,
    )  # fmt: skip


def _difference(a: ArrayLike, b: ArrayLike) -> Floats:
    one, other = _runs(a), _runs(b)
    if one.shape != other.shape or len(one) > 1:
        raise UsageError(
            f"both methods must be tested on the same images of a split, once; got scores of the shapes "
            f"{one.shape} and {other.shape}"
        )
    gap: Floats = one[0] - other[0]
    return gap


def compare_all_values(
    methods: Sequence[str], scores: Sequence[ArrayLike], *, alpha: float = ALPHA, rope: float = ROPE,
    against: int | None = None,
) -> Verdicts:  # fmt: skip
    """Compare the mean scores of all methods on the same images, all pairs or those with `against`.

    Parameters
    ----------
    methods : sequence of str
    scores : sequence of array of float, shape (n,) or (n_seeds, n)
    alpha, rope : float
        Level of all pairs together; largest difference that does not matter.
    against : int, optional
        Place of the method that all others are compared with.
    """
    runs = [_runs(each) for each in scores]
    return judge(
        methods, [float(each.mean()) for each in runs],
        lambda i, j, level: paired_values(runs[i], runs[j], level=level), lambda i, j: NO_EFFECT,
        alpha=alpha, rope=rope, against=against,
    )  # fmt: skip


def compare_all_values_over_splits(
    methods: Sequence[str], scores: Sequence[Runs], *, alpha: float = ALPHA, rope: float = ROPE,
    against: int | None = None,
) -> Verdicts:  # fmt: skip
    """Compare the mean scores of all methods, each pair on the splits that both have.

    Parameters
    ----------
    methods : sequence of str
    scores : sequence of mapping of split to array of float, shape (n_s,)
        What each test image of a split scores; the methods need not have all splits.
    alpha, rope, against
        As `compare_all_values`.
    """

    def compare(i: int, j: int, level: float) -> Difference | CannotTell:
        shared = sorted(set(scores[i]) & set(scores[j]))
        one, other = ([each[s] for s in shared] for each in (scores[i], scores[j]))
        return paired_values_over_splits(one, other, level=level) if shared else NO_SPLIT

    return judge(
        methods, [float(np.mean([_runs(part).mean() for part in each.values()])) for each in scores],
        compare, lambda i, j: NO_EFFECT, alpha=alpha, rope=rope, against=against,
    )  # fmt: skip


def _runs(values: ArrayLike) -> Floats:
    runs = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if runs.ndim != 2 or runs.size == 0:
        raise UsageError(f"scores of (n_seeds, n_images) are needed; got the shape {runs.shape}")
    if not np.isfinite(runs).all():
        raise UsageError("scores must be finite; leave images without a label out")
    return runs

"""Methods compared by what each image scores (any number, not only right or wrong), on the same images.

One idea: the mean difference over images with the spread of its parts, images and seeds, as in
`headstart.measure.paired.paired_accuracy` for several seeds; verdicts with Holm's correction come from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.paired import Difference, checked_level
from headstart.measure.resampled import check_rope
from headstart.measure.verdicts import ALPHA, ROPE, Verdicts, judge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

TEST = "paired t-test over images and seeds"


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
    from scipy.stats import t

    checked_level(level)
    a, b = _runs(scores_a), _runs(scores_b)
    if a.shape[1] != b.shape[1]:
        raise UsageError(f"both methods must be tested on the same images; got {a.shape[1]} and {b.shape[1]}")
    n, each = a.shape[1], a.mean(axis=0) - b.mean(axis=0)
    parts = [(float(each.var(ddof=1)) / n, n - 1.0)] if n > 1 else []
    parts += [(float(r.mean(axis=1).var(ddof=1)) / len(r), len(r) - 1.0) for r in (a, b) if len(r) > 1]
    error = math.sqrt(sum(part for part, _ in parts))
    if n < 2 or error == 0:
        return CannotTell(
            "fewer than two images are compared" if n < 2 else "the difference is the same on every image"
        )
    degrees = error**4 / sum(part**2 / df for part, df in parts)
    value, half = float(each.mean()), float(t.isf((1 - level) / 2, degrees)) * error
    return Difference(
        value=value, low=value - half, high=value + half, p=2 * float(t.sf(abs(value) / error, degrees)),
        level=level, test=TEST, n=n, n_differ=int((each != 0).sum()), standard_error=error, degrees=degrees,
    )  # fmt: skip


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
    check_rope(rope)
    runs = [_runs(each) for each in scores]
    none = CannotTell("there is no usual effect size for such scores")
    return judge(
        methods, [float(each.mean()) for each in runs],
        lambda i, j, level: paired_values(runs[i], runs[j], level=level), lambda i, j: none,
        alpha=alpha, rope=rope, against=against,
    )  # fmt: skip


def _runs(values: ArrayLike) -> Floats:
    runs = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if runs.ndim != 2 or runs.size == 0:
        raise UsageError(f"scores of (n_seeds, n_images) are needed; got the shape {runs.shape}")
    if not np.isfinite(runs).all():
        raise UsageError("scores must be finite; leave images without a label out")
    return runs

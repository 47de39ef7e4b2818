"""Two methods over a few splits of one data set, each with test images of its own: every run counts.

The right and wrong answers of all splits are pooled by image: an image that several splits tested counts once, with
the sum of what it showed. To the spread over images the spread over splits is added (as `headstart.measure.paired`
does for seeds on one test set; Bouthillier et al. 2021, Accounting for variance in machine learning benchmarks).
Training sets of splits overlap, so the spread over splits is smaller than that over new data; what is noise of
single images is counted in both parts, which more than makes up for it: in simulations with 2 to 8 splits 2 to 4 in
100 false alarms at the level of 5 in 100. Five splits or more: `headstart.measure.resampled.corrected_t`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.effects import cohens_h
from headstart.measure.paired import (
    Difference,
    accuracy_p,
    checked_level,
    correctness,
    paired_accuracy,
    t_limit,
    two_sided,
)
from headstart.measure.verdicts import ALPHA, ROPE, Verdicts, judge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ids = NDArray[np.int64]

OVER_SPLITS = "paired t-test over images and splits"
NO_SPLIT = CannotTell("the two methods have no split in common")
Runs = Mapping[int, "ArrayLike"]
"""By split: right or wrong of each of its test images."""


def paired_over_splits(
    correct_a: Sequence[ArrayLike], correct_b: Sequence[ArrayLike], images: Sequence[ArrayLike], *,
    level: float = 0.95,
) -> Difference:  # fmt: skip
    r"""Difference of accuracy of two methods, the mean over splits.

    With :math:`s_i` the sum over splits of what image i showed (1 where only a was right, -1 where only b), and
    :math:`m_i` in how many splits it was tested, the variance over images is that of the ratio
    :math:`\sum s_i / \sum m_i` (Cochran 1977, section 6.4), with one image added in each direction so that few
    differing images do not look like certainty (Bonett and Price 2012). That over splits is of the splits' own
    differences. t has the degrees of freedom of Welch and Satterthwaite. One split: `paired_accuracy`.

    Parameters
    ----------
    correct_a, correct_b : sequence of array of bool, shape (n_s,)
        Right or wrong of each test image, split by split.
    images : sequence of array of int, shape (n_s,)
        Which images these are; none twice in one split.
    level : float
        Confidence of the interval, between 0 and 1.

    Raises
    ------
    UsageError
        No splits, arrays that do not agree, an image twice in one split, a level outside 0 to 1.

    Examples
    --------
    >>> a, b = [1, 1, 1, 1, 1, 0] * 10, [1, 0, 0, 1, 0, 0] * 10
    >>> found = paired_over_splits([a, a], [b, b], [range(60), range(40, 100)])
    >>> round(found.value, 2), found.low > 0, found.n
    (0.5, True, 100)
    """
    checked_level(level)
    each, ids = _checked(correct_a, correct_b, images)
    if len(each) == 1:
        return paired_accuracy(np.ravel(correct_a[0]), np.ravel(correct_b[0]), level=level)
    value, centre, error, degrees = _spread(each, ids)
    half, summed = t_limit(level, degrees) * error, _by_image(each, ids)[0]
    return Difference(
        value=value, low=max(-1.0, min(value, centre - half)), high=min(1.0, max(value, centre + half)),
        p=two_sided(centre / error, degrees), level=level, test=OVER_SPLITS, n=len(summed),
        n_differ=int((summed != 0).sum()), standard_error=error, degrees=degrees,
    )  # fmt: skip


def compare_all_over_splits(
    methods: Sequence[str], runs: Sequence[Runs], images: Mapping[int, ArrayLike], *, alpha: float = ALPHA,
    rope: float = ROPE, against: int | None = None,
) -> Verdicts:  # fmt: skip
    """Compare the accuracy of all methods, each pair on the splits that both have.

    Parameters
    ----------
    methods : sequence of str
    runs : sequence of mapping of split to array of bool, shape (n_s,)
        Right or wrong of each method; the methods need not have all splits.
    images : mapping of split to array of int, shape (n_s,)
        The test images of each split.
    alpha, rope, against
        As `headstart.measure.verdicts.compare_all`.
    """
    means = [float(np.mean([np.asarray(correct).mean() for correct in own.values()])) for own in runs]

    def parts(i: int, j: int) -> tuple[list[ArrayLike], list[ArrayLike], list[ArrayLike]]:
        shared = sorted(set(runs[i]) & set(runs[j]))
        return [runs[i][s] for s in shared], [runs[j][s] for s in shared], [images[s] for s in shared]

    def compare(i: int, j: int, level: float) -> Difference | CannotTell:
        a, b, which = parts(i, j)
        return paired_over_splits(a, b, which, level=level) if which else NO_SPLIT

    return judge(
        methods, means, compare, lambda i, j: cohens_h(means[i], means[j]), alpha=alpha, rope=rope,
        against=against, p_of=lambda i, j: _p(*parts(i, j)),
    )  # fmt: skip


def _p(a: Sequence[ArrayLike], b: Sequence[ArrayLike], images: Sequence[ArrayLike]) -> float:
    if not images:
        return 1.0
    if len(images) == 1:
        return accuracy_p(np.ravel(a[0]), np.ravel(b[0]))
    _, centre, error, degrees = _spread(*_checked(a, b, images))
    return two_sided(centre / error, degrees)


def _spread(each: Sequence[Floats], ids: Sequence[Ids]) -> tuple[float, float, float, float]:
    """Value, centre, standard error and degrees of freedom of the difference."""
    means = np.array([part.mean() for part in each])
    summed, times = _by_image(each, ids)
    value, total, often = float(means.mean()), float(times.sum()), float(times.mean())
    whole = total + 2 * often  # with one image added in each direction
    centre = value * total / whole
    squares = float(((summed - centre * times) ** 2).sum()) + 2 * often**2 * (1 + centre**2)
    parts = (
        (squares / whole**2, len(summed) - 1.0),
        (float(means.var(ddof=1)) / len(means), len(means) - 1.0),
    )
    error = math.sqrt(sum(part for part, _ in parts))
    degrees = error**4 / sum(part**2 / df for part, df in parts if df > 0)
    return value, centre, error, degrees


def _by_image(each: Sequence[Floats], ids: Sequence[Ids]) -> tuple[Floats, Floats]:
    """Sum of the differences of every image, and in how many splits it was tested."""
    _, place = np.unique(np.concatenate(ids), return_inverse=True)
    summed = np.bincount(place, np.concatenate(each))
    return summed.astype(np.float64), np.bincount(place).astype(np.float64)


def _checked(
    correct_a: Sequence[ArrayLike], correct_b: Sequence[ArrayLike], images: Sequence[ArrayLike]
) -> tuple[list[Floats], list[Ids]]:
    if not len(correct_a) == len(correct_b) == len(images) > 0:
        raise UsageError(
            f"right or wrong of both methods is needed for every split; got {len(correct_a)}, {len(correct_b)} "
            f"and images of {len(images)} splits"
        )
    each, ids = [], [np.asarray(which) for which in images]
    for a, b, which in zip(correct_a, correct_b, ids, strict=True):
        one, other = correctness(np.ravel(np.asarray(a))), correctness(np.ravel(np.asarray(b)))
        if not one.shape[1] == other.shape[1] == len(np.unique(which)) == len(which):
            raise UsageError(
                f"both methods must be tested on the same images of a split, each once; got {one.shape[1]} and "
                f"{other.shape[1]} answers on {len(np.unique(which))} different images"
            )
        each.append((one - other)[0])
    return each, ids

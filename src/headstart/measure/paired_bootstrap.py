"""Paired bootstrap: any metric of two or more methods on the same draws of images and seeds.

Images with the same true class and the same answers of every run are one cell; a draw of images is then one
multinomial draw of cell counts, and all metrics are products of counts (Efron and Tibshirani 1993, ch. 13).
Seeds are drawn too: S - 1 of S, which makes the variance of few seeds right (Rao and Wu 1988, JASA 83).
Drawing both counts the noise of single images in single runs more than once, which errs on the careful side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UnknownName, UsageError
from headstart.measure.metrics import MACRO, macro_averages
from headstart.measure.paired import Difference, checked_level, wilson_at

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

Metric = Callable[["Counts", "Counts", "Counts"], "Floats"]
"""From hits, images and calls of each class, shape (draws, classes), to values of shape (draws,)."""

METRICS = ("accuracy", *MACRO)
BOOTSTRAP = "paired bootstrap"
N_DRAWS = 9999
CELLS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class MetricDraws:
    """A metric of several methods on the test images and on draws of them.

    Attributes
    ----------
    values : ndarray, shape (n_methods,)
        The metric, its mean over seeds.
    draws : ndarray, shape (n_methods, n_draws)
        The same on each draw of images and seeds; column by column the same images for every method.
    answers : tuple of ndarray, shape (n_seeds, n_images)
        Class numbers that each method named.
    """

    values: Floats
    draws: Floats
    answers: tuple[Counts, ...]


def metric_draws(
    y_true: ArrayLike, answers: Sequence[ArrayLike], generator: np.random.Generator, *,
    metric: str | Metric = "accuracy", n_draws: int = N_DRAWS,
) -> MetricDraws:  # fmt: skip
    """Draw images and seeds, and work out the metric of every method on each draw.

    Parameters
    ----------
    y_true : array of int, shape (n,)
        True classes, 0 or more.
    answers : sequence of array of int, shape (n,) or (n_seeds, n)
        Classes that each method named; the seeds need not be equally many.
    generator : numpy Generator
    metric : {"accuracy", "balanced_accuracy", "macro_f1", "macro_precision", "macro_recall"} or function
        A function takes counts of each class (see `Metric`).
    n_draws : int

    Raises
    ------
    UnknownName
        No such metric.
    UsageError
        No images, arrays that do not agree, fewer than 100 draws.
    """
    if n_draws < 100:
        raise UsageError(f"n_draws: at least 100 are needed for an interval, got {n_draws}")
    true = _class_numbers(y_true)[0]
    runs = tuple(_class_numbers(answer) for answer in answers)
    if not runs or any(run.shape[1] != len(true) for run in runs):
        raise UsageError(f"answers for all of the {len(true)} test images are needed from every method")
    of = _metric(metric)
    cells, counts = np.unique(np.vstack([true, *runs]), axis=1, return_counts=True)
    weights = [run_weights(len(run), n_draws, generator) for run in runs]
    each = _on_draws(cells, counts, of, generator, n_draws)
    ends = np.cumsum([len(run) for run in runs])
    seeds = np.split(each, ends[:-1])
    draws = [np.einsum("sd,ds->d", per_seed, weight) for per_seed, weight in zip(seeds, weights, strict=True)]
    whole = np.split(_of_counts(cells, counts[None], of)[:, 0], ends[:-1])
    return MetricDraws(np.array([part.mean() for part in whole]), np.array(draws), runs)


def run_weights(n_seeds: int, n_draws: int, generator: np.random.Generator) -> Floats:
    """Weights of seeds, shape (n_draws, n_seeds): S - 1 of S drawn with replacement; 1 for a single run."""
    if n_seeds == 1:
        return np.ones((n_draws, 1))
    drawn = generator.multinomial(n_seeds - 1, np.full(n_seeds, 1 / n_seeds), size=n_draws)
    return np.asarray(drawn / (n_seeds - 1), dtype=np.float64)


def difference_of(drawn: MetricDraws, a: int, b: int, *, level: float = 0.95) -> Difference:
    """Compare two of the methods: percentile interval, and the p-value at which it would just touch zero.

    With d images that the runs of both methods do not all answer alike, no p-value goes below that of d tosses
    of a coin on one side (2 / 2^d): drawing from five images cannot give certainty. Where that limit decides,
    the interval is widened by the upper Wilson limit of the share of such images.

    Parameters
    ----------
    drawn : MetricDraws
    a, b : int
        Places of the two methods.
    level : float

    Raises
    ------
    UsageError
        A level outside 0 to 1.
    """
    checked_level(level)
    value = float(drawn.values[a] - drawn.values[b])
    draws = np.sort(drawn.draws[a] - drawn.draws[b])
    both = np.vstack([drawn.answers[a], drawn.answers[b]])
    n, n_differ = both.shape[1], int((both != both[0]).any(axis=0).sum())
    plus_one = len(draws) + 1
    against = (draws <= 0) if value > 0 else (draws >= 0)
    side = 1 + int(against.sum()) if value else plus_one
    least = 2.0 ** (1 - n_differ) if n_differ < 60 else 0.0
    rank = math.floor((1 - level) / 2 * plus_one + 1e-9)
    low, high = (float(draws[rank - 1]), float(draws[-rank])) if rank else (-math.inf, math.inf)
    if least > 1 - level + 1e-12:
        reach = wilson_at(n_differ, n, level)[1]
        low, high = min(low, -reach), max(high, reach)
    return Difference(
        value=value, low=max(-1.0, min(low, value)), high=min(1.0, max(high, value)),
        p=min(1.0, max(2 * side / plus_one, least)), level=level, test=BOOTSTRAP, n=n, n_differ=n_differ,
        standard_error=float(draws.std()),
    )  # fmt: skip


def paired_bootstrap(
    y_true: ArrayLike, answers_a: ArrayLike, answers_b: ArrayLike, generator: np.random.Generator, *,
    metric: str | Metric = "accuracy", n_draws: int = N_DRAWS, level: float = 0.95,
) -> Difference:  # fmt: skip
    """Difference of a metric between two methods; see `metric_draws` and `difference_of`.

    Examples
    --------
    >>> truth, a, b = [0, 1] * 30, [0, 1] * 30, [0, 1] * 20 + [1, 1] * 10
    >>> found = paired_bootstrap(truth, a, b, np.random.default_rng(0), metric="balanced_accuracy")
    >>> round(found.value, 3), found.low > 0
    (0.167, True)
    """
    drawn = metric_draws(y_true, (answers_a, answers_b), generator, metric=metric, n_draws=n_draws)
    return difference_of(drawn, 0, 1, level=level)


def _on_draws(
    cells: Counts, counts: Counts, metric: Metric, generator: np.random.Generator, n_draws: int
) -> Floats:
    n, block = int(counts.sum()), max(1, CELLS_AT_ONCE // len(counts))
    sizes = [min(block, n_draws - start) for start in range(0, n_draws, block)]
    drawn = (generator.multinomial(n, counts / n, size=size) for size in sizes)
    return np.concatenate([_of_counts(cells, part, metric) for part in drawn], axis=1)


def _of_counts(cells: Counts, drawn: Counts, metric: Metric) -> Floats:
    """The metric of every run (rows) on every draw (columns) of how often each cell came."""
    true, runs = cells[0], cells[1:]
    classes = np.arange(int(cells.max()) + 1)
    weight = drawn.astype(np.float64)
    is_true = (true[:, None] == classes).astype(np.float64)
    truth = weight @ is_true
    return np.array([_of_run(weight, is_true, truth, run, classes, metric) for run in runs])


def _of_run(
    weight: Floats, is_true: Floats, truth: Floats, run: Counts, classes: Counts, metric: Metric
) -> Floats:
    is_called = (run[:, None] == classes).astype(np.float64)
    hits, called = weight @ (is_true * is_called), weight @ is_called
    return metric(*(np.rint(part).astype(np.int64) for part in (hits, truth, called)))


def _metric(metric: str | Metric) -> Metric:
    if callable(metric):
        return metric
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    if metric == "accuracy":
        return lambda hits, truth, called: np.asarray(hits.sum(axis=1) / truth.sum(axis=1), dtype=np.float64)
    return lambda hits, truth, called: macro_averages(hits, truth, called)[metric]


def _class_numbers(values: ArrayLike) -> Counts:
    runs = np.atleast_2d(np.asarray(values))
    if runs.ndim != 2 or runs.size == 0 or runs.dtype.kind not in "iub" or runs.min() < 0:
        raise UsageError(
            f"class numbers (integers from 0) of (n_seeds, n_images) are needed; "
            f"got {runs.dtype} of shape {runs.shape}"
        )
    return runs.astype(np.int64)

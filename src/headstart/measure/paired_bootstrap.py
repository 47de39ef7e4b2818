"""Paired bootstrap: any metric of two or more methods on the same draws of images and seeds.

Images with the same true class and the same answers of every run are one cell; a draw of images is then one
multinomial draw of cell counts, and all metrics are products of counts (Efron and Tibshirani 1993, ch. 13).
Seeds are drawn too: S - 1 of S, which makes the variance of few seeds right (Rao and Wu 1988, JASA 83).
Drawing both counts the noise of single images in single runs more than once, which errs on the careful side.
Beyond the outermost draws, where a correction for many pairs asks, the tail is a normal one that goes on from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
OUTERMOST = 25
"""Draws at either end within which the share of draws is too rough to be a probability."""
UNTESTED = -1
"""The answer of a run for an image that it was not tested on."""


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
    true = class_numbers(y_true)[0]
    runs = tuple(class_numbers(answer) for answer in answers)
    if not runs or any(run.shape[1] != len(true) for run in runs):
        raise UsageError(f"answers for all of the {len(true)} test images are needed from every method")
    of = metric_of(metric)
    cells, counts = np.unique(np.vstack([true, *runs]), axis=1, return_counts=True)
    weights = [run_weights(len(run), n_draws, generator) for run in runs]
    each = on_draws(cells, counts, of, generator, n_draws)
    ends = np.cumsum([len(run) for run in runs])
    seeds = np.split(each, ends[:-1])
    draws = [np.einsum("sd,ds->d", per_seed, weight) for per_seed, weight in zip(seeds, weights, strict=True)]
    whole = np.split(of_counts(cells, counts[None], of)[:, 0], ends[:-1])
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
    value = float(drawn.values[a] - drawn.values[b])
    both = np.vstack([drawn.answers[a], drawn.answers[b]])
    n_differ = int((both != both[0]).any(axis=0).sum())
    return from_draws(value, drawn.draws[a] - drawn.draws[b], both.shape[1], n_differ, level=level)


def from_draws(value: float, draws: Floats, n: int, n_differ: int, *, level: float = 0.95) -> Difference:
    """The difference with its percentile interval and p-value, from draws of it (see `difference_of`).

    Parameters
    ----------
    value : float
        On the test images themselves.
    draws : ndarray, shape (n_draws,)
    n, n_differ : int
        Images, and those that the runs of both methods do not all answer alike.
    level : float
    """
    checked_level(level)
    draws, error = np.sort(draws), float(draws.std())
    least = 2.0 ** (1 - n_differ) if n_differ < 60 else 0.0
    tail = (1 - level) / 2
    low, high = _end(draws, tail, error), -_end(-draws[::-1], tail, error)
    if least > 1 - level + 1e-12:
        reach = wilson_at(n_differ, n, level)[1]
        low, high = min(low, -reach), max(high, reach)
    side = _below_zero(draws if value > 0 else -draws[::-1], error) if value else 1.0
    return Difference(
        value=value, low=max(-1.0, min(low, value)), high=min(1.0, max(high, value)),
        p=min(1.0, max(2 * side, least)), level=level, test=BOOTSTRAP, n=n, n_differ=n_differ,
        standard_error=error,
    )  # fmt: skip


def _end(draws: Floats, tail: float, error: float) -> float:
    """The value with a chance of `tail` below it, from sorted draws and, outside them, a normal tail."""
    from scipy.special import ndtri

    outermost, limit = _outermost(draws)
    if tail >= limit - 1e-15:
        return float(draws[math.floor(tail * (len(draws) + 1) + 1e-9) - 1])
    return float(draws[outermost - 1]) + error * float(ndtri(tail) - ndtri(limit))


def _below_zero(draws: Floats, error: float) -> float:
    """The chance of a value of zero or below: the inverse of `_end`."""
    from scipy.special import ndtr, ndtri

    outermost, limit = _outermost(draws)
    n_below = int((draws <= 0).sum())
    if n_below >= outermost or error == 0:
        return (1 + n_below) / (len(draws) + 1)
    return float(ndtr(ndtri(limit) - float(draws[outermost - 1]) / error))


def _outermost(draws: Floats) -> tuple[int, float]:
    """How many of the lowest draws count as outermost, and their share."""
    n = min(OUTERMOST, len(draws) // 4)
    return n, n / (len(draws) + 1)


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


def on_draws(
    cells: Counts, counts: Counts, metric: Metric, generator: np.random.Generator, n_draws: int
) -> Floats:
    """The metric of every run (rows) on `n_draws` draws of the images; see `of_counts`."""
    n, block = int(counts.sum()), max(1, CELLS_AT_ONCE // len(counts))
    sizes = [min(block, n_draws - start) for start in range(0, n_draws, block)]
    drawn = (generator.multinomial(n, counts / n, size=size) for size in sizes)
    return np.concatenate([of_counts(cells, part, metric) for part in drawn], axis=1)


def of_counts(cells: Counts, drawn: Counts, metric: Metric) -> Floats:
    """The metric of every run (rows) on every draw (columns) of how often each cell came.

    Parameters
    ----------
    cells : ndarray, shape (1 + n_runs, n_cells)
        True class and the answer of every run; `UNTESTED` where a run was not tested.
    drawn : ndarray, shape (n_draws, n_cells)
    metric : function
    """
    true, weight = cells[0], drawn.astype(np.float64)
    k = int(cells.max()) + 1
    return np.array([_of_run(weight, true, run, k, metric) for run in cells[1:]])


def _of_run(weight: Floats, true: Counts, run: Counts, k: int, metric: Metric) -> Floats:
    tested = run != UNTESTED
    parts = [
        weight @ _one_hot(labels, rows, k)
        for labels, rows in ((true, tested & (run == true)), (true, tested), (run, tested))
    ]
    return metric(*(np.rint(part).astype(np.int64) for part in parts))


def _one_hot(labels: Counts, rows: NDArray[np.bool_], k: int) -> Any:
    """Cells by classes, sparse: 1 where a cell is of a class and among `rows`."""
    from scipy.sparse import csr_array

    at = np.flatnonzero(rows)
    return csr_array((np.ones(len(at)), (at, labels[at])), shape=(len(labels), k))


def metric_of(metric: str | Metric) -> Metric:
    """A metric by its name, or the function that it is."""
    if callable(metric):
        return metric
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    if metric == "accuracy":
        return lambda hits, truth, called: np.asarray(
            hits.sum(axis=1) / np.maximum(truth.sum(axis=1), 1), dtype=np.float64
        )
    return lambda hits, truth, called: macro_averages(hits, truth, called)[metric]


def class_numbers(values: ArrayLike) -> Counts:
    """Class numbers as an array of shape (n_seeds, n_images); one run may come flat."""
    runs = np.atleast_2d(np.asarray(values))
    if runs.ndim != 2 or runs.size == 0 or runs.dtype.kind not in "iub" or runs.min() < 0:
        raise UsageError(
            f"class numbers (integers from 0) of (n_seeds, n_images) are needed; "
            f"got {runs.dtype} of shape {runs.shape}"
        )
    return runs.astype(np.int64)

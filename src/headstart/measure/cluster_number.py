"""How many clusters there are, by a curve over candidates: modularity, silhouette, gap or stability.

Newman and Girvan, Finding and evaluating community structure in networks, Phys. Rev. E 2004 (modularity, here of
the graph of nearest neighbours); Rousseeuw 1987 (silhouette); Tibshirani, Walther and Hastie, Estimating the Number
of Clusters via the Gap Statistic, J. R. Statist. Soc. B 2001; Ben-Hur, Elisseeff and Guyon, A Stability Based
Method, PSB 2002. The clustering itself is an argument: any function from points, number and seed to labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UnknownName, UsageError
from headstart.base.events import Progress, emit
from headstart.measure.clustering import MOST_POINTS, adjusted_rand, mean_score, silhouettes
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

Clusters = Callable[["NDArray[Any]", int, int], "NDArray[Any]"]
RULES = ("modularity", "silhouette", "gap", "stability")
TASK = "numbers of clusters tried"
N_PAIRS, SHARE, N_REFERENCES = 6, 0.8, 8
N_NEIGHBOURS = 10
NEARLY = 0.08
"""By how much more modularity may fall short of 1 than the best does: curves are flat beyond it."""


@dataclass(frozen=True)
class NumberCurve:
    """A rule's value at every candidate, and the number that it chooses.

    Attributes
    ----------
    rule : {"modularity", "silhouette", "gap", "stability"}
    numbers : tuple of int
    values, errors : tuple of float
        Value and its standard error at each number. Modularity below 1, 0 for chance; silhouette -1 to 1; gap in
        natural logarithms; stability is an adjusted Rand index.
    chosen : int
    n : int
        Points that were looked at.
    """

    rule: str
    numbers: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    chosen: int
    n: int


def choose_number(
    points: NDArray[Any], cluster: Clusters, *, rule: str = "modularity", most: int = 20, seed: int = 0,
    n_points: int = MOST_POINTS,
) -> NumberCurve:  # fmt: skip
    """Try every number of clusters and choose one.

    Silhouette and stability take the highest value of 2 to `most`. Modularity takes the smallest number that falls
    short of 1 by at most `NEARLY` more than the best: it counts links between nearest neighbours that stay inside
    clusters, less those that chance would leave there, so that a few images far from all others hardly weigh. Gap
    takes the smallest number from 1 whose gap is within one standard error of the largest (Dudoit and Fridlyand,
    Genome Biology 2002): the rule of the paper, which compares with the next number alone, stops at 1 where groups
    lie equally far apart.

    Parameters
    ----------
    points : array, shape (n, d)
    cluster : function of (points, number, seed) to labels, shape (n,)
    rule : {"modularity", "silhouette", "gap", "stability"}
    most : int
        Largest number tried; never more than n - 1.
    seed : int
    n_points : int
        Points drawn where there are more.

    Raises
    ------
    UnknownName
        No such rule.
    UsageError
        Fewer than three points.
    """
    if rule not in RULES:
        raise UnknownName("rule for the number of clusters", rule, RULES)
    rng = np.random.default_rng(seed)
    drawn = points if len(points) <= n_points else points[rng.choice(len(points), n_points, replace=False)]
    last = min(most, len(drawn) - 1)
    if last < 2:
        raise UsageError(
            f"to choose a number of clusters takes 3 or more images, got {len(points)}; give --n"
        )
    numbers = tuple(range(1 if rule == "gap" else 2, last + 1))
    values, errors = CURVES[rule](drawn, cluster, numbers, rng)
    chosen = CHOSEN.get(rule, _highest)(numbers, values, errors)
    return NumberCurve(rule, numbers, tuple(values), tuple(errors), chosen, len(drawn))


def _told(numbers: Sequence[int]) -> Any:
    for at, number in enumerate(numbers):
        yield number
        emit(Progress(TASK, at + 1, len(numbers)))


def _modularity(
    points: NDArray[Any], cluster: Clusters, numbers: Sequence[int], rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    from sklearn.neighbors import kneighbors_graph

    near = kneighbors_graph(points, min(N_NEIGHBOURS, len(points) - 1))
    graph = near.maximum(near.T).tocoo()
    values, errors = [], []
    for number in _told(numbers):
        each = modularity_parts(graph.row, graph.col, cluster(points, number, _seed(rng)))
        values.append(float(each.mean()))
        errors.append(float(each.std(ddof=1) / np.sqrt(len(each))))
    return values, errors


def modularity_parts(row: NDArray[Any], column: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """What each of n nodes adds to the modularity of a grouping; the mean of all is the modularity.

    Parameters
    ----------
    row, column : int arrays
        Both ends of each link, every link both ways.
    labels : int array, shape (n,)
    """
    n, total = len(labels), max(1, len(row))
    degree = np.bincount(row, minlength=n)
    inside = np.bincount(row, weights=labels[row] == labels[column], minlength=n)
    by_label = np.bincount(labels, weights=degree)
    made: NDArray[np.float64] = n / total * (inside - degree * by_label[labels] / total)
    return made


def _silhouette(
    points: NDArray[Any], cluster: Clusters, numbers: Sequence[int], rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    from sklearn.metrics import pairwise_distances

    distances = pairwise_distances(points)
    values, errors = [], []
    for number in _told(numbers):
        each = silhouettes(points, cluster(points, number, _seed(rng)), distances)
        values.append(float(each.mean()))
        errors.append(float(each.std(ddof=1) / np.sqrt(len(each))))
    return values, errors


def _stability(
    points: NDArray[Any], cluster: Clusters, numbers: Sequence[int], rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    values, errors = [], []
    for number in _told(numbers):
        each = resampled_agreement(points, cluster, number, rng)
        values.append(float(np.mean(each)))
        errors.append(float(np.std(each, ddof=1) / np.sqrt(len(each))))
    return values, errors


def resampled_agreement(
    points: NDArray[Any], cluster: Clusters, number: int, rng: np.random.Generator, n_pairs: int = N_PAIRS
) -> list[float]:
    """Adjusted Rand index, on shared points, of two groupings of 80 % of the points each; once a pair."""
    n = len(points)
    size = max(min(n, number + 1), round(SHARE * n))
    found = []
    for _ in range(n_pairs):
        parts = [np.sort(rng.choice(n, size, replace=False)) for _ in range(2)]
        made = [cluster(points[rows], number, _seed(rng)) for rows in parts]
        _, one, other = np.intersect1d(parts[0], parts[1], return_indices=True)
        if len(one):
            found.append(adjusted_rand(made[0][one], made[1][other]))
    return found


def stability(
    points: NDArray[Any], cluster: Clusters, number: int, *, seed: int = 0, n_points: int = MOST_POINTS
) -> Score:
    """`resampled_agreement` as a score: mean, 95 % interval over the pairs; 1 is perfectly stable.

    Raises
    ------
    UsageError
        Fewer than three points.
    """
    if len(points) < 3:
        raise UsageError(f"stability takes 3 or more points, got {len(points)}")
    rng = np.random.default_rng(seed)
    drawn = points if len(points) <= n_points else points[rng.choice(len(points), n_points, replace=False)]
    return mean_score(resampled_agreement(drawn, cluster, number, rng))


def dispersion(points: NDArray[Any], labels: NDArray[Any]) -> float:
    """Sum of squared distances to the mean of the own cluster (W of Tibshirani et al.)."""
    return float(
        sum(((part - part.mean(0)) ** 2).sum() for part in (points[labels == k] for k in np.unique(labels)))
    )


def _gap(
    points: NDArray[Any], cluster: Clusters, numbers: Sequence[int], rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    centre = points.mean(0)
    axes = np.linalg.svd(points - centre, full_matrices=False)[2]
    turned = (points - centre) @ axes.T
    low, high = turned.min(0), turned.max(0)
    references = [
        rng.uniform(low, high, turned.shape).astype(points.dtype) for _ in range(N_REFERENCES)
    ]  # the box along the principal axes
    values, errors = [], []
    for number in _told(numbers):
        own = _log_dispersion(turned, cluster, number, rng)
        others = [_log_dispersion(each, cluster, number, rng) for each in references]
        values.append(float(np.mean(others) - own))
        errors.append(float(np.std(others) * np.sqrt(1 + 1 / N_REFERENCES)))
    return values, errors


def _log_dispersion(points: NDArray[Any], cluster: Clusters, number: int, rng: np.random.Generator) -> float:
    labels = np.zeros(len(points), int) if number == 1 else cluster(points, number, _seed(rng))
    return float(np.log(max(dispersion(points, labels), np.finfo(float).tiny)))


def _one_error(numbers: Sequence[int], values: Sequence[float], errors: Sequence[float]) -> int:
    best = int(np.argmax(values))
    good = (
        number for number, value in zip(numbers, values, strict=True) if value >= values[best] - errors[best]
    )
    return next(good)


def _highest(numbers: Sequence[int], values: Sequence[float], errors: Sequence[float]) -> int:
    return numbers[int(np.nanargmax(values))]


def _nearly_best(numbers: Sequence[int], values: Sequence[float], errors: Sequence[float]) -> int:
    least = 1 - (1 - max(values)) * (1 + NEARLY)
    return next(number for number, value in zip(numbers, values, strict=True) if value >= least)


CURVES = {"modularity": _modularity, "silhouette": _silhouette, "gap": _gap, "stability": _stability}
CHOSEN = {"modularity": _nearly_best, "gap": _one_error}


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))

"""How good a grouping is: against labels by one table of counts, without labels by distances.

Agreement: Hubert and Arabie, Comparing Partitions, J. Classification 1985 (ARI); Rosenberg and Hirschberg,
V-Measure, EMNLP 2007; Strehl and Ghosh, Cluster Ensembles, JMLR 2002 (NMI). Shape: Rousseeuw, Silhouettes,
J. Comp. Appl. Math. 1987; Davies and Bouldin, A Cluster Separation Measure, PAMI 1979.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

AGREEMENT = ("nmi", "ari", "v_measure", "homogeneity", "completeness", "purity", "accuracy")
OUTLIER = -1
MOST_POINTS, MOST_CELLS = 2000, 10_000


def contingency(labels: ArrayLike, clusters: ArrayLike) -> NDArray[np.int64]:
    """Cases by class (rows, sorted) and cluster (columns, sorted), int (n_classes, n_clusters).

    Raises
    ------
    UsageError
        Nothing is there, or the two differ in length.
    """
    one, other = np.asarray(labels), np.asarray(clusters)
    if len(one) != len(other) or not len(one):
        raise UsageError(
            f"expected as many labels as clusters, at least one; got {len(one)} and {len(other)}"
        )
    rows, row = np.unique(one, return_inverse=True)
    columns, column = np.unique(other, return_inverse=True)
    flat = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
    return flat.reshape(len(rows), len(columns)).astype(np.int64)


def agreement(table: ArrayLike) -> dict[str, float]:
    """Every measure in `AGREEMENT` of a table of counts.

    NMI is normalised by the arithmetic mean of the two entropies, which makes it equal to the V-measure.
    Purity is the share of cases in the most frequent class of their cluster; accuracy the share that is right
    under the best one-to-one matching of clusters and classes (Kuhn's Hungarian method).
    """
    from scipy.optimize import linear_sum_assignment

    counts = np.asarray(table, dtype=np.float64)
    n = counts.sum()
    classes, clusters = counts.sum(1), counts.sum(0)
    shared = _entropy(classes) + _entropy(clusters) - _entropy(counts.ravel())
    homogeneity = shared / _entropy(classes) if _entropy(classes) > 0 else 1.0
    completeness = shared / _entropy(clusters) if _entropy(clusters) > 0 else 1.0
    both = homogeneity + completeness
    v = 2 * homogeneity * completeness / both if both > 0 else 0.0
    matched = counts[linear_sum_assignment(counts, maximize=True)].sum()
    values = (v, _adjusted_rand(counts), v, homogeneity, completeness, counts.max(0).sum() / n, matched / n)
    return {name: float(value) for name, value in zip(AGREEMENT, values, strict=True)}


def _entropy(counts: NDArray[np.float64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def _adjusted_rand(counts: NDArray[np.float64]) -> float:
    def pairs(of: NDArray[np.float64]) -> float:
        return float((of * (of - 1)).sum() / 2)

    total = pairs(counts.sum(keepdims=True))
    rows, columns, cells = pairs(counts.sum(1)), pairs(counts.sum(0)), pairs(counts)
    if total == 0:
        return 1.0
    expected, most = rows * columns / total, (rows + columns) / 2
    return 1.0 if most == expected else (cells - expected) / (most - expected)


def adjusted_rand(labels: ArrayLike, clusters: ArrayLike) -> float:
    """Adjusted Rand index of two groupings: 1 where they are the same, 0 on average by chance."""
    return _adjusted_rand(contingency(labels, clusters).astype(np.float64))


def scored_agreement(labels: ArrayLike, clusters: ArrayLike, *, seed: int = 0) -> dict[str, Score]:
    """`agreement` with 95 % bootstrap percentile intervals over cases, the grouping held as it is.

    Parameters
    ----------
    labels : array, shape (n,)
    clusters : array of int, shape (n,)
        Outliers (-1) count as one cluster more.
    seed : int
        Of 500 resamples (100 where the table has more than 10,000 cells).

    Raises
    ------
    UsageError
    """
    table = contingency(labels, clusters)
    n = int(table.sum())
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, table.ravel() / n, size=500 if table.size <= MOST_CELLS else 100)
    resampled = [agreement(each.reshape(table.shape)) for each in drawn]
    made = {}
    for name, value in agreement(table).items():
        low, high = np.quantile([each[name] for each in resampled], (0.025, 0.975))
        made[name] = Score(value, min(float(low), value), max(float(high), value), n)
    return made


def silhouettes(
    points: ArrayLike, clusters: ArrayLike, distances: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Silhouette of every point, -1 to 1, shape (n,); 0 in a cluster of one.

    Parameters
    ----------
    points : array, shape (n, d)
    clusters : array of int, shape (n,)
        At least two of them.
    distances : array, shape (n, n), optional
        Euclidean, where they are known already.
    """
    from sklearn.metrics import pairwise_distances

    known = pairwise_distances(np.asarray(points)) if distances is None else np.asarray(distances)
    _, codes, counts = np.unique(np.asarray(clusters), return_inverse=True, return_counts=True)
    rows = np.arange(len(codes))
    sums = known.astype(np.float64) @ np.eye(len(counts))[codes]
    inside = sums[rows, codes] / np.maximum(counts[codes] - 1, 1)
    means = sums / counts
    means[rows, codes] = np.inf
    nearest = means.min(1)
    widest = np.maximum(np.maximum(inside, nearest), np.finfo(float).tiny)
    made: NDArray[np.float64] = np.where(counts[codes] > 1, (nearest - inside) / widest, 0.0)
    return made


def silhouette(
    points: ArrayLike, clusters: ArrayLike, *, seed: int = 0, most: int = MOST_POINTS
) -> Score | None:
    """Mean silhouette with its 95 % interval, on at most `most` points; None with fewer than two clusters.

    Outliers (-1) are left out.
    """
    kept, codes = _inside(points, clusters)
    if len(kept) > most:
        rows = np.random.default_rng(seed).choice(len(kept), most, replace=False)
        kept, codes = kept[rows], codes[rows]
    if len(np.unique(codes)) < 2:
        return None
    values = silhouettes(kept, codes)
    return mean_score(values)


def mean_score(values: ArrayLike) -> Score:
    """Mean of values that are at most 1, with its 95 % interval by the normal law, cut off at 1."""
    known = np.asarray(values, dtype=np.float64)
    value = float(known.mean())
    half = 1.96 * float(known.std(ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else math.nan
    return Score(value, value - half, min(1.0, value + half), len(known))


def davies_bouldin(points: ArrayLike, clusters: ArrayLike) -> float | None:
    """Mean over clusters of the worst ratio of scatter to separation (0 is best); None with fewer than two.

    Outliers (-1) are left out.
    """
    from sklearn.metrics import pairwise_distances

    kept, codes = _inside(points, clusters)
    numbers = np.unique(codes)
    if len(numbers) < 2:
        return None
    centres = np.stack([kept[codes == each].mean(0) for each in numbers])
    scatter = np.array(
        [
            np.linalg.norm(kept[codes == each] - centre, axis=1).mean()
            for each, centre in zip(numbers, centres, strict=True)
        ]
    )
    apart = pairwise_distances(centres)
    apart[apart == 0] = np.inf
    ratios = (scatter[:, None] + scatter[None, :]) / apart
    np.fill_diagonal(ratios, 0.0)
    return float(ratios.max(1).mean())


def _inside(points: ArrayLike, clusters: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    codes = np.asarray(clusters)
    inside = codes != OUTLIER
    return np.asarray(points)[inside], codes[inside]

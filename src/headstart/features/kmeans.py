"""k-means for many points: converge on a sample that grows fourfold, then look at every point four times.

Most rounds run on few points, which is what makes mini-batch k-means quick (Sculley, WWW 2010); samples are
nested so that no point's vote is forgotten (Newling and Fleuret, Nested Mini-Batch K-Means, NeurIPS 2016).
Starts by k-means++ (Arthur and Vassilvitskii, SODA 2007), of few clusters the best of three on the first sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_ROWS = 4096
FIRST_PER_CLUSTER, LAST_PER_CLUSTER = 32, 128
LEAST_FIRST, LEAST_LAST = 1024, 4096
LAST_PASSES = 3  # over all points, where the last sample was not all of them
ROUNDS, LEAST_GAIN = 6, 2e-3
FEW = 16
"""Clusters up to which three starts cost little beside the passes over all points."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """Centres float32 (k, d), labels int (n,), and the sum of squared distances to the own centre."""

    centres: NDArray[np.float32]
    labels: NDArray[np.int64]
    inertia: float


def quick_kmeans(points: NDArray[Any], n_clusters: int, *, seed: int = 0) -> Grouping:
    """k-means of many points.

    Parameters
    ----------
    points : array, shape (n, d)
        Finite.
    n_clusters : int
        1 to n.
    seed : int

    Raises
    ------
    UsageError
        More clusters than points, or none.
    """
    if not 1 <= n_clusters <= len(points):
        raise UsageError(f"expected 1 to {len(points)} clusters of {len(points)} points, got {n_clusters}")
    data = np.ascontiguousarray(points, np.float32)
    order = np.random.default_rng(seed).permutation(len(data))
    size = min(len(data), max(LEAST_FIRST, FIRST_PER_CLUSTER * n_clusters))
    limit = min(len(data), max(LEAST_LAST, LAST_PER_CLUSTER * n_clusters))
    sample = data[order[:size]]
    centres = _best_start(sample, n_clusters, seed)
    while size < limit:
        size = min(limit, 4 * size)
        sample = data[order[:size]]
        centres = _converged(sample, centres)
    for _ in range(LAST_PASSES if size < len(data) else 0):
        labels, _, _ = assign(data, centres)
        centres = _moved(data, labels, centres)
    labels, near, square = assign(data, centres)
    return Grouping(centres, labels, float(np.maximum(near + square, 0).sum(dtype=np.float64)))


def _best_start(sample: NDArray[np.float32], n_clusters: int, seed: int) -> NDArray[np.float32]:
    from sklearn.cluster import kmeans_plusplus

    found = []
    for start in range(3 if n_clusters <= FEW else 1):
        centres, _ = kmeans_plusplus(sample, n_clusters, random_state=(seed + start) % 2**32)
        centres = _converged(sample, np.asarray(centres, np.float32))
        found.append((float(assign(sample, centres)[1].sum(dtype=np.float64)), start, centres))
    return min(found, key=lambda each: each[:2])[2]


def _converged(sample: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most six of Lloyd's rounds, until one gains less than two thousandths."""
    before = np.inf
    for _ in range(ROUNDS):
        labels, near, square = assign(sample, centres)
        now = float((near + square).sum(dtype=np.float64))
        if now > before * (1 - LEAST_GAIN):
            break
        before = now
        centres = _moved(sample, labels, centres, near + square)
    return centres


def assign(
    points: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Nearest centre of every point, as label and as squared distance in two parts that add up.

    Returns
    -------
    labels : int (n,)
    near : float32 (n,)
        Squared distance less the point's own squared length.
    square : float32 (n,)
        The point's squared length.
    """
    n = len(points)
    labels, near, square = np.empty(n, np.int64), np.empty(n, np.float32), np.empty(n, np.float32)
    lengths = np.einsum("kd,kd->k", centres, centres)
    for at in range(0, n, CHUNK_ROWS):
        part = points[at : at + CHUNK_ROWS]
        scores = part @ (-2 * centres.T)
        scores += lengths
        best = scores.argmin(1)
        labels[at : at + len(part)] = best
        near[at : at + len(part)] = scores[np.arange(len(part)), best]
        square[at : at + len(part)] = np.einsum("nd,nd->n", part, part)
    return labels, near, square


def _moved(
    points: NDArray[np.float32], labels: NDArray[np.int64], centres: NDArray[np.float32],
    distances: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Means of the clusters; an empty one starts anew at one of the farthest points, where those are known."""
    from scipy.sparse import csr_matrix

    counts = np.bincount(labels, minlength=len(centres))
    order = np.argsort(labels, kind="stable")
    ends = np.concatenate([[0], np.cumsum(counts)])
    member = csr_matrix((np.ones(len(order), np.float32), order, ends), shape=(len(centres), len(points)))
    moved = np.asarray(member @ points, np.float32) / np.maximum(counts, 1)[:, None].astype(np.float32)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        moved[empty] = (
            centres[empty]
            if distances is None
            else points[np.argsort(-distances, kind="stable")[: len(empty)]]
        )
    return moved.astype(np.float32, copy=False)

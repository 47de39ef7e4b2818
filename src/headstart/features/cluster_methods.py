"""The clustering methods by name: each a function of points, number and seed to labels."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import DataError, UnknownName
from headstart.features.kmeans import quick_kmeans
from headstart.measure.cluster_number import Clusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

METHODS = ("kmeans", "hdbscan", "agglomerative", "spectral")
MANY = 20_000
"""Points from which k-means is the quick one, and what needs memory of n squared is refused."""


def cluster_method(name: str, *, min_size: int | None = None, n_starts: int = 10) -> Clusters:
    """The function behind a name.

    Parameters
    ----------
    name : {"kmeans", "hdbscan", "agglomerative", "spectral"}
    min_size : int, optional
        Fewest images of a cluster (hdbscan); default a hundredth of the images, at least 5.
    n_starts : int
        Starts of k-means, the best of which counts.

    Raises
    ------
    UnknownName
    """
    if name not in METHODS:
        raise UnknownName("clustering method", name, METHODS)
    if name == "kmeans":
        return partial(_kmeans, n_starts=n_starts)
    if name == "hdbscan":
        return partial(_hdbscan, min_size=min_size)
    return _agglomerative if name == "agglomerative" else _spectral


def _kmeans(points: NDArray[Any], number: int, seed: int, n_starts: int) -> NDArray[Any]:
    from sklearn.cluster import KMeans

    if len(points) > MANY:
        return quick_kmeans(points, number, seed=seed).labels
    made = KMeans(number, n_init=n_starts, random_state=seed).fit(points)
    return np.asarray(made.labels_, int)


def _hdbscan(points: NDArray[Any], number: int, seed: int, min_size: int | None) -> NDArray[Any]:
    """The number follows from the density; nothing is drawn."""
    from sklearn.cluster import HDBSCAN

    size = max(2, min(min_size or max(5, len(points) // 100), len(points)))
    made = HDBSCAN(min_cluster_size=size, min_samples=min(5, len(points)), copy=True).fit(points)
    return np.asarray(made.labels_, int)


def _agglomerative(points: NDArray[Any], number: int, seed: int) -> NDArray[Any]:
    """Ward's: the two clusters are joined whose union adds least to the sum of squares."""
    from sklearn.cluster import AgglomerativeClustering

    _refuse_many(points, "agglomerative")
    return np.asarray(AgglomerativeClustering(number, linkage="ward").fit(points).labels_, int)


def _spectral(points: NDArray[Any], number: int, seed: int) -> NDArray[Any]:
    from sklearn.cluster import SpectralClustering

    _refuse_many(points, "spectral")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Graph is not fully connected")
        made = SpectralClustering(
            number, affinity="nearest_neighbors", n_neighbors=min(10, len(points)), random_state=seed,
            assign_labels="cluster_qr",
        ).fit(points)  # fmt: skip
    return np.asarray(made.labels_, int)


def _refuse_many(points: NDArray[Any], name: str) -> None:
    if len(points) > MANY:
        raise DataError(
            f"{name} takes memory by the square of the images: at most {MANY:,}, got {len(points):,}; use kmeans"
        )

"""Where features are clustered: brought to one scale and turned to their principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALES = ("unit", "standard", "none")
TINY = 1e-5
FAR = 3.5
CHUNK_ROWS, MOST_LEARNED = 20_000, 50_000


@dataclass(frozen=True, eq=False)
class Space:
    """What is taken off features (d,), what they are multiplied with (d,), and the axes (d, dimensions)."""

    scale: str
    centre: NDArray[np.float32]
    factor: NDArray[np.float32]
    axes: NDArray[np.float32] | None

    @classmethod
    def learned(
        cls, features: NDArray[np.float32], scale: str, dimensions: int, whiten: bool, seed: int = 0
    ) -> Space:
        """The space of some features (n, d), from at most 50,000 of them.

        Raises
        ------
        DataError
            One image, values that are no finite numbers, or images that are all the same.
        """
        if features.ndim != 2 or len(features) < 2:
            n = len(features) if features.ndim else 0
            raise DataError(f"to group takes 2 or more images, got {n}")
        n_odd = int((~np.isfinite(features).all(1)).sum())
        if n_odd:
            raise DataError(f"features of {n_odd} of {len(features)} images are not finite numbers")
        rows: NDArray[Any] = features
        if len(features) > MOST_LEARNED:
            rows = features[np.random.default_rng(seed).choice(len(features), MOST_LEARNED, replace=False)]
        rows = _lengths_made_one(rows) if scale == "unit" else rows
        spread = rows.std(0, dtype=np.float64)
        varies = spread > TINY * np.maximum(np.abs(rows).max(0), TINY)
        if not varies.any():
            raise DataError(
                f"the {len(features)} images are all the same to this network: there is nothing to tell apart"
            )
        factor = np.where(varies, 1 / np.where(varies, spread, 1) if scale == "standard" else 1.0, 0.0)
        centre = rows.mean(0, dtype=np.float64).astype(np.float32)
        made = cls(scale, centre, factor.astype(np.float32), None)
        if dimensions == 0:
            return made
        return cls(scale, centre, made.factor, _axes((rows - centre) * made.factor, dimensions, whiten, seed))

    def moved(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features in this space, float32 (n, dimensions)."""
        parts = []
        for at in range(0, len(features), CHUNK_ROWS):
            part = features[at : at + CHUNK_ROWS]
            part = _lengths_made_one(part) if self.scale == "unit" else part
            part = (part - self.centre) * self.factor
            parts.append(part if self.axes is None else part @ self.axes)
        return np.concatenate(parts).astype(np.float32, copy=False)


def _lengths_made_one(rows: NDArray[Any]) -> NDArray[Any]:
    made: NDArray[Any] = rows / np.maximum(
        np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny
    )
    return made


def _axes(rows: NDArray[Any], dimensions: int, whiten: bool, seed: int) -> NDArray[np.float32]:
    from sklearn.decomposition import PCA

    kept = min(dimensions, *rows.shape)
    fitted = PCA(kept, svd_solver="auto", random_state=seed).fit(rows)
    spread = np.sqrt(fitted.explained_variance_)
    real = spread > TINY * spread[0]
    axes = fitted.components_[real].T
    return np.asarray(axes / spread[real] if whiten else axes, np.float32)


def centres_of(points: NDArray[np.float32], labels: NDArray[Any]) -> NDArray[np.float32]:
    """Mean of each cluster 0, 1, ..., float32 (n_clusters, d)."""
    n_clusters = int(labels.max()) + 1
    if n_clusters == 0:
        return np.zeros((0, points.shape[1]), np.float32)
    return np.stack([points[labels == each].mean(0, dtype=np.float64) for each in range(n_clusters)]).astype(
        np.float32
    )


def nearest_centre(
    points: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nearest centre of each point, int (n,), and the distance to it (n,)."""
    from sklearn.metrics import pairwise_distances_argmin_min

    labels, distances = pairwise_distances_argmin_min(points, centres)
    return np.asarray(labels, np.int64), np.asarray(distances, np.float64)


def far_from_centre(
    points: NDArray[np.float32], labels: NDArray[Any], centres: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Distance of each point to its cluster's centre (n,), and whether it is an outlier (n,).

    Outliers are the points in no cluster, and those whose distance lies above the median of their cluster by
    more than 3.5 times 1.4826 median absolute deviations (Iglewicz and Hoaglin, How to Detect and Handle
    Outliers, 1993). Distances are NaN where there is no cluster at all.
    """
    outliers = labels < 0
    if not len(centres):
        return np.full(len(points), np.nan), np.ones(len(points), bool)
    distances = np.linalg.norm(points - centres[np.maximum(labels, 0)], axis=1).astype(np.float64)
    if outliers.any():
        distances[outliers] = nearest_centre(points[outliers], centres)[1]
    for each in range(len(centres)):
        own = np.flatnonzero(labels == each)
        middle = np.median(distances[own])
        deviation = 1.4826 * np.median(np.abs(distances[own] - middle))
        if deviation > 0:
            outliers[own] = distances[own] > middle + FAR * deviation
    return distances, outliers

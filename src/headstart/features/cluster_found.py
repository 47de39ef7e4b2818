"""What a clustering of a table found, as one frozen value: groups, their typical images, scores."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.features.cluster import ImageClusterer
from headstart.features.cluster_methods import cluster_method
from headstart.images.table import ImageTable
from headstart.measure.cluster_number import NumberCurve, stability
from headstart.measure.clustering import davies_bouldin, scored_agreement, silhouette
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_FOR_MEDOID = 1500


@dataclass(frozen=True)
class Group:
    """One cluster.

    Attributes
    ----------
    number : int
        0 is the largest.
    n, n_outliers : int
        Images, and those of them that lie far out.
    name : str or None
        The most frequent label; None where nothing in it is labelled.
    share : float or None
        Of its labelled images, those with that label, 0..1.
    medoid : int
        Row of the image with the least mean distance to the others.
    typical : tuple of int
        Rows nearest to the centre, nearest first.
    """

    number: int
    n: int
    n_outliers: int
    name: str | None
    share: float | None
    medoid: int
    typical: tuple[int, ...]

    @property
    def title(self) -> str:
        """`3: dress (84 %)`, or the number alone."""
        return f"{self.number}" + ("" if self.name is None else f": {self.name} ({self.share:.0%})")


@dataclass(frozen=True, eq=False)
class Clustering:
    """Groups of the images of a table.

    Attributes
    ----------
    table : ImageTable
        The images that could be read.
    target : str or None
        The label column that groups are held against.
    labels, distances, outliers : arrays (n,)
        See `ImageClusterer`.
    curve : NumberCurve or None
    groups : tuple of Group
    shape : dict of str to Score or None
        silhouette, davies_bouldin, stability: what needs no labels.
    agreement : dict of str to Score
        What labels say; empty where there are none.
    facts : dict
        Method, backbone, layer, pooling, dimensions, seed.
    seconds : dict
        "extract" and "cluster".
    """

    table: ImageTable
    target: str | None
    labels: NDArray[np.int64]
    distances: NDArray[np.float64]
    outliers: NDArray[np.bool_]
    curve: NumberCurve | None
    groups: tuple[Group, ...]
    shape: dict[str, Score | None]
    agreement: dict[str, Score]
    facts: dict[str, Any]
    seconds: dict[str, float]

    def far_rows(self, most: int) -> list[int]:
        """Rows of outliers, the farthest first."""
        rows = np.flatnonzero(self.outliers)
        return [int(row) for row in rows[np.argsort(-self.distances[rows], kind="stable")][:most]]

    def to_dict(self) -> dict[str, Any]:
        """The core of `cluster --json`."""
        scores = {**self.shape, **self.agreement}
        curve = self.curve
        return {
            "data": self.table.name, "n": len(self.labels), "n_unreadable": len(self.table.problems),
            "n_clusters": len(self.groups), "n_outliers": int(self.outliers.sum()), **self.facts,
            "target": self.target, "n_labelled": self.agreement["ari"].n if self.agreement else 0,
            "curve": None if curve is None else asdict(curve),
            "scores": {name: score and score.to_dict() for name, score in scores.items()},
            "clusters": [self._group(each) for each in self.groups],
            "outliers": [self.table.paths[row] for row in self.far_rows(len(self.labels))],
            "seconds": self.seconds,
        }  # fmt: skip

    def _group(self, group: Group) -> dict[str, Any]:
        return {
            "cluster": group.number, "n": group.n, "n_outliers": group.n_outliers, "name": group.name,
            "share": group.share, "medoid": self.table.paths[group.medoid],
            "typical": [self.table.paths[row] for row in group.typical],
        }  # fmt: skip


def cluster_table(
    table: ImageTable, clusterer: ImageClusterer, *, target: str | None = None, n_typical: int = 8
) -> Clustering:
    """Fit a clusterer on a table and describe what it found.

    Parameters
    ----------
    target : str, optional
        Label column; the first by default.
    n_typical : int
        Typical images named for each cluster.

    Raises
    ------
    BadOptions, UnknownName, DataError
    """
    name = table.target(target) if target is not None or table.labels else None
    clusterer.fit_table(table)
    kept = clusterer.table_
    labels = None if name is None else kept.labels[name]
    groups = tuple(_group(each, clusterer, labels, n_typical) for each in range(clusterer.n_clusters_))
    return Clustering(
        kept, name, clusterer.labels_, clusterer.distances_, clusterer.outliers_, clusterer.curve_, groups,
        _shape(clusterer), _agreement(clusterer, labels), _facts(clusterer), dict(clusterer.seconds_),
    )  # fmt: skip


def _group(
    number: int, fitted: ImageClusterer, labels: tuple[str | None, ...] | None, n_typical: int
) -> Group:
    rows = np.flatnonzero(fitted.labels_ == number)
    near = rows[np.argsort(fitted.distances_[rows], kind="stable")]
    known = Counter(labels[row] for row in rows if labels[row] is not None) if labels else Counter()
    name, times = min(known.items(), key=lambda each: (-each[1], str(each[0]))) if known else (None, 0)
    return Group(
        number, len(rows), int(fitted.outliers_[rows].sum()), name,
        times / sum(known.values()) if known else None, medoid(fitted.points_, near), tuple(map(int, near[:n_typical])),
    )  # fmt: skip


def medoid(points: NDArray[Any], rows: NDArray[Any]) -> int:
    """The row with the least mean distance to the others; of many, among the 1,500 that come first."""
    from sklearn.metrics import pairwise_distances

    first = rows[:MOST_FOR_MEDOID]
    return int(first[pairwise_distances(points[first]).sum(1).argmin()])


def _shape(fitted: ImageClusterer) -> dict[str, Score | None]:
    points, labels, n = fitted.points_, fitted.labels_, fitted.n_clusters_
    spread = davies_bouldin(points, labels)
    again = cluster_method(fitted.method, min_size=fitted.min_size, n_starts=3)
    steady = stability(points, again, n, seed=fitted.seed) if len(points) >= 3 and n > 1 else None
    return {
        "silhouette": silhouette(points, labels, seed=fitted.seed),
        "davies_bouldin": None if spread is None else Score(spread, np.nan, np.nan, int((labels >= 0).sum())),
        "stability": steady,
    }


def _agreement(fitted: ImageClusterer, labels: tuple[str | None, ...] | None) -> dict[str, Score]:
    rows = [row for row, label in enumerate(labels or ()) if label is not None]
    if not rows or labels is None:
        return {}
    return scored_agreement([str(labels[row]) for row in rows], fitted.labels_[rows], seed=fitted.seed)


def _facts(fitted: ImageClusterer) -> dict[str, Any]:
    return {
        "method": fitted.method, "choose": fitted.choose if fitted.curve_ is not None else None,
        "scale": fitted.scale, "dimensions": int(fitted.points_.shape[1]), "whiten": fitted.whiten,
        "backbone": str(getattr(fitted.backbone, "name", fitted.backbone)),
        "layer": [fitted.layer] if isinstance(fitted.layer, str) else list(fitted.layer),
        "pooling": fitted.pooling, "seed": fitted.seed,
    }  # fmt: skip

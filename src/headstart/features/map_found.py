"""The map of a table as one frozen value: where each image lies, what is known of it, how far to trust it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import warn
from headstart.features.cluster import ImageClusterer
from headstart.features.extractor import FeatureExtractor
from headstart.features.project import Projection, project
from headstart.images.table import ImageTable
from headstart.measure.projection import MapTrust, map_trust

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageMap:
    """A collection laid out in two dimensions.

    Attributes
    ----------
    table : ImageTable
        The images that could be read.
    target : str or None
        The label column that predictions and neighbours are held against.
    projection : Projection
    trust : MapTrust
    clusters : int array (n,) or None
        -1 in none.
    predictions : tuple of str or None, or None
        One an image, None where there is none.
    facts : dict
        Backbone, layer, pooling: where the features are from.
    seconds : dict
        "extract", "cluster", "project", "measure".
    """

    table: ImageTable
    target: str | None
    projection: Projection
    trust: MapTrust
    clusters: NDArray[np.int64] | None
    predictions: tuple[str | None, ...] | None
    facts: dict[str, Any]
    seconds: dict[str, float]

    @property
    def labels(self) -> tuple[str | None, ...] | None:
        """The labels of the target."""
        return None if self.target is None else self.table.labels[self.target]

    @property
    def errors(self) -> tuple[bool | None, ...] | None:
        """Whether the prediction differs from the label; None where one of them is absent."""
        if self.predictions is None or self.labels is None:
            return None
        pairs = zip(self.predictions, self.labels, strict=True)
        return tuple(None if None in pair else pair[0] != pair[1] for pair in pairs)

    def to_dict(self) -> dict[str, Any]:
        """The core of `map --json`."""
        table, errors = self.table, self.errors
        clusters, predictions = self.clusters, self.predictions
        images = [
            {
                "path": path, "x": float(x), "y": float(y),
                "cluster": None if clusters is None else int(clusters[row]),
                "prediction": None if predictions is None else predictions[row],
            }
            for row, (path, (x, y)) in enumerate(zip(table.paths, self.projection.points, strict=True))
        ]  # fmt: skip
        return {
            "data": table.name, "n": len(table), "n_unreadable": len(table.problems), "target": self.target,
            "method": self.projection.method, **self.projection.facts, **self.facts,
            "n_clusters": None if clusters is None else int(clusters.max()) + 1,
            "n_predicted": None if predictions is None else sum(each is not None for each in predictions),
            "n_errors": None if errors is None else sum(each is True for each in errors),
            "trust": self.trust.to_dict(), "seconds": self.seconds, "images": images,
        }  # fmt: skip


def map_table(
    table: ImageTable,
    *,
    extractor: FeatureExtractor | None = None,
    clusterer: ImageClusterer | None = None,
    predictions: Mapping[str, str] | None = None,
    target: str | None = None,
    method: str = "auto",
    n_neighbors: int = 15,
    perplexity: float = 30.0,
    seed: int = 0,
) -> ImageMap:
    """Lay the images of a table out by how alike a pretrained network finds them.

    Parameters
    ----------
    extractor : FeatureExtractor, optional
        Where features are taken; the default is lite0's last layer.
    clusterer : ImageClusterer, optional
        Groups the same features; None for no groups.
    predictions : mapping of path to class, optional
    target : str, optional
        Label column; the first by default.
    method, n_neighbors, perplexity, seed
        See `project`.

    Raises
    ------
    BadOptions, UnknownName, DataError, MissingPackage
    """
    name = table.target(target) if target is not None or table.labels else None
    maker = extractor or FeatureExtractor()
    start = time.perf_counter()
    kept, features = readable_features(table, maker)
    seconds = {"extract": time.perf_counter() - start}
    found = project(features, method, seed=seed, n_neighbors=n_neighbors, perplexity=perplexity)
    clusters = None
    if clusterer is not None:
        start = time.perf_counter()
        clusters = clusterer.fit_features(features).labels_
        seconds["cluster"] = time.perf_counter() - start
    seconds["project"] = found.seconds
    start = time.perf_counter()
    trust = map_trust(found.space, found.points, None if name is None else kept.labels[name], seed=seed)
    seconds["measure"] = time.perf_counter() - start
    told = None if predictions is None else tuple(predictions.get(path) for path in kept.paths)
    return ImageMap(kept, name, found, trust, clusters, told, _facts(maker), seconds)


def readable_features(
    table: ImageTable, extractor: FeatureExtractor
) -> tuple[ImageTable, NDArray[np.float32]]:
    """The images that can be read, and their features (n, d); the others are left out, aloud.

    Raises
    ------
    DataError
        None of them can be read.
    """
    if not len(table):
        raise DataError(f"{table.name}: there are no images")
    found = extractor.extract(table.items(), table.digests, table.paths)
    if not found.ok.any():
        raise DataError(f"{table.name}: none of the {len(table)} images could be read")
    if found.problems:
        first = found.problems[0]
        warn(f"{len(found.problems)} images cannot be read ({first.path}: {first.reason}, ...)")
    return table.without(found.problems), extractor.joined(found)[found.ok]


def _facts(extractor: FeatureExtractor) -> dict[str, Any]:
    layer: str | Sequence[str] = extractor.layer
    return {
        "backbone": str(getattr(extractor.backbone, "name", extractor.backbone)),
        "layer": [layer] if isinstance(layer, str) else list(layer),
        "pooling": extractor.pooling,
    }

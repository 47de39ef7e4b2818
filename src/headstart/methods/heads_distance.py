"""Heads of distances: nearest class mean and k nearest neighbours.

Nothing is trained; with metric "cosine" scaled features are brought to length 1, after which squared
Euclidean distance is twice one minus the cosine, so that one way of computing serves both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.base.options import among, between, option
from headstart.methods.heads_base import Head
from headstart.methods.heads_gram import ABSENT, class_means
from headstart.methods.heads_select import Model, Round, Step
from headstart.methods.heads_space import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_AT_ONCE = 1024
VOTE_WIDTH = 0.07  # Wu et al. 2018, "Unsupervised feature learning via ... instance discrimination", 3.4


def squared_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared Euclidean distances (n, m) of rows of `a` (n, d) and `b` (m, d), never below 0."""
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :]
    return np.asarray(np.maximum(squares - 2 * (a @ b.T), 0))


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class _MetricHead(Head):
    metric: str = option(
        "cosine",
        "how near is measured",
        choices=("cosine", "euclidean"),
        search=among("cosine", "euclidean"),
    )

    def _scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled = super()._scaled(features)
        return unit_rows(scaled) if self.metric == "cosine" else scaled


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class NearestMeanHead(_MetricHead):
    """Nearest class mean (Mensink et al. 2013); with "cosine" the means are of unit length, too.

    Classes count alike, `balanced` or not: a mean is the same however many images it is of.

    The deviations of single features are noise where there are few images and worth some points where there are
    many, so by default the number of images decides (docs/lab-log.md, 2026-11-29).
    """

    name: ClassVar[str] = "nearest_mean"

    standardise: bool | None = option(
        None,
        "give every feature deviation 1 (of train); by default where train has 20 images a class or more",
        search=among(True, False),
    )
    metric: str = option(
        "euclidean",
        "how near is measured",
        choices=("cosine", "euclidean"),
        search=among("cosine", "euclidean"),
    )

    def _path(
        self, features: NDArray[np.float32], codes: NDArray[np.int64], values: Sequence[Any]
    ) -> Iterator[Model]:
        means, counts = class_means(features, codes, len(self.classes_))
        found = means.astype(np.float32)
        if self.metric == "cosine":
            found = unit_rows(found)
        # -|x - m|^2 without the part that all classes share
        intercept = np.where(counts > 0, -np.square(found).sum(axis=1), ABSENT).astype(np.float32)
        for _ in values:
            yield {"coef": np.ascontiguousarray(2 * found.T), "intercept": intercept}

    def _model_scores(self, model: Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(features @ model["coef"] + model["intercept"])


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class KNNHead(_MetricHead):
    """k nearest neighbours; probabilities are the shares of votes.

    Votes weigh the same, or with weights "distance" exp(-d^2 / (2 * 0.07)), where distances are in units of
    the root mean square length of the training features (Wu et al. 2018, eq. 6, in Euclidean form).
    """

    name: ClassVar[str] = "knn"
    tuned: ClassVar[tuple[str, ...]] = ("n_neighbors",)
    calibrates: ClassVar[bool] = False
    balances: ClassVar[bool] = False
    grid: ClassVar[tuple[int, ...]] = (100, 50, 30, 20, 15, 10, 7, 5, 3, 1)

    n_neighbors: int | None = option(
        None,
        "neighbours that vote; chosen if not given",
        low=1,
        search=between(1, 100, log=True, whole=True),
    )
    weights: str = option(
        "distance", "how votes weigh", choices=("uniform", "distance"), search=among("uniform", "distance")
    )

    def _mistakes(self) -> list[str]:
        if self.n_neighbors is None or isinstance(self.n_neighbors, int | np.integer):
            return []
        return [f"n_neighbors: {self.n_neighbors!r} is not a whole number"]

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        if self.n_neighbors is not None:
            return [{"n_neighbors": int(self.n_neighbors)}]
        most = max(1, len(features) // 2)
        return [{"n_neighbors": k} for k in self.grid if k <= most] or [{"n_neighbors": 1}]

    def _path(
        self, features: NDArray[np.float32], codes: NDArray[np.int64], values: Sequence[Any]
    ) -> Iterator[Model]:
        size = float(np.square(features).sum(axis=1, dtype=np.float64).mean())
        width = 2 * VOTE_WIDTH * max(size, 1e-30)
        for value in values:
            k = min(value["n_neighbors"], len(features))
            yield {"features": features, "codes": codes, "n_neighbors": k, "width": width}

    def _walk(self, one: Round, values: Sequence[Any]) -> Iterator[Step]:
        """Neighbours are found once, for the largest k, and every k counts votes among those."""
        models = list(self._path(one.features, one.codes, values))
        largest = max(models, key=lambda model: int(model["n_neighbors"]))
        near, distances = _neighbours(largest, one.held_features)
        for model in models:
            k = model["n_neighbors"]
            yield model, self._votes(model, near[:, :k], distances[:, :k])

    def _model_scores(self, model: Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._votes(model, *_neighbours(model, features))

    def _votes(
        self, model: Model, near: NDArray[np.int64], distances: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        n, k = len(near), len(self.classes_)
        weight = np.ones(distances.shape)
        if self.weights == "distance":
            weight = np.exp((distances[:, :1] - distances) / np.float32(model["width"]))
        cells = np.arange(n)[:, None] * k + model["codes"][near]
        votes = np.bincount(cells.ravel(), weight.ravel(), n * k).reshape(n, k)
        return np.asarray(votes / votes.sum(axis=1, keepdims=True), dtype=np.float32)

    def _probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        return scores


def _neighbours(model: Model, features: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of the nearest training images, nearest first, and their squared distances; both (n, k)."""
    k, known = int(model["n_neighbors"]), model["features"]
    near, distances = np.empty((len(features), k), np.int64), np.empty((len(features), k), np.float32)
    for start in range(0, len(features), ROWS_AT_ONCE):
        block = squared_distances(features[start : start + ROWS_AT_ONCE], known)
        found = np.argpartition(block, k - 1, axis=1)[:, :k] if k < len(known) else np.arange(k)[None]
        picked = np.take_along_axis(block, np.broadcast_to(found, (len(block), k)), axis=1)
        order = np.argsort(picked, axis=1, kind="stable")
        near[start : start + len(block)] = np.take_along_axis(
            np.broadcast_to(found, picked.shape), order, axis=1
        )
        distances[start : start + len(block)] = np.take_along_axis(picked, order, axis=1)
    return near, distances

"""`ImageClusterer`: images in, groups out, as a scikit-learn estimator over a frozen backbone.

Features are brought to one scale and to a few principal components (distances mean little in a thousand
dimensions), then clustered; the number of clusters is chosen where none is given.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from headstart.backbones.input_size import Given
from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import warn
from headstart.features.cluster_methods import MANY, METHODS, cluster_method
from headstart.features.cluster_space import SCALES, Space, centres_of, far_from_centre, nearest_centre
from headstart.features.extractor import FeatureExtractor
from headstart.features.store import DEFAULT_CACHE_GB
from headstart.images.table import ImageTable
from headstart.measure.cluster_number import RULES, NumberCurve, choose_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.backbones.load import Backbone

AUTO = "auto"
DIMENSIONS = 50
CURVE_STARTS = 3


def _assigns(estimator: ImageClusterer) -> bool:
    if estimator.method != "kmeans":
        raise AttributeError(f"only kmeans assigns new images, not {estimator.method}")
    return True


class ImageClusterer(ClusterMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """Groups of images that look alike to a frozen pretrained network.

    Parameters
    ----------
    method : {"kmeans", "hdbscan", "agglomerative", "spectral"}
    n : int or "auto"
        Clusters; "auto" lets `choose` settle it. hdbscan finds its own number and takes none.
    choose : {"modularity", "silhouette", "gap", "stability"}
    most : int
        Largest number that "auto" tries.
    min_size : int, optional
        Fewest images of a cluster, for hdbscan.
    scale : {"standard", "unit", "none"}
        Each feature with variance 1, features of unit length, or as they are.
    dimensions : int
        Principal components that are kept; 0 keeps the features.
    whiten : bool
        Give each component variance 1.
    backbone, layer, pooling, engine, precision, input_size, cache_gb
        See `FeatureExtractor`.
    seed : int

    Attributes
    ----------
    labels_ : int (n,)
        Cluster of each image, the largest is 0; -1 in none (hdbscan).
    n_clusters_ : int
    curve_ : NumberCurve or None
        What the number was chosen by.
    points_ : float32 (n, dimensions)
        The images where they were clustered.
    centres_ : float32 (n_clusters, dimensions)
    distances_ : float (n,)
        To the centre of the own cluster, or the nearest one.
    outliers_ : bool (n,)
        In no cluster, or far from its centre (see `far_from_centre`).
    table_ : ImageTable
        After `fit_table`: the images that could be read, in the order of `labels_`.
    seconds_ : dict
        "extract" and "cluster", wall-clock.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> dark = rng.integers(0, 50, (4, 32, 32, 3)).astype(np.uint8)
    >>> groups = ImageClusterer(layer="stage2", n=2).fit(np.concatenate([dark, 255 - dark]))
    >>> sorted(np.bincount(groups.labels_).tolist())
    [4, 4]
    """

    def __init__(
        self,
        *,
        method: str = "kmeans",
        n: int | str = AUTO,
        choose: str = "modularity",
        most: int = 20,
        min_size: int | None = None,
        scale: str = "standard",
        dimensions: int = DIMENSIONS,
        whiten: bool = False,
        backbone: str | Backbone = "lite0",
        layer: str | Sequence[str] = "pool",
        pooling: str = "avg",
        engine: str = "auto",
        precision: str = "float32",
        input_size: Given | None = None,
        cache_gb: float = DEFAULT_CACHE_GB,
        seed: int = 0,
    ) -> None:
        self.method = method
        self.n = n
        self.choose = choose
        self.most = most
        self.min_size = min_size
        self.scale = scale
        self.dimensions = dimensions
        self.whiten = whiten
        self.backbone = backbone
        self.layer = layer
        self.pooling = pooling
        self.engine = engine
        self.precision = precision
        self.input_size = input_size
        self.cache_gb = cache_gb
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> ImageClusterer:
        """Group images: paths, PIL images or arrays; `y` is not looked at.

        Raises
        ------
        BadOptions, UnknownName, DataError
        """
        self._check()
        start = time.perf_counter()
        self.extractor_ = self._extractor()
        features = self.extractor_.fit_transform(X)
        return self._timed(features, time.perf_counter() - start)

    def fit_table(self, table: ImageTable) -> ImageClusterer:
        """Group the images of a table; those that cannot be read are left out, aloud.

        Raises
        ------
        BadOptions, UnknownName, DataError
        """
        self._check()
        start = time.perf_counter()
        if not len(table):
            raise DataError(f"{table.name}: there are no images")
        self.extractor_ = self._extractor()
        found = self.extractor_.extract(table.items(), table.digests, table.paths)
        if not found.ok.any():
            raise DataError(f"{table.name}: none of the {len(table)} images could be read")
        if found.problems:
            first = found.problems[0]
            warn(f"{len(found.problems)} images cannot be read ({first.path}: {first.reason}, ...)")
        self.table_ = table.without(found.problems)
        features = self.extractor_.joined(found)[found.ok]
        return self._timed(features, time.perf_counter() - start)

    def fit_features(self, features: Any) -> ImageClusterer:
        """Group rows of features, (n, d).

        Raises
        ------
        BadOptions, UnknownName, DataError
        """
        self._check()
        return self._timed(np.asarray(features, np.float32), 0.0)

    @available_if(_assigns)  # type: ignore[untyped-decorator,unused-ignore]
    def predict(self, X: Any) -> NDArray[np.int64]:
        """Cluster with the nearest centre, of images that `fit` may not have seen, int (n,); kmeans alone."""
        check_is_fitted(self, "centres_")
        if not hasattr(self, "extractor_"):
            raise DataError("fitted on features: give features to predict_features")
        found: NDArray[np.int64] = self.predict_features(self.extractor_.transform(X))
        return found

    @available_if(_assigns)  # type: ignore[untyped-decorator,unused-ignore]
    def predict_features(self, features: Any) -> NDArray[np.int64]:
        """`predict` for rows of features, (n, d)."""
        check_is_fitted(self, "centres_")
        return nearest_centre(self.space_.moved(np.asarray(features, np.float32)), self.centres_)[0]

    def _check(self) -> None:
        for kind, name, known in (
            ("clustering method", self.method, METHODS),
            ("rule for the number of clusters", self.choose, RULES),
            ("scale", self.scale, SCALES),
        ):
            if name not in known:
                raise UnknownName(kind, str(name), known)
        wrong = []
        number = self.n
        if number != AUTO and (isinstance(number, bool | str) or int(number) != number or number < 1):
            wrong.append(f"n: expected 'auto' or a whole number of at least 1, got {number!r}")
        elif number != AUTO and self.method == "hdbscan":
            wrong.append("n: hdbscan finds its own number of clusters; leave n out, or set min_size")
        if self.min_size is not None and self.min_size < 2:
            wrong.append(f"min_size: expected at least 2, got {self.min_size}")
        if self.most < 2:
            wrong.append(f"most: expected at least 2, got {self.most}")
        if self.dimensions < 0:
            wrong.append(f"dimensions: expected 0 or more, got {self.dimensions}")
        if wrong:
            raise BadOptions(wrong)

    def _extractor(self) -> FeatureExtractor:
        return FeatureExtractor(
            backbone=self.backbone, layer=self.layer, pooling=self.pooling, engine=self.engine,
            precision=self.precision, input_size=self.input_size, cache_gb=self.cache_gb,
        )  # fmt: skip

    def _timed(self, features: NDArray[np.float32], seconds: float) -> ImageClusterer:
        start = time.perf_counter()
        self._group(features)
        self.seconds_ = {"extract": seconds, "cluster": time.perf_counter() - start}
        return self

    def _group(self, features: NDArray[np.float32]) -> None:
        self.space_ = Space.learned(features, self.scale, self.dimensions, self.whiten, self.seed)
        points = self.space_.moved(features)
        n_distinct = len(np.unique(points[:MANY], axis=0))
        cluster = cluster_method(self.method, min_size=self.min_size)
        self.curve_: NumberCurve | None = None
        number = 0
        if self.method != "hdbscan":
            number = self._number(points, n_distinct)
        raw = cluster(points, number, self.seed)
        self.labels_ = _by_size(raw)
        self.n_clusters_ = int(self.labels_.max()) + 1
        self.points_ = points
        self.centres_ = centres_of(points, self.labels_)
        if self.n_clusters_ == 0:
            warn("hdbscan found no cluster; a smaller min_size or fewer dimensions may help")
        self.distances_, self.outliers_ = far_from_centre(points, self.labels_, self.centres_)

    def _number(self, points: NDArray[np.float32], n_distinct: int) -> int:
        if self.n != AUTO:
            if int(self.n) > n_distinct:
                raise DataError(
                    f"n: {self.n} clusters of {len(points)} images, {n_distinct} of them different; ask for fewer"
                )
            return int(self.n)
        quick = cluster_method(self.method, min_size=self.min_size, n_starts=CURVE_STARTS)
        most = min(self.most, n_distinct - 1) if n_distinct < len(points) else self.most
        curve = choose_number(points, quick, rule=self.choose, most=max(2, most), seed=self.seed)
        self.curve_ = curve
        return curve.chosen


def _by_size(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Clusters numbered by falling size, -1 as it is."""
    numbers, first, counts = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    new = {int(numbers[old]): at for at, old in enumerate(order)}
    return np.array([new.get(int(label), -1) for label in labels], np.int64)

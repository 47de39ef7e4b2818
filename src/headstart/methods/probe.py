"""Scenario `features`: a frozen pretrained network, and a classical classifier on what it says.

The first of the three scenarios of transfer learning (Sharif Razavian et al., CNN Features Off-the-Shelf,
CVPR Workshops 2014; Donahue et al., DeCAF, ICML 2014).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from headstart.backbones.input_size import Given
from headstart.base.errors import DataError
from headstart.features.extractor import FeatureExtractor, item_digest, listed
from headstart.features.store import DEFAULT_CACHE_GB
from headstart.images.flow import Flow
from headstart.images.table import ImageTable
from headstart.methods.from_flow import Seen, given_options, held_out, named, ready
from headstart.methods.heads import make_head

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone


class TransferClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """A pretrained network as a fixed feature extractor with a classifier on top.

    Parameters
    ----------
    backbone, layer, pooling, engine, precision, input_size, cache_gb
        See `FeatureExtractor`.
    head : {"logistic", "linear_svm", "rbf_svm", "knn", "nearest_mean", "lda", "ridge"}
    head_options : dict, optional
        Options of the head, e.g. {"C": 0.01} to fix what would be chosen.
    n_folds : int
        Inner folds of train, where no validation images are given.
    seed : int
        Of the inner folds.
    refit : bool
        Let the validation images join train once the regularisation is chosen.

    Attributes
    ----------
    classes_, chosen_, selection_, selected_on_
        See `headstart.methods.contract.Method`.
    head_ : Head
    extractor_ : FeatureExtractor
    seconds_ : dict
        "extract" and "fit", wall-clock.

    Examples
    --------
    >>> import numpy as np
    >>> dark, light = np.zeros((4, 32, 32, 3), np.uint8), np.full((4, 32, 32, 3), 250, np.uint8)
    >>> model = TransferClassifier(layer="stage2", head="nearest_mean")
    >>> model.fit(np.concatenate([dark, light]), ["dark"] * 4 + ["light"] * 4).predict(light[:1])
    array(['light'], dtype='<U5')
    """

    scenario = "features"

    def __init__(
        self,
        *,
        backbone: str | Backbone = "lite0",
        layer: str | Sequence[str] = "pool",
        pooling: str = "avg",
        head: str = "logistic",
        head_options: dict[str, Any] | None = None,
        engine: str = "auto",
        precision: str = "float32",
        input_size: Given | None = None,
        n_folds: int = 5,
        seed: int = 0,
        refit: bool = False,
        cache_gb: float = DEFAULT_CACHE_GB,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.pooling = pooling
        self.head = head
        self.head_options = head_options
        self.engine = engine
        self.precision = precision
        self.input_size = input_size
        self.n_folds = n_folds
        self.seed = seed
        self.refit = refit
        self.cache_gb = cache_gb

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
        groups: Sequence[Any] | None = None,
        steps_per_epoch: int | None = None,
        validation_data: Any = None,
    ) -> TransferClassifier:
        """Fit the head on the features of X; the network does not change.

        Parameters
        ----------
        X : sequence of paths, PIL images or arrays, or one array (n, height, width[, 3]), or a Flow
            A generator's flow brings its labels; where it augments, features are of what it shows.
        y : sequence, shape (n,)
        validation : (X, y), optional
            Images to choose the regularisation on; without them inner folds of X serve.
        groups : sequence, optional
            What inner folds must not part.
        steps_per_epoch : int, optional
            Batches of a flow that are learned from (default: one epoch).
        validation_data : Flow or (X, y), optional
            As `validation`, by Keras's name.

        Raises
        ------
        DataError, BadOptions, UnknownName
        """
        make_head(self.head, **(self.head_options or {}))
        given_options(X, y, steps_per_epoch, validation, validation_data)
        validation = validation or held_out(validation_data)
        if isinstance(X, Flow):
            return self._fit_flow(X, steps_per_epoch, validation)
        items, labels = listed(X), np.asarray(y)
        if len(items) != len(labels):
            raise DataError(f"{len(items)} images with {len(labels)} labels")
        extractor = self._extractor()
        start = time.perf_counter()
        features = extractor.transform(items)
        held = None if validation is None else (extractor.transform(validation[0]), np.asarray(validation[1]))
        return self._fit_head(features, labels, held, groups, extractor, time.perf_counter() - start)

    def _fit_flow(self, flow: Flow, steps: int | None, validation: Any) -> TransferClassifier:
        """Features of what a flow shows; rows of one image stay together in the inner folds."""
        from headstart.backbones.load import load

        items, labels = named(flow)
        start = time.perf_counter()
        extractor = self._extractor()
        held = None if validation is None else (extractor.transform(validation[0]), np.asarray(validation[1]))
        if not flow.views.changes and steps is None:
            features = extractor.transform(items)
            return self._fit_head(features, labels, held, None, extractor, time.perf_counter() - start)
        backbone = load(self.backbone).at(self.input_size)
        seen = Seen(flow, steps or len(flow), backbone.card.preprocessing)
        shown = self._extractor()
        shown.set_params(backbone=ready(backbone), input_size=None)
        found = shown.extract(seen, seen.digests([item_digest(each) for each in items]))
        if found.problems:
            raise DataError(f"{len(found.problems)} images cannot be read ({found.problems[0].reason})")
        features = shown.joined(found)
        if held is None:
            extractor.transform(items[:1])  # learns its width, for predicting
        groups = seen.rows.tolist()
        return self._fit_head(
            features, labels[seen.rows], held, groups, extractor, time.perf_counter() - start
        )

    def fit_table(self, table: ImageTable, target: str | None = None) -> TransferClassifier:
        """Fit on the table's train split, choose on its validation split if there is one; test is never read.

        A table without splits is all train. Images that cannot be read are left out and kept in `problems_`.
        """
        name = table.target(target)
        fitting = table.rows("train") if table.splits is not None else table.rows("all")
        held = table.rows("validation")
        labelled = [row for row in [*fitting, *held] if table.labels[name][row] is not None]
        part = table.select(labelled)
        if not fitting:
            raise DataError(f"{table.name} has no training images")
        start = time.perf_counter()
        extractor = self._extractor()
        found = extractor.extract(part.items(), part.digests, part.paths)
        seconds = time.perf_counter() - start
        matrix, labels = extractor.joined(found), np.asarray(part.labels[name])
        validation = (
            np.array([(part.splits or ["train"])[row] == "validation" for row in range(len(part))])
            if part.splits
            else np.zeros(len(part), bool)
        )
        train, other = found.ok & ~validation, found.ok & validation
        groups = None if part.groups is None else [part.groups[row] for row in np.flatnonzero(train)]
        self.problems_ = found.problems
        self.n_train_, self.n_validation_ = int(train.sum()), int(other.sum())
        self.seen_ = tuple(part.digests[row] for row in np.flatnonzero(found.ok))
        held_out = (matrix[other], labels[other]) if other.any() else None
        return self._fit_head(matrix[train], labels[train], held_out, groups, extractor, seconds)

    def _extractor(self) -> FeatureExtractor:
        return FeatureExtractor(
            backbone=self.backbone, layer=self.layer, pooling=self.pooling, engine=self.engine,
            precision=self.precision, input_size=self.input_size, cache_gb=self.cache_gb,
        )  # fmt: skip

    def _fit_head(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        held: Any,
        groups: Any,
        extractor: FeatureExtractor,
        seconds: float,
    ) -> TransferClassifier:
        start = time.perf_counter()
        head = make_head(self.head, **(self.head_options or {}))
        head.fit(
            features,
            labels,
            validation=held,
            n_folds=self.n_folds,
            seed=self.seed,
            groups=groups,
            refit=self.refit,
        )
        self.head_, self.extractor_ = head, extractor
        self.classes_ = head.classes_
        self.chosen_, self.selection_, self.selected_on_ = head.chosen_, head.selection_, head.selected_on_
        self.seconds_ = {"extract": seconds, "fit": time.perf_counter() - start}
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, k), columns as in `classes_`."""
        check_is_fitted(self, "head_")
        return np.asarray(self.head_.predict_proba(self.extractor_.transform(X)))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each image."""
        check_is_fitted(self, "head_")
        return np.asarray(self.head_.predict(self.extractor_.transform(X)))

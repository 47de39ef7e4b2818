"""Ridge and LDA: linear heads in closed form, where one eigendecomposition serves the whole path.

Ridge: least squares on +1 / -1 targets (Hoerl & Kennard 1970; Hastie et al. 2009, section 4.2). LDA: class
means and a shared covariance shrunk towards a multiple of the identity (Friedman 1989; Ledoit & Wolf 2004).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.base.errors import UsageError
from headstart.base.options import between, option
from headstart.methods.heads_linear import LinearHead
from headstart.methods.heads_select import Model
from headstart.methods.heads_space import MOST_DIRECTIONS, EigenSpace, eigen_space

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABSENT = -1e4  # score of a class that a fold has no image of


def class_means(
    features: NDArray[np.float32], codes: NDArray[np.int64], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean of each class (k, d), zeros where it has no image, and counts (k,)."""
    counts = np.bincount(codes, minlength=n_classes)
    member = np.zeros((n_classes, len(codes)), np.float32)
    member[codes, np.arange(len(codes))] = 1
    return (member @ features).astype(np.float64) / np.maximum(counts, 1)[:, None], counts


def _directions(
    head: str, features: NDArray[np.float32], mean: NDArray[np.float32] | None = None
) -> EigenSpace:
    space = eigen_space(features, mean)
    if space is None:
        n, d = features.shape
        raise UsageError(
            f"{head} needs at most {MOST_DIRECTIONS} images or features; got {n} x {d}: "
            "take another pooling than flat, or the head logistic"
        )
    return space


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class RidgeHead(LinearHead):
    """Ridge regression on class indicators; probabilities by temperature scaling."""

    name: ClassVar[str] = "ridge"
    tuned: ClassVar[tuple[str, ...]] = ("alpha",)
    grid: ClassVar[tuple[float, ...]] = (1e5, 3e4, 1e4, 3e3, 1e3, 3e2, 1e2, 1e1, 1.0)

    alpha: float | None = option(
        None, "penalty; chosen along a path if not given", low=1e-12, search=between(1e-1, 1e6, log=True)
    )

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        return [{"alpha": float(a)} for a in (self.grid if self.alpha is None else (self.alpha,))]

    def _path(
        self, features: NDArray[np.float32], codes: NDArray[np.int64], values: Sequence[Any]
    ) -> Iterator[Model]:
        target = np.full((len(codes), len(self.classes_)), -1, np.float32)
        target[np.arange(len(codes)), codes] = 1
        weights = self._weights(codes)
        if weights is None:
            space = _directions(self.name, features)
            mean = target.mean(axis=0, dtype=np.float64)
            along = (space.enter(features).T @ (target - mean.astype(np.float32))).astype(np.float64)
        else:  # least squares of rows that are times the root of their weight, about the weighted means
            root, zero = np.sqrt(weights), np.zeros(features.shape[1], np.float32)
            centre = (features * weights).mean(axis=0, dtype=np.float64).astype(np.float32)
            mean = (target * weights).mean(axis=0, dtype=np.float64)
            rows = (features - centre) * root
            space = _directions(self.name, rows, zero)
            along = (space.enter(rows).T @ ((target - mean.astype(np.float32)) * root)).astype(np.float64)
            space = dataclasses.replace(space, mean=centre)
        for value in values:
            coef = along / (space.eigenvalues + value["alpha"])[:, None]
            yield space.leave({"coef": coef.astype(np.float32), "intercept": mean.astype(np.float32)})


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class LDAHead(LinearHead):
    """Linear discriminant analysis with a shrunk covariance; probabilities by temperature scaling.

    It has probabilities of its own, but with about as many features as images they are far too sure.
    """

    name: ClassVar[str] = "lda"
    tuned: ClassVar[tuple[str, ...]] = ("shrinkage",)
    grid: ClassVar[tuple[float, ...]] = (1.0, 0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001)

    shrinkage: float | None = option(
        None,
        "share of the identity in the covariance; chosen along a path if not given",
        low=1e-6,
        high=1.0,
        search=between(1e-4, 1.0, log=True),
    )

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        return [{"shrinkage": float(s)} for s in (self.grid if self.shrinkage is None else (self.shrinkage,))]

    def _path(
        self, features: NDArray[np.float32], codes: NDArray[np.int64], values: Sequence[Any]
    ) -> Iterator[Model]:
        n, d = features.shape
        means, counts = class_means(features, codes, len(self.classes_))
        weights = self._weights(codes)
        mass = counts if weights is None else np.bincount(codes, weights[:, 0], len(counts))
        centre = (mass @ means) / n
        means -= centre
        within = features - (means + centre).astype(np.float32)[codes]
        within = within if weights is None else within * np.sqrt(weights)
        space = _directions(self.name, within, np.zeros(d, np.float32))
        variances = space.eigenvalues / n
        spread = float(np.square(means).mean())  # where no class has two images, the means give the scale
        average = max(float(variances.sum()) / d, 1e-6 * spread, 1e-30)
        along = space.directions.T @ means.T.astype(np.float32)
        with np.errstate(divide="ignore"):
            prior = np.where(counts > 0, np.log(mass / n), ABSENT)
        for value in values:
            floor = value["shrinkage"] * average
            gain = 1 / ((1 - value["shrinkage"]) * variances + floor) - 1 / floor
            coef = means.T / floor + space.directions @ (along * gain[:, None])
            intercept = prior - 0.5 * (means.T * coef).sum(axis=0) - centre @ coef
            yield {"coef": coef.astype(np.float32), "intercept": intercept.astype(np.float32)}

"""Logistic regression and linear SVM: smooth convex losses along one warm-started L-BFGS path.

Both minimise |W|^2 / 2 + C * sum of losses over W (d, k), the intercept left free. Logistic: multinomial
cross-entropy (Hastie et al. 2009, section 4.4). SVM: one-vs-rest squared hinge in the primal (Fan et al.
2008; Chapelle 2007), all classes in one matrix product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Optional

import numpy as np

from headstart.base.events import warn
from headstart.base.options import between, option
from headstart.methods.calibrate import log_softmax
from headstart.methods.heads_base import Head
from headstart.methods.heads_products import NarrowProducts
from headstart.methods.heads_select import Model
from headstart.methods.heads_solver import lbfgs
from headstart.methods.heads_space import EigenSpace, eigen_space

if TYPE_CHECKING:
    from numpy.typing import NDArray

Slopes = tuple[float, "NDArray[np.float32]", "NDArray[np.float64]"]
Weights = Optional["NDArray[np.float32]"]
Loss = Callable[["NDArray[np.float32]", "NDArray[np.int64]", Weights], Slopes]
MAX_ITERATIONS = 1000
TOLERANCE = 1e-3


def summed(each: NDArray[Any], slope: NDArray[Any], bend: NDArray[Any], weights: Weights) -> Slopes:
    """Sum of the losses of each image, their slope, mean curvature; all times the weights, (n, 1) or (n, k)."""
    if weights is not None:
        each, slope, bend = each * weights, slope * weights, bend * weights
    return float(each.sum(dtype=np.float64)), slope, bend.mean(axis=0, dtype=np.float64)


def cross_entropy(scores: NDArray[np.float32], codes: NDArray[np.int64], weights: Weights = None) -> Slopes:
    """Sum of the multinomial log losses, its slope in the scores (n, k), mean curvature a class (k,)."""
    logs = log_softmax(scores)
    rows = np.arange(len(codes))
    slope = np.exp(logs)
    bend = slope * (1 - slope)
    slope[rows, codes] -= 1
    return summed(-logs[rows, codes][:, None], slope, bend, weights)


def squared_hinge(scores: NDArray[np.float32], codes: NDArray[np.int64], weights: Weights = None) -> Slopes:
    """Sum over images and classes of max(0, 1 - margin)^2, one against the rest; slope; mean curvature."""
    sign = np.full_like(scores, -1)
    sign[np.arange(len(codes)), codes] = 1
    short = np.maximum(1 - sign * scores, 0)
    return summed(
        np.square(short), -2 * sign * short, np.where(short > 0, np.float32(2), np.float32(0)), weights
    )


def linear_path(
    features: NDArray[np.float32],
    codes: NDArray[np.int64],
    n_classes: int,
    strengths: Sequence[float],
    loss: Loss,
    *,
    tolerance: float = TOLERANCE,
    weights: Weights = None,
) -> Iterator[Model]:
    """Solutions for each C in turn, each started from the one before.

    The solver works on coordinates scaled by the square root of their curvature (decay + mean curvature of
    the loss x mean square of the feature), which is the diagonal of the Hessian, all but exactly.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
        Best uncorrelated and centred (`EigenSpace.enter`): any will do, those are quickest.
    tolerance : float
        Where to stop: largest slope in the scaled coordinates, of the mean loss.
    weights : ndarray of float32, shape (n, 1) or (n, k), optional
        What the losses of each image count; best with a mean of 1.

    Yields
    ------
    dict
        "coef" (d, k) and "intercept" (k,), float32.
    """
    n, d = features.shape
    squares = np.append(np.square(features).mean(axis=0, dtype=np.float64), 1.0)[:, None]
    point = np.zeros((d + 1, n_classes))
    products = NarrowProducts(features, n_classes)
    for strength in strengths:
        decay = np.append(np.full(d, 1.0 / (strength * n)), 0.0)[:, None]
        point = _minimise(point, products, codes, decay, squares, lambda s, c: loss(s, c, weights), tolerance)
        solution = point.astype(np.float32)
        yield {"coef": solution[:d], "intercept": solution[d]}


def _minimise(
    start: NDArray[np.float64],
    products: NarrowProducts,
    codes: NDArray[np.int64],
    decay: NDArray[np.float64],
    squares: NDArray[np.float64],
    loss: Callable[[NDArray[np.float32], NDArray[np.int64]], Slopes],
    tolerance: float,
) -> NDArray[np.float64]:
    """Weights (d + 1, k), intercept last, that minimise mean loss + decay / 2 * weights^2."""
    n = products.n

    def scores(weights: NDArray[np.float64]) -> NDArray[np.float32]:
        w = weights.astype(np.float32)
        return np.asarray(products.scores(w[:-1]) + w[-1])

    curvature = loss(scores(start), codes)[2]
    step = 1 / np.sqrt(decay + squares * np.maximum(curvature, 1e-3))

    def cost(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(start.shape) * step
        value, slope, _ = loss(scores(weights), codes)
        gradient = decay * weights
        gradient[:-1] += products.slopes(slope) / n
        gradient[-1] += slope.sum(axis=0, dtype=np.float64) / n
        penalty = 0.5 * float((decay * np.square(weights)).sum())
        return value / n + penalty, (gradient * step).ravel()

    found, converged = lbfgs(cost, (start / step).ravel(), tolerance=tolerance, max_iterations=MAX_ITERATIONS)
    if not converged:
        warn(f"a linear head stopped after {MAX_ITERATIONS} steps, before its tolerance was reached")
    return np.asarray(found.reshape(start.shape) * step)


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class LinearHead(Head):
    """A head whose scores are one matrix product."""

    @property
    def coef_(self) -> NDArray[np.float32]:
        """Weights (k, d) of the scaled features."""
        return np.asarray(self.model_["coef"].T)

    @property
    def intercept_(self) -> NDArray[np.float32]:
        """Intercepts (k,)."""
        return np.asarray(self.model_["intercept"])

    def _model_scores(self, model: Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(features @ model["coef"] + model["intercept"])


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class _PathHead(LinearHead):
    tuned: ClassVar[tuple[str, ...]] = ("C",)
    stops_early: ClassVar[bool] = True
    loss: ClassVar[Loss]
    grid: ClassVar[tuple[float, ...]]

    C: float | None = option(
        None,
        "inverse regularisation; chosen along a path if not given",
        low=1e-12,
        search=between(1e-6, 1e2, log=True),
    )
    tolerance: float = option(
        TOLERANCE,
        "largest slope (of the mean loss, coordinates scaled) at which the solver stops",
        low=1e-12,
        high=1.0,
    )

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        return [{"C": float(c)} for c in (self.grid if self.C is None else (self.C,))]

    def _space(self, features: NDArray[np.float32]) -> EigenSpace | None:
        return eigen_space(features)

    def _path(
        self, features: NDArray[np.float32], codes: NDArray[np.int64], values: Sequence[Any]
    ) -> Iterator[Model]:
        strengths = [value["C"] for value in values]
        yield from linear_path(
            features, codes, len(self.classes_), strengths, type(self).loss, tolerance=self.tolerance,
            weights=self._weights(codes),
        )  # fmt: skip


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class LogisticHead(_PathHead):
    """Multinomial logistic regression with an L2 penalty; its probabilities are its own."""

    name: ClassVar[str] = "logistic"
    calibrates: ClassVar[bool] = False
    loss: ClassVar[Loss] = staticmethod(cross_entropy)
    grid: ClassVar[tuple[float, ...]] = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 10.0)


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class LinearSVMHead(_PathHead):
    """One-vs-rest linear SVM with squared hinge; probabilities by temperature scaling."""

    name: ClassVar[str] = "linear_svm"
    loss: ClassVar[Loss] = staticmethod(squared_hinge)
    grid: ClassVar[tuple[float, ...]] = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

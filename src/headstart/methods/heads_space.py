"""The eigenbasis of the training features: where linear heads are quick to fit.

An L2 penalty does not change under rotation, so a linear head may be fitted in any orthonormal basis of the
span of its features. In that of the principal directions the features are uncorrelated, so scaling each
coordinate by its curvature makes L-BFGS need few steps; and n images span at most n directions, however
many features they have (flattened maps).

The decomposition runs on one thread: it is bound by memory, and two threads wait for each other at each of its
steps (1280 directions: 0.4 s on one thread, 1.2 to 13 s on two while other programs run).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.methods.heads_shared import once

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_DIRECTIONS = 6000  # beyond that the eigendecomposition costs more than it saves
SMALLEST_EIGENVALUE = 1e-10  # of the largest: below it a direction is rounding error
LEAST_LENGTH = np.float32(1e-12)


def unit_rows(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (n, d) at length 1; a row of zeros stays zero."""
    return once("unit", (features,), lambda: _unit_rows(features))


def _unit_rows(features: NDArray[np.float32]) -> NDArray[np.float32]:
    largest = np.maximum(np.abs(features).max(axis=1, keepdims=True), LEAST_LENGTH)
    known = features / largest  # squares of very large or small numbers leave float32's range
    lengths = np.sqrt(np.square(known).sum(axis=1, keepdims=True))
    return np.asarray(known / np.maximum(lengths, LEAST_LENGTH))


@dataclass(frozen=True, eq=False)
class EigenSpace:
    """Principal directions of features.

    Attributes
    ----------
    mean : ndarray, shape (d,)
    directions : ndarray, shape (d, r)
        Orthonormal columns; r at most n and d.
    eigenvalues : ndarray, shape (r,)
        Sums of squares along the directions.
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    eigenvalues: NDArray[np.float64]

    def enter(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coordinates (n, r) of features (n, d)."""
        arrays = (features, self.mean, self.eigenvalues)
        return once(
            "enter", arrays, lambda: np.asarray((features - self.mean) @ self.directions), made_of=np.ndarray
        )

    def leave(self, model: dict[str, Any]) -> dict[str, Any]:
        """A linear model of the coordinates as one of the features: "coef" (d, k), "intercept" (k,)."""
        coef = self.directions @ model["coef"]
        return {"coef": coef, "intercept": model["intercept"] - self.mean @ coef}


def eigen_space(features: NDArray[np.float32], mean: NDArray[np.float32] | None = None) -> EigenSpace | None:
    """Principal directions from the smaller of covariance (d, d) and Gram matrix (n, n).

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    mean : ndarray, shape (d,), optional
        Centre; the mean of the features if not given.

    Returns
    -------
    EigenSpace or None
        None where both n and d are above `MOST_DIRECTIONS`.
    """
    if min(features.shape) > MOST_DIRECTIONS:
        return None
    given = (features,) if mean is None else (features, mean)
    return once("space", given, lambda: _eigen_space(features, mean), made_of=EigenSpace)


def _eigen_space(features: NDArray[np.float32], mean: NDArray[np.float32] | None) -> EigenSpace:
    n, d = features.shape
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32) if mean is None else mean
    centred = features - centre
    product = centred.T @ centred if d <= n else centred @ centred.T
    with threadpool_limits(1, user_api="blas"):
        values, vectors = np.linalg.eigh(product.astype(np.float64))
    kept = values > max(float(values[-1]), 1e-30) * SMALLEST_EIGENVALUE
    if d > n:
        vectors = centred.T @ (vectors / np.sqrt(np.where(kept, values, 1.0))).astype(np.float32)
        # in float32 the smallest directions are no longer quite orthogonal: leave those out
        kept &= values > float(values[-1]) * np.finfo(np.float32).eps * 10
    if not kept.any():
        kept[-1] = True
    return EigenSpace(centre, np.ascontiguousarray(vectors[:, kept], np.float32), values[kept])

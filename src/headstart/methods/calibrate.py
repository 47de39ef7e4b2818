"""Temperature scaling: one number that turns decision scores into honest probabilities.

Guo et al. 2017, "On calibration of modern neural networks", section 4.2. It is fitted on scores of held-out
images, never of those the head was trained on, and cannot change which class comes first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# T over the scores' own spread: below, everything is certain; above, float32 could no longer rank classes
SMALLEST, LARGEST = math.log(1e-4), math.log(1e2)


def log_softmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Row-wise log softmax, in the precision of the scores."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Row-wise softmax, in the precision of the scores."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def nll(
    scores: NDArray[Any],
    codes: NDArray[np.int64],
    temperature: float = 1.0,
    weights: NDArray[Any] | None = None,
) -> float:
    """Mean negative log likelihood of softmax(scores / temperature), in nats; weighted where there are weights (n,)."""
    logs = log_softmax(np.asarray(scores, dtype=np.float64) / temperature)
    return float(-np.average(logs[np.arange(len(codes)), codes], weights=weights))


def fit_temperature(scores: NDArray[Any], codes: NDArray[np.int64]) -> float:
    """The T that makes softmax(scores / T) most likely on held-out images.

    One pseudo-image with an even spread of labels is added (after Platt 1999, section 2.2), so that T stays
    finite where every held-out image is right.

    Parameters
    ----------
    scores : ndarray of float, shape (n, k)
        Decision scores of images that the head was not trained on.
    codes : ndarray of int, shape (n,)
        Their classes, 0 to k - 1.

    Returns
    -------
    float
        Above 0; 1.0 where the scores are all equal and say nothing.
    """
    from scipy.optimize import minimize_scalar

    z = np.asarray(scores, dtype=np.float64)
    z = z - z.max(axis=1, keepdims=True)
    spread = float(-z.mean())
    if spread <= 0:
        return 1.0
    right = z[np.arange(len(z)), codes].sum() + z.mean()

    def cost(log_t: float) -> float:
        t = spread * math.exp(log_t)
        norms = np.log(np.exp(z / t).sum(axis=1))
        return float(norms.sum() + norms.mean() - right / t)

    found = minimize_scalar(cost, bounds=(SMALLEST, LARGEST), method="bounded", options={"xatol": 1e-4})
    return spread * math.exp(float(found.x))

"""Fitting error laws to many curves at once: error = a * shape(n, b) + c, by weighted least squares.

For a given b the law is linear in a and c, so its best a >= 0 and 0 <= c <= 1 have a closed form (variable
projection: Golub and Pereyra 1973); a grid over b fits all bootstrap draws together, and scipy polishes the fit
of the measured points themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

POWER, EXPONENTIAL = "inverse power", "exponential"
LAWS = (POWER, EXPONENTIAL)
POWERS = np.geomspace(0.02, 3.0, 160)
RATES = np.geomspace(0.02, 20.0, 160)
"""Rates are in units of one over the largest number of images."""


def shape(law: str, n: Floats, b: Floats) -> Floats:
    """n ** -b or exp(-b n), of any shapes that broadcast."""
    return np.asarray(n**-b if law == POWER else np.exp(-b * n), dtype=np.float64)


def grid(law: str, sizes: Floats) -> Floats:
    """Candidates of b."""
    return POWERS if law == POWER else RATES / float(sizes.max())


def fit_all(law: str, sizes: Floats, errors: Floats, weights: Floats) -> Floats:
    """Best a, b, c of many curves on the grid of b.

    Parameters
    ----------
    law : {"inverse power", "exponential"}
    sizes : ndarray, shape (s,)
        Images a class.
    errors : ndarray, shape (d, s)
        One minus the score, one row a draw.
    weights : ndarray, shape (s,)
        One over the variance of each error.

    Returns
    -------
    ndarray, shape (3, d)
    """
    candidates = grid(law, sizes)
    x = shape(law, sizes[None, :], candidates[:, None])
    a, c = _linear(x, errors, weights)
    missed = errors[:, None, :] - a[..., None] * x - c[..., None]
    best = np.argmin((weights * missed**2).sum(axis=2), axis=1)
    rows = np.arange(len(errors))
    return np.array([a[rows, best], candidates[best], c[rows, best]])


def _linear(x: Floats, y: Floats, w: Floats) -> tuple[Floats, Floats]:
    """The best a >= 0 and 0 <= c <= 1 for every draw (rows of y) and every b (rows of x), shape (d, g) each."""
    total, sx, sxx = w.sum(), x @ w, (x**2) @ w
    sy, sxy = (y @ w)[:, None], (y * w) @ x.T
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (total * sxy - sx * sy) / (total * sxx - sx**2)
    a = np.nan_to_num(a, nan=0.0, posinf=0.0, neginf=0.0)
    a = np.where(a > 0, a, 0.0)
    c = (sy - a * sx) / total
    at_edge = np.where(c < 0, 0.0, 1.0)
    outside = (c < 0) | (c > 1)
    along_edge = np.maximum(0.0, (sxy - at_edge * sx) / np.maximum(sxx, 1e-300))
    return np.where(outside, along_edge, a), np.where(outside, at_edge, c)


def fit_one(law: str, sizes: Floats, errors: Floats, weights: Floats) -> Floats:
    """Best a, b, c of one curve, polished from the grid; ndarray of shape (3,)."""
    from scipy.optimize import least_squares

    start = fit_all(law, sizes, errors[None, :], weights)[:, 0]
    candidates = grid(law, sizes)
    scale, root = float(candidates[-1]), np.sqrt(weights / weights.max())

    def missed(free: Floats) -> Floats:
        return np.asarray(root * (free[0] * shape(law, sizes, free[1] * scale) + free[2] - errors))

    ends = np.array([[0.0, float(candidates[0]) / scale, 0.0], [np.inf, 1.0, 1.0]])
    inside = np.clip([start[0], start[1] / scale, start[2]], ends[0] + 1e-12, [np.inf, 1 - 1e-12, 1 - 1e-12])
    found = least_squares(missed, inside, bounds=ends, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    polished = np.array([found.x[0], found.x[1] * scale, found.x[2]])
    better = float((missed(found.x) ** 2).sum()) <= float((missed(start / [1, scale, 1]) ** 2).sum())
    return polished if better else start

"""PCA-whitening of features to fewer dimensions (Jégou and Chum 2012, ECCV: co-occurrence over-counting)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.base.errors import BadOptions

MOST_ROWS = 50_000
LEAST_SHARE = 1e-6


@dataclass(frozen=True, eq=False)
class Whitening:
    """`(x - mean) @ matrix.T`: float32 (d,) and (N, d)."""

    mean: np.ndarray
    matrix: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Whitened features, float32 (n, N)."""
        made: np.ndarray = ((features - self.mean) @ self.matrix.T).astype(np.float32)
        return made


def fit_whitening(features: np.ndarray, n_dimensions: int, *, seed: int = 0) -> Whitening:
    """Learn the first N principal axes, each divided by its standard deviation.

    Parameters
    ----------
    features : float32 array (n, d)
        At most 50,000 rows are used, drawn with the seed.

    Raises
    ------
    BadOptions
        There are not that many axes along which the images differ.
    """
    rows = np.random.default_rng(seed).permutation(len(features))[:MOST_ROWS]
    chosen = np.asarray(features[rows], np.float64)
    mean = chosen.mean(0)
    _, spread, axes = np.linalg.svd(chosen - mean, full_matrices=False)
    least = LEAST_SHARE * max(float(spread[0]), float(np.abs(chosen).max()))
    n_real = min(int((spread > least).sum()), len(rows) - 1)
    if n_dimensions > n_real:
        raise BadOptions(
            [
                f"whiten: {n_dimensions} dimensions of {len(features)} images that differ in {n_real}; give at most that"
            ]
        )
    scale = np.sqrt(max(1, len(rows) - 1)) / spread[:n_dimensions]
    return Whitening(mean.astype(np.float32), (axes[:n_dimensions] * scale[:, None]).astype(np.float32))

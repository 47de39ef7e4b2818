"""From which probability on a label is given: chosen for each label by its F1 on held-out images.

Lipton, Elkan and Naryanaswamy, Optimal thresholding of classifiers to maximize F1 measure, ECML PKDD 2014.
"""

from __future__ import annotations

import numpy as np

PLAIN = 0.5
FEWEST = 3
"""Fewer held-out images with a label, or without it, say too little to move its threshold."""


def best_thresholds(truth: np.ndarray, probability: np.ndarray) -> tuple[float, ...]:
    """A threshold a label.

    Parameters
    ----------
    truth : ndarray, shape (n, k)
        0 and 1; rows of NaN are left out.
    probability : ndarray, shape (n, k)
        Of the same images, which nothing was fitted on.

    Returns
    -------
    tuple of float
        Half-way between the least probability that is given and the next one below it; 0.5 where a label, or its
        absence, is seen fewer than three times. Of equal F1 the threshold nearest to 0.5.

    Examples
    --------
    >>> truth = np.array([[1], [1], [1], [0], [0], [0]])
    >>> round(best_thresholds(truth, np.array([[0.4], [0.35], [0.3], [0.1], [0.1], [0.0]]))[0], 2)
    0.2
    """
    known = ~np.isnan(truth).any(axis=1)
    return tuple(_best(truth[known, at] > 0, probability[known, at]) for at in range(truth.shape[1]))


def _best(there: np.ndarray, probability: np.ndarray) -> float:
    n = int(there.sum())
    if min(n, len(there) - n) < FEWEST:
        return PLAIN
    order = np.argsort(-probability, kind="stable")
    sorted_p = probability[order].astype(np.float64)
    hits = np.cumsum(there[order])
    f1 = 2 * hits / (n + np.arange(1, len(order) + 1))
    last = np.append(sorted_p[:-1] > sorted_p[1:], True)  # images of one probability are given together
    between = (sorted_p + np.append(sorted_p[1:], 0.0)) / 2
    best = f1[last].max()
    tied = between[last][f1[last] >= best - 1e-12]
    return float(tied[np.argmin(np.abs(tied - PLAIN))])

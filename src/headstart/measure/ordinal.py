"""Metrics of an ordinal output: how many levels an answer lies from the truth, and agreement beyond chance.

The quadratic weighted kappa is Cohen's (1968, Psychol. Bull. 70): one minus the mean squared distance, over that of
answers with the same shares of levels that know nothing of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.measure.intervals import bootstrapped, wilson
from headstart.measure.metrics import Evaluation, evaluate, most_probable
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

METRICS = ("accuracy", "mae_levels", "kappa", "macro_f1", "log_loss", "ece")


def evaluate_ordinal(
    y_true: ArrayLike, probabilities: ArrayLike, levels: Sequence[str], *, seed: int = 0
) -> Evaluation:
    """All metrics of an ordinal output, with 95 % intervals over its images.

    Parameters
    ----------
    y_true : array of int, shape (n,)
        True levels, 0 (the lowest) to k - 1.
    probabilities : array of float, shape (n, k)
        Of the levels; each row sums to 1. The answer is the most probable level in every metric, also in those of
        distances, for which another level may be the better bet.
    levels : sequence of str
        Names, the lowest first.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Evaluation
        As of `headstart.measure.metrics.evaluate`, with mae_levels (mean absolute error of the most probable level, in
        levels; 0 to k - 1) and
        kappa (quadratic weighted, -1 to 1; absent where truth and answers are one level). Where every image is
        right, the ends come from those of the accuracy: no share of wrong answers above its upper end, each as far
        off as can be.

    Raises
    ------
    UsageError
        As of `headstart.measure.metrics.evaluate`.

    Examples
    --------
    >>> found = evaluate_ordinal([0, 2], [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2]], ["none", "some", "much"])
    >>> found.scores["mae_levels"].value
    0.5
    """
    found = evaluate(y_true, probabilities, levels, seed=seed)
    true, said = np.asarray(y_true, dtype=np.float64), most_probable(probabilities).astype(np.float64)
    n, scores = len(true), bootstrapped(lambda weight: _distances(true, said, weight), len(true), seed=seed)
    if (true == said).all():
        low = wilson(n, n)[0]
        scores["mae_levels"] = Score(0.0, 0.0, (1 - low) * (len(levels) - 1), n)
        if "kappa" in scores:
            scores["kappa"] = Score(1.0, low, 1.0, n)
    return Evaluation(found.n, {**found.scores, **scores}, found.per_class, found.confusion)


def _distances(true: Floats, said: Floats, weight: Floats) -> dict[str, Floats]:
    """Mean absolute error and kappa on each of b draws; weight (b, n) to arrays (b,)."""
    n = weight.sum(axis=1)
    observed = weight @ (true - said) ** 2 / n
    by_chance = (weight @ true**2 + weight @ said**2) / n - 2 * (weight @ true) * (weight @ said) / n**2
    usable = by_chance > 1e-12
    kappa = np.where(usable, 1 - observed / np.where(usable, by_chance, 1.0), np.nan)
    return {"mae_levels": weight @ np.abs(true - said) / n, "kappa": kappa}

"""Bayesian signed-rank test: two methods over several data sets, with a region of practical equivalence.

Benavoli, Corani, Demsar and Zaffalon (2017), Time for a change: a tutorial for comparing multiple classifiers
through Bayesian analysis, JMLR 18, section 4.2: a Dirichlet process over the differences, by Monte Carlo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.posterior import Posterior
from headstart.measure.resampled import check_rope

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

SIGNED_RANK = "Bayesian signed-rank test"
NUMBERS_AT_ONCE = 1 << 22


def signed_rank(
    scores_a: ArrayLike, scores_b: ArrayLike, generator: np.random.Generator, *, rope: float = 0.01,
    prior: float = 0.5, n_draws: int = 50_000,
) -> Posterior:  # fmt: skip
    """How likely a is better, both do practically the same, b is better, over data sets like these.

    Each draw of the posterior gives the three regions their shares; a region's probability is how often its
    share is the largest.

    Parameters
    ----------
    scores_a, scores_b : array of float, shape (n_datasets,)
        One score a data set.
    generator : numpy Generator
    rope : float
        Largest difference that does not matter; 0.01 is one point of accuracy.
    prior : float
        Weight of the one pseudo-observation, a difference of zero; above 0.
    n_draws : int

    Raises
    ------
    UsageError
        Scores that are not pairs of finite numbers, a negative rope, a prior or draws that are not positive.

    Examples
    --------
    >>> a, b = np.linspace(0.7, 0.9, 10), np.linspace(0.65, 0.85, 10)
    >>> signed_rank(a, b, np.random.default_rng(0)).a_better > 0.99
    True
    """
    check_rope(rope)
    a, b = np.asarray(scores_a, dtype=np.float64), np.asarray(scores_b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0 or not np.isfinite(a - b).all():
        raise UsageError(
            f"a finite score of both methods on every data set is needed; got {a.shape}, {b.shape}"
        )
    if prior <= 0 or n_draws < 1:
        raise UsageError(f"prior and n_draws must be above 0; got {prior} and {n_draws}")
    z = np.concatenate([[0.0], a - b])
    weights = np.concatenate([[prior], np.ones(len(a))])
    winners = _winners(z, weights, rope, generator, n_draws)
    b_better, same, a_better = (float(share) for share in np.bincount(winners, minlength=3) / n_draws)
    return Posterior(a_better, same, b_better, rope, SIGNED_RANK)


def _winners(
    z: Floats, weights: Floats, rope: float, generator: np.random.Generator, n_draws: int
) -> NDArray[np.int64]:
    """Which region has the largest share in each draw: 0 b better, 1 the same, 2 a better."""
    sums = z[:, None] + z[None, :]
    below, above = _step(-sums, 2 * rope), _step(sums, 2 * rope)
    block = max(1, NUMBERS_AT_ONCE // len(z))
    parts = []
    for start in range(0, n_draws, block):
        drawn = generator.dirichlet(weights, min(block, n_draws - start))
        left = np.einsum("di,di->d", drawn @ below, drawn)
        right = np.einsum("di,di->d", drawn @ above, drawn)
        same = 1 - left - right if rope > 0 else np.zeros(len(drawn))
        parts.append(np.argmax([left, same, right], axis=0))
    return np.concatenate(parts)


def _step(values: Floats, threshold: float) -> Floats:
    return np.asarray((values > threshold) + 0.5 * (values == threshold), dtype=np.float64)

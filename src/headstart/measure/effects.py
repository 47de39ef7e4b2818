"""Effect sizes: how large a difference is, apart from how sure one can be of it; with the usual names.

The names are conventions and no judgement of use: Cohen (1988), Statistical Power Analysis, for d and h;
Romano et al. (2006) for Cliff's delta; Chen, Cohen and Chen (2010, Comm. Stat. 39) for odds ratios. Positive
values favour the first of the two methods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

NAMES = ("negligible", "small", "medium", "large")
COHEN = (0.2, 0.5, 0.8)
CLIFF = (0.147, 0.33, 0.474)
CORRELATION = (0.1, 0.3, 0.5)
ODDS = (1.68, 3.47, 6.71)


@dataclass(frozen=True)
class Effect:
    """An effect size, its kind and the usual name of its magnitude.

    Attributes
    ----------
    kind : str
        E.g. "Cohen's h".
    value : float
        May be infinite for an odds ratio; never NaN.
    magnitude : {"negligible", "small", "medium", "large"}
    """

    kind: str
    value: float
    magnitude: str


def cohens_h(share_a: float, share_b: float) -> Effect:
    """Difference of two proportions on the arcsine scale (Cohen 1988, ch. 6): -pi to pi.

    Raises
    ------
    UsageError
        A share outside 0 to 1.
    """
    if not (0 <= share_a <= 1 and 0 <= share_b <= 1):
        raise UsageError(f"two shares between 0 and 1 are needed; got {share_a} and {share_b}")
    value = 2 * math.asin(math.sqrt(share_a)) - 2 * math.asin(math.sqrt(share_b))
    return Effect("Cohen's h", value, magnitude(value, COHEN))


def cohens_d(a: ArrayLike, b: ArrayLike) -> Effect | CannotTell:
    """Mean of paired differences over their standard deviation (Cohen's d_z; Lakens 2013, eq. 6)."""
    differences = _differences(a, b)
    if len(differences) < 2:
        return CannotTell("a standard deviation needs at least two pairs")
    spread = _spread(differences)
    if spread == 0:
        return _without_spread(float(differences.mean()), "Cohen's d")
    value = float(differences.mean()) / spread
    return Effect("Cohen's d", value, magnitude(value, COHEN))


def hedges_g(a: ArrayLike, b: ArrayLike) -> Effect | CannotTell:
    """Cohen's d of pairs without its bias in small samples (Hedges 1981): times 1 - 3 / (4 (n - 1) - 1)."""
    effect = cohens_d(a, b)
    if isinstance(effect, CannotTell):
        return effect
    value = effect.value * (1 - 3 / (4 * (len(_differences(a, b)) - 1) - 1))
    return Effect("Hedges' g", value, magnitude(value, COHEN))


def rank_biserial(a: ArrayLike, b: ArrayLike) -> Effect:
    """Matched-pairs rank-biserial correlation (Kerby 2014): ranks in favour minus ranks against, -1 to 1.

    Pairs without a difference are left out, as in the signed-rank test; without any difference it is 0.
    """
    from scipy.stats import rankdata

    differences = _differences(a, b)
    kept = differences[differences != 0]
    ranks = rankdata(np.abs(kept))
    value = float((np.sign(kept) * ranks).sum() / ranks.sum()) if len(kept) else 0.0
    return Effect("rank-biserial correlation", value, magnitude(value, CORRELATION))


def cliffs_delta(a: ArrayLike, b: ArrayLike) -> Effect:
    """Chance that a score of `a` is above one of `b` minus the chance that it is below (Cliff 1993): -1 to 1."""
    one, other = _sample(a), _sample(b)
    value = float(np.sign(one[:, None] - other[None, :]).mean())
    return Effect("Cliff's delta", value, magnitude(value, CLIFF))


def a12(a: ArrayLike, b: ArrayLike) -> Effect:
    """Chance that a score of `a` is above one of `b`, ties count half (Vargha and Delaney 2000): 0 to 1."""
    delta = cliffs_delta(a, b)
    return Effect("A12", (delta.value + 1) / 2, delta.magnitude)


def discordant_odds(only_a: int, only_b: int) -> Effect | CannotTell:
    """Images that only `a` has right over images that only `b` has right: 0 to infinity, 1 is no difference."""
    if min(only_a, only_b) < 0:
        raise UsageError(f"counts of images cannot be negative; got {only_a} and {only_b}")
    if only_a == only_b == 0:
        return CannotTell("both methods are right and wrong on the same images")
    value = only_a / only_b if only_b else math.inf
    larger = max(value, 1 / value) if value else math.inf
    return Effect("odds ratio of discordant images", value, magnitude(larger, ODDS))


def magnitude(value: float, steps: tuple[float, float, float]) -> str:
    """The usual name of an effect whose absolute value is at or above none to all of three steps."""
    return NAMES[sum(abs(value) >= step for step in steps)]


def _without_spread(mean: float, kind: str) -> Effect | CannotTell:
    if mean == 0:
        return Effect(kind, 0.0, NAMES[0])
    return CannotTell("every pair differs by the same amount, so there is no spread to compare it with")


def _spread(differences: Floats) -> float:
    """Standard deviation, 0 where it is only rounding."""
    spread = float(differences.std(ddof=1))
    return 0.0 if spread <= 1e-12 * max(1.0, float(np.abs(differences).max())) else spread


def _differences(a: ArrayLike, b: ArrayLike) -> Floats:
    one, other = _sample(a), _sample(b)
    if one.shape != other.shape:
        raise UsageError(
            f"pairs are needed: as many scores of one as of the other; got {len(one)}, {len(other)}"
        )
    return one - other


def _sample(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) == 0 or not np.isfinite(sample).all():
        raise UsageError("scores must be a flat list of finite numbers, at least one")
    return sample

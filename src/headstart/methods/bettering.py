"""Whether an epoch is kept: a later one as good as the best so far is, but a fitted start is to be bettered.

The head that training starts from was fitted, not chosen among epochs, and it is fitted anew on all of train where it
is kept. So where an inner fold of train chooses, an epoch must better it by more than one standard error of the
difference on the images of that fold: the simplest of what cannot be told from the best (Breiman, Friedman, Olshen and
Stone, Classification and Regression Trees, 1984, section 3.4.3). Validation images that are given are not lost to
the start, and one more of them right is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVEL = 1e-9
"""Scores that differ by less are the same number, added up in another order."""


@dataclass
class Bettering:
    """The start, and what an epoch is to add to it.

    Parameters
    ----------
    doubted : bool
        Whether the images that choose are an inner fold of train.
    """

    doubted: bool = False
    start: np.ndarray | None = None

    def margin(self, right: np.ndarray | None) -> float:
        """What the score must gain on the start's to count: one standard error of the paired difference, or nothing.

        Parameters
        ----------
        right : ndarray, shape (n,), optional
            How right each image that chooses is, 0 to 1.
        """
        if not self.doubted or self.start is None or right is None or not len(right):
            return 0.0
        return standard_error(right, self.start)

    def keeps(
        self, score: float | None, best: float | None, at_start: bool, right: np.ndarray | None
    ) -> bool:
        """Whether an epoch of this score is kept over the best so far, which is the start with `at_start`."""
        if best is None or score is None:
            return best is None
        return bool(score - best > self.margin(right) + LEVEL if at_start else score >= best)


def standard_error(right: np.ndarray, start: np.ndarray) -> float:
    """One standard error of the difference of two shares of the same images, under the hypothesis of none.

    McNemar, Note on the Sampling Error of the Difference Between Correlated Proportions, Psychometrika 1947.
    """
    differ = right.astype(float) - start.astype(float)
    return float(np.sqrt((differ**2).sum()) / len(differ))

"""How far a map may be believed, as figures and in words: reads what was measured, needs no torch.

Randomised weights: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018: a map that stays the same shows the
image, not the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BOUND = 0.3
PLACE = 0.1
"""How much less a map may agree with another image's than with its own, and be said to agree in place alone."""
SIGNS = 0.05
"""Where the mean size of correlations is so much above their mean's, or alone reaches the bound, the words name it."""
FLAT = "map is flat"
"""Said in the place of a correlation that cannot be told: the map is the same everywhere."""


@dataclass(frozen=True, eq=False)
class Sanity:
    """Rank correlations of maps with those of the same network with random weights.

    Attributes
    ----------
    method : str
    correlations : ndarray, shape (draws, n)
        Spearman's, of each draw of weights and image; NaN where a map is flat.
    others : ndarray, shape (draws, n)
        The same with the random network's map of another of the images (NaN where there is one image): as high where
        all that stays is the place, the centre that photographs and zero padding favour.
    """

    method: str
    correlations: np.ndarray
    others: np.ndarray

    @property
    def mean(self) -> float:
        """Over draws and images; NaN where every map is flat."""
        return known_mean(self.correlations)

    @property
    def other(self) -> float:
        """Of `others`, over draws and images; NaN where it is not known."""
        return known_mean(self.others)

    @property
    def size(self) -> float:
        """Size of each image's mean over draws, meaned over images: what one image gains no other cancels."""
        return _mean_size(self.correlations)

    @property
    def other_size(self) -> float:
        """The same of `others`."""
        return _mean_size(self.others)

    @property
    def passed(self) -> bool:
        """Whether the mean size is below 0.3."""
        return self.size < BOUND

    @property
    def words(self) -> str:
        """The mean and what it says."""
        return self.verdict if np.isnan(self.size) else f"{self.mean:.2f}, {self.verdict}"

    @property
    def verdict(self) -> str:
        """In words."""
        if np.isnan(self.size):
            return f"cannot tell: every {FLAT}, or is so with random weights"
        apart = self.size - abs(self.mean) > SIGNS or self.passed != (abs(self.mean) < BOUND)
        signs = f" in size ({self.size:.2f})" if apart else ""
        if self.passed:
            return f"below {BOUND}{signs}: the map hangs on what the network has learned"
        said, other = f"not below {BOUND}{signs}", self.other_size
        if np.isnan(other):
            return f"{said}: with two images or more it can be told whether it shows the image or the place"
        if self.size - other < PLACE:
            return (
                f"{said}, and as high with the map of another image ({other:.2f}): what stays is the place "
                "(centre, borders), which random weights favour too"
            )
        return (
            f"{said}, and higher than with the map of another image ({other:.2f}): it shows the image more than "
            "the network"
        )


def known_mean(values: np.ndarray) -> float:
    """Mean of the values that are finite; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _mean_size(values: np.ndarray) -> float:
    """Mean over images (columns) of the size of the mean over draws (rows)."""
    return known_mean(np.abs([known_mean(each) for each in values.T]))


def told(correlation: float, own: np.ndarray) -> str:
    """The correlation of a map with those of random weights; where it cannot be told, which of them is flat.

    Parameters
    ----------
    correlation : float
        NaN where it cannot be told.
    own : ndarray
        The map.

    Examples
    --------
    >>> told(0.123, np.eye(2)), told(float("nan"), np.zeros((2, 2))), told(float("nan"), np.eye(2))
    ('0.12', 'map is flat', 'random map is flat')
    """
    if not np.isnan(correlation):
        return f"{correlation:.2f}"
    return FLAT if (own == own.flat[0]).all() else f"random {FLAT}"

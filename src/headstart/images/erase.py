"""Random erasing: a rectangle of a view becomes noise (Zhong et al., Random Erasing Data Augmentation, AAAI 2020).

Its area is drawn from 2 to 40 % of the view and its aspect from 0.3 to 3.3, as in section 3 there; each pixel of
it is drawn from 0 to 255.
"""

from __future__ import annotations

import math

import numpy as np

AREA = (0.02, 0.4)
ASPECT = (0.3, 1 / 0.3)
TRIES = 100


def erased(view: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A copy of a view, uint8 (height, width, 3), with a rectangle of noise."""
    height, width = view.shape[:2]
    for _ in range(TRIES):
        area = height * width * draw.uniform(*AREA)
        aspect = draw.uniform(*ASPECT)
        high, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < high < height and 0 < wide < width:
            top, left = int(draw.integers(height - high + 1)), int(draw.integers(width - wide + 1))
            out = view.copy()
            out[top : top + high, left : left + wide] = draw.integers(0, 256, (high, wide, 3), np.uint8)
            return out
    return view

"""The regret that nobody can avoid: which training images are drawn makes one method or another the best by luck.

Regret is told on means over a few draws of training images (seeds), and the best is the best of these very draws. An
adviser who knew the accuracy that each method has on average over all draws would therefore still fall short of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import fit
import numpy as np


def floor(cells: Sequence[fit.Cell], draws: int = 400, *, seed: int = 0) -> float:
    """Mean regret, over cells, of an adviser who knows the expected accuracy of every method.

    Of each cell, methods with every seed: what a method is above the cell's and the seed's mean, in each seed, is the
    noise of the draw (two-way residuals). Expected accuracies are the methods' means, drawn together by as much as the
    noise explains of their spread. The noise is drawn anew by weighing the residuals of whole seeds by normal numbers
    (wild bootstrap: Wu, Annals of Statistics 14, 1986), so that methods that move together stay together; were they to
    move each on its own, the regret would be larger. A cell with one draw of images counts as 0.
    """
    rng = np.random.default_rng(seed)
    return float(np.mean([_of_cell(cell, draws, rng) for cell in cells]))


def _of_cell(cell: fit.Cell, draws: int, rng: np.random.Generator) -> float:
    seeds = sorted({number for runs in cell.right.values() for number in runs})
    rows = [[runs[each].mean() for each in seeds] for runs in cell.right.values() if len(runs) == len(seeds)]
    if len(seeds) < 2 or len(rows) < 2:
        return 0.0
    found = np.array(rows)
    n_methods, n_seeds = found.shape
    means = found.mean(axis=1)
    left = found - means[:, None] - found.mean(axis=0) + found.mean()
    noise = float(np.square(left).sum()) / ((n_methods - 1) * (n_seeds - 1)) / n_seeds
    real = max(0.0, 1 - noise / max(float(means.var(ddof=1)), 1e-12))
    expected = means.mean() + real * (means - means.mean())
    weights = rng.normal(size=(n_seeds, draws)) / np.sqrt(n_seeds * (n_seeds - 1))
    drawn = expected[:, None] + left @ weights
    return float(np.mean(drawn.max(axis=0) - drawn[expected.argmax()]))

"""Progressive resizing: training begins with small images, which grow until they have their size.

Howard, in fast.ai's entry for DAWNBench, 2018; Tan and Le, EfficientNetV2, ICML 2021, section 4 (there with
augmentation that grows too; here it stays the same).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.methods.batches import Batch, Batches

N_SIZES = 3
STEP = 32


class GrowingBatches:
    """One source a size, each for an equal share of the epochs; the last also for what is not training.

    Parameters
    ----------
    sources : sequence of Batches
        Smallest first.
    n_epochs : int
    """

    def __init__(self, sources: Sequence[Batches], n_epochs: int) -> None:
        self.sources, self.n_epochs, self.n = tuple(sources), n_epochs, sources[-1].n

    def get(self, rows: np.ndarray, epoch: int) -> Batch:
        """Inputs at the size of this epoch."""
        return self.sources[self.number(epoch)].get(rows, epoch)

    def number(self, epoch: int) -> int:
        """Which of the sources serves an epoch."""
        last = len(self.sources) - 1
        return last if epoch < 0 else min(last, epoch * len(self.sources) // self.n_epochs)


def sizes(side: int, share: float) -> tuple[int, ...]:
    """Sides to begin with, the last one not among them: multiples of 32 pixels from `share` of it on.

    Examples
    --------
    >>> sizes(224, 0.5), sizes(64, 0.9)
    ((128, 160), ())
    """
    steps = [share + (1 - share) * number / (N_SIZES - 1) for number in range(N_SIZES - 1)]
    found = (max(STEP, STEP * round(step * side / STEP)) for step in steps)
    return tuple(dict.fromkeys(each for each in found if each < side))

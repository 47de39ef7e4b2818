"""Products of a large table with a narrow one, in blocks too small for BLAS to share out over threads.

Each step of a linear head multiplies features (n, d) by weights (d, k) with k small. Threads cannot speed
that up (it is bound by memory) and wait for each other at every step; blocks below the threshold of
OpenBLAS run on one core without repacking: measured 3068 x 1280 x 10, 1.9 ms of processor time against 3.6
on one thread and 8 on two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = NDArray[np.float32]

BLOCK_WORK = 1 << 18  # multiplications up to which OpenBLAS keeps to one thread
FEWEST_ROWS = 8  # narrower blocks would be slower than threads
SEGMENT = 2048  # images in one block of the transposed product


class NarrowProducts:
    """`features @ weights` and `features.T @ slope` for features (n, d) and k columns, float32."""

    def __init__(self, features: Table, k: int) -> None:
        self.features = features
        self.n, self.d = features.shape
        rows, columns = BLOCK_WORK // (self.d * k), BLOCK_WORK // (min(self.n, SEGMENT) * k)
        self.blocked = min(rows, columns) >= FEWEST_ROWS
        if self.blocked:
            self._rows = _in_blocks(features, rows)
            self._columns = [
                _in_blocks(features[start : start + SEGMENT].T, columns)
                for start in range(0, self.n, SEGMENT)
            ]

    def scores(self, weights: Table) -> Table:
        """Features (n, d) @ weights (d, k)."""
        if not self.blocked:
            return np.asarray(self.features @ weights)
        return np.asarray((self._rows @ weights).reshape(-1, weights.shape[1])[: self.n])

    def slopes(self, slope: Table) -> Table:
        """Features transposed (d, n) @ slope (n, k)."""
        k = slope.shape[1]
        if not self.blocked:
            return np.asarray(self.features.T @ slope)
        found = np.zeros((self._columns[0].shape[0] * self._columns[0].shape[1], k), np.float32)
        for index, block in enumerate(self._columns):
            part = slope[index * SEGMENT : (index + 1) * SEGMENT]
            found += (block @ part).reshape(-1, k)
        return found[: self.d]


def _in_blocks(table: Table, rows: int) -> Table:
    """(n, d) as (blocks, rows, d), the last block filled up with zeros."""
    n, d = table.shape
    rows = min(rows, n)
    blocks = -(-n // rows)
    padded = np.zeros((blocks * rows, d), np.float32)
    padded[:n] = table
    return padded.reshape(blocks, rows, d)

"""What a loop is fed with: a batch of inputs, and where batches come from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from headstart.methods import processes

EVAL_BATCH = 64
PLAIN_EPOCH, MIRRORED_EPOCH = -1, -2
PIECE_VALUES = 32 * 3 * 224 * 224
"""Values of a piece of a batch: 32 images of 224 pixels."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs of some images; where pixels were mixed, with which row of the batch and how much is left."""

    inputs: Tensor
    other: np.ndarray | None = None
    left: np.ndarray | None = None


class Batches(Protocol):
    """Where inputs come from: a pure function of rows and epoch, so that it can be asked ahead of time."""

    n: int

    def get(self, rows: np.ndarray, epoch: int) -> Batch:
        """Inputs of these images in this epoch; `PLAIN_EPOCH` is the plain view, never mixed.

        `MIRRORED_EPOCH` is the plain view with left and right exchanged.
        """
        ...


def pieces(net: nn.Module, given: Tensor) -> list[slice]:
    """A batch in pieces whose gradients add up to its own, where it is large: memory holds one piece.

    Not where BatchNorm normalises by the batch, nor with several processes (each step is one exchange).
    """
    n = len(given)
    size = max(1, PIECE_VALUES // max(1, given[0].numel()))
    by_batch = (isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training for part in net.modules())
    if size >= n or processes.together() or any(by_batch):
        return [slice(0, n)]
    return [slice(at, min(at + size, n)) for at in range(0, n, size)]


def fetcher() -> ThreadPoolExecutor:
    """One thread that fetches batches; torch shares no work out to others in it.

    A second team of OpenMP threads would spin beside the one that trains, which made epochs half as long again.
    """
    pool = ThreadPoolExecutor(1)
    here = torch.get_num_threads()
    pool.submit(_alone).result()
    torch.set_num_threads(here)  # the number is kept for each thread, and once more for threads to come
    return pool


def _alone() -> None:
    torch.get_num_threads()  # a thread that has not asked yet would be given the common number again
    torch.set_num_threads(1)


def scores_of(
    net: Callable[[Tensor], Tensor],
    batches: Batches,
    device: torch.device | str = "cpu",
    epoch: int = PLAIN_EPOCH,
) -> Tensor:
    """Class scores (n, k) of the plain views, or of those of another epoch, on the CPU."""
    parts = []
    with torch.inference_mode():
        for at in range(0, batches.n, EVAL_BATCH):
            rows = np.arange(at, min(at + EVAL_BATCH, batches.n))
            parts.append(net(batches.get(rows, epoch).inputs.to(device)).float().cpu())
    return torch.cat(parts).clone()

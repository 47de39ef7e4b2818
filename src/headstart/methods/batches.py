"""What a loop is fed with: a batch of inputs, and where batches come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

EVAL_BATCH = 64
PLAIN_EPOCH = -1


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
        """Inputs of these images in this epoch; `PLAIN_EPOCH` is the plain view, never mixed."""
        ...


def scores_of(net: nn.Module, batches: Batches, device: torch.device | str = "cpu") -> Tensor:
    """Class scores (n, k) of the plain views, on the CPU."""
    parts = []
    with torch.inference_mode():
        for at in range(0, batches.n, EVAL_BATCH):
            rows = np.arange(at, min(at + EVAL_BATCH, batches.n))
            parts.append(net(batches.get(rows, PLAIN_EPOCH).inputs.to(device)).float().cpu())
    return torch.cat(parts).clone()

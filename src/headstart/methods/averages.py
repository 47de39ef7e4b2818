"""Averages of the weights while they train: what is validated and kept in place of the weights themselves.

Exponential: Polyak and Juditsky, SIAM J. Control Optim. 30, 1992, as networks use it, corrected for its beginning.
Stochastic weight averaging: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization,
UAI 2018: the mean over the ends of the last epochs, trained at a constant rate; BatchNorm statistics of the mean
are taken anew from the training images.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


class Average:
    """A running average of everything that training moves.

    Parameters
    ----------
    decay : float
        Of the exponential average; 0: there is none.
    share : float
        Share of the epochs, the last ones, whose ends are averaged evenly; 0: none are.
    n_epochs : int
    start : dict of str to Tensor
        The weights now.

    Attributes
    ----------
    weights : dict of str to Tensor, or None
        The average; None as long as there is none.
    """

    def __init__(self, decay: float, share: float, n_epochs: int, start: Weights) -> None:
        self.decay, self.share, self.n = decay, share, 0
        self.first = n_epochs - max(1, round(share * n_epochs)) if share else n_epochs
        self.weights: Weights | None = copied(start) if decay else None

    def after_step(self, moving: Weights, step: int) -> None:
        """Follow the weights; `step` counts from 0."""
        if self.weights is None or not self.decay:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        _follow(self.weights, moving, 1 - decay)

    def after_epoch(self, moving: Weights, epoch: int) -> bool:
        """Take the end of an epoch (from 0) into the even average; True if it was one of the last."""
        if not self.share or epoch < self.first:
            return False
        self.n += 1
        if self.weights is None:
            self.weights = copied(moving)
            return True
        _follow(self.weights, moving, 1 / self.n)
        return True

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"weights": self.weights, "n": self.n}

    def go_on(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.weights, self.n = state["weights"], int(state["n"])


def _follow(weights: Weights, moving: Weights, share: float) -> None:
    """Move an average by a share of the way, all tensors in one call."""
    with torch.no_grad():
        torch._foreach_lerp_([weights[name] for name in moving], list(moving.values()), share)


def copied(weights: Weights) -> Weights:
    """The same values, apart from what trains."""
    return {name: each.detach().clone() for name, each in weights.items()}


def learning_norms(net: nn.Module) -> list[Any]:
    """The BatchNorm layers that normalise by the batch now."""
    return [
        part
        for part in net.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training and part.track_running_stats
    ]


def take_statistics(net: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Set the statistics of the BatchNorm layers that learn them to those of these inputs (batches)."""
    norms = learning_norms(net)
    momenta = [part.momentum for part in norms]
    for part in norms:
        part.reset_running_stats()
        part.momentum = None  # a plain mean over the batches
    with torch.no_grad():
        for each in inputs:
            net(each)
    for part, momentum in zip(norms, momenta, strict=True):
        part.momentum = momentum

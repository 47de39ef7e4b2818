"""A network's loss as a function of all of its weights, and a descent on it whose every step is kept.

The descent serves pictures alone (few images, all of them in every step, so that the surface that is drawn is the one
that was descended); models are trained by `headstart fit`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from headstart.base.errors import BadOptions
from headstart.base.events import Progress, emit

STEPS = 24
MOMENTUM = 0.9
TRIES = 4


@dataclass(frozen=True, eq=False)
class Path:
    """A descent.

    Attributes
    ----------
    weights : list of ndarray of float32, shape (d,)
        All trainable weights before, while and after training.
    losses : ndarray, shape (len(weights),)
        Mean cross-entropy of all images.
    learning_rate : float
        As given, or lower where the loss had not stayed finite or had not fallen.
    """

    weights: list[np.ndarray]
    losses: np.ndarray
    learning_rate: float

    @property
    def moved(self) -> float:
        """How far the end is from the start, in a straight line."""
        return float(np.linalg.norm(self.weights[-1] - self.weights[0]))

    @property
    def halved(self) -> int | None:
        """Steps until half of the first loss was left, or less; None where it never was."""
        below = np.flatnonzero(self.losses <= self.losses[0] / 2)
        return int(below[0]) if len(below) else None


class Loss:
    """Mean cross-entropy of some images as a function of the weights; BatchNorm normalises by these images.

    Parameters
    ----------
    net : nn.Module
        Copied.
    images : Tensor, shape (n, 3, height, width)
        Normalised.
    codes : Tensor of int64, shape (n,)
    """

    def __init__(self, net: nn.Module, images: Tensor, codes: Tensor) -> None:
        if len(images) != len(codes) or len(images) < 2:
            raise BadOptions(
                [f"images: two or more with a class each are needed, got {len(images)} and {len(codes)}"]
            )
        self.net = copy.deepcopy(net).eval().requires_grad_(True)
        for part in self.net.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.train()
                part.momentum = 0.0
        self.images, self.codes = images, codes
        self.parameters = list(self.net.parameters())

    def value(self) -> Tensor:
        """The loss at the weights as they are."""
        return nn.functional.cross_entropy(self.net(self.images), self.codes)

    def weights(self) -> np.ndarray:
        """All weights, float32 (d,)."""
        return torch.cat([each.detach().flatten() for each in self.parameters]).numpy().copy()

    def at(self, weights: np.ndarray) -> float:
        """The loss at other weights."""
        self.set(weights)
        with torch.no_grad():
            return float(self.value())

    def set(self, weights: np.ndarray) -> None:
        """Put weights (d,) in place."""
        place = 0
        flat = torch.from_numpy(np.ascontiguousarray(weights, np.float32))
        with torch.no_grad():
            for each in self.parameters:
                each.copy_(flat[place : place + each.numel()].reshape(each.shape))
                place += each.numel()


def descend(loss: Loss, *, steps: int = STEPS, learning_rate: float = 0.02) -> Path:
    """Gradient descent with momentum on all images; where it does not come down, once more at a quarter of the rate.

    Parameters
    ----------
    loss : Loss
        Left at its last weights.
    steps : int
    learning_rate : float
    """
    if steps < 2:
        raise BadOptions([f"steps: {steps} is below 2"])
    start, rate = loss.weights(), learning_rate
    for _ in range(TRIES):
        found = _descent(loss, start, steps, rate)
        if np.isfinite(found.losses).all() and found.losses[-1] < found.losses[0]:
            return found
        rate /= 4
    raise BadOptions(
        [f"learning rate: the loss does not fall at {learning_rate:g} nor at {rate * 4:.2g}; give less"]
    )


def _descent(loss: Loss, start: np.ndarray, steps: int, rate: float) -> Path:
    loss.set(start)
    optimiser = torch.optim.SGD(loss.parameters, lr=rate, momentum=MOMENTUM)
    weights, losses = [start], []
    for step in range(steps):
        optimiser.zero_grad()
        value = loss.value()
        losses.append(float(value.detach()))
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        weights.append(loss.weights())
        emit(Progress("descent", step + 1, steps))
    with torch.no_grad():
        losses.append(float(loss.value()))
    return Path(weights, np.array(losses), rate)

"""Sharpness-aware minimisation: the gradient of the worst point nearby in place of that of the point itself.

Foret, Kleiner, Mobahi and Neyshabur, Sharpness-Aware Minimization for Efficiently Improving Generalization, ICLR
2021, algorithm 1: climb by `radius` along the gradient, take the gradient there, step from where one stood.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

LEAST = 1e-12


@contextmanager
def climbed(net: nn.Module, parameters: Sequence[nn.Parameter], radius: float) -> Iterator[None]:
    """Stand `radius` further along the gradient inside the block; BatchNorm statistics stay as they are.

    Parameters
    ----------
    net : nn.Module
    parameters : sequence of Parameter
        With their gradients; those without one stay where they are.
    radius : float
        Length of the way, over all parameters together.
    """
    moved = [each for each in parameters if each.grad is not None]
    grads = [each.grad for each in moved if each.grad is not None]
    length = torch.linalg.vector_norm(torch.stack([grad.norm() for grad in grads]))
    with torch.no_grad():
        before = [each.detach().clone() for each in moved]
        for each, grad in zip(moved, grads, strict=True):
            each.add_(grad * (radius / (length + LEAST)))
    norms = {
        part: part.momentum for part in net.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)
    }
    for part in norms:
        part.momentum = 0.0
    try:
        yield
    finally:
        for part, momentum in norms.items():
            part.momentum = momentum
        with torch.no_grad():
            for each, value in zip(moved, before, strict=True):
                each.copy_(value)

"""What a step learns and how right it is: labels of rows, the loss of scores, what counts as right.

The loop knows an objective by its protocol alone. Labels are rows of numbers that may be mixed with one
another; a loss is the mean over its rows, and `share` says what a piece of a batch counts in it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from headstart.methods.mixing import soft_labels
from headstart.methods.training_options import TrainingOptions

EFFECTIVE_BETA = 0.999


class Objective(Protocol):
    """What the loop asks of one."""

    def labels(self, rows: np.ndarray) -> Tensor:
        """What these training images should give, float32 (n, anything); linear mixtures of rows make sense."""
        ...

    def loss(self, scores: Tensor, labels: Tensor, rows: np.ndarray) -> Tensor:
        """Mean loss of scores (n, k), a single number."""
        ...

    def share(self, part: np.ndarray, rows: np.ndarray) -> float:
        """What the rows of a piece count in the loss of their batch; pieces sum to one."""
        ...

    def n_right(self, scores: Tensor, rows: np.ndarray) -> float:
        """How many training images are right."""
        ...

    def held(self, scores: Tensor) -> tuple[float, float]:
        """Loss and share of right ones of the validation images' scores (n, k), on the CPU."""
        ...


class Classes:
    """One class an image: cross-entropy with soft labels, weighed by class where asked.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Class numbers of the training images.
    held_codes : ndarray of int, optional
        Of the validation images.
    n_classes : int
    options : TrainingOptions
    device : torch.device
    """

    def __init__(
        self,
        codes: np.ndarray,
        held_codes: np.ndarray | None,
        n_classes: int,
        options: TrainingOptions,
        device: torch.device | str = "cpu",
    ) -> None:
        self.codes, self.held_codes, self.n_classes = codes, held_codes, n_classes
        self.options, self.device = options, device
        weights = class_weights(codes, n_classes, options.balance)
        self.weights = None if weights is None else weights.to(device)

    def truth(self, rows: np.ndarray) -> Tensor:
        """Class numbers."""
        return torch.from_numpy(self.codes[rows]).to(self.device)

    def labels(self, rows: np.ndarray) -> Tensor:
        """One-hot labels, smoothed."""
        return soft_labels(self.truth(rows), self.n_classes, self.options.label_smoothing)

    def loss(self, scores: Tensor, labels: Tensor, rows: np.ndarray) -> Tensor:
        """Mean cross-entropy or focal loss; with weights, that of the images' own classes."""
        return self.mean(focal_loss(scores, labels, self.options.focal), rows)

    def mean(self, losses: Tensor, rows: np.ndarray) -> Tensor:
        """Mean over the rows, by weight of their classes."""
        if self.weights is not None:
            each = self.weights[self.truth(rows)]
            return (losses * each).sum() / each.sum()
        return losses.mean()

    def share(self, part: np.ndarray, rows: np.ndarray) -> float:
        """By weight of their classes."""
        if self.weights is None:
            return len(part) / len(rows)
        return float(self.weights[self.truth(part)].sum() / self.weights[self.truth(rows)].sum())

    def n_right(self, scores: Tensor, rows: np.ndarray) -> float:
        """Images whose highest score is that of their class."""
        return int((scores.argmax(1) == self.truth(rows)).sum())

    def held(self, scores: Tensor) -> tuple[float, float]:
        """Cross-entropy and accuracy."""
        assert self.held_codes is not None
        truth = torch.from_numpy(self.held_codes)
        loss = nn.functional.cross_entropy(scores, truth)
        right = (scores.argmax(1) == truth).double()  # so that a head with as many right is level
        return float(loss), float(right.mean())


def focal_loss(scores: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """Cross-entropy of each row, each class's part times (1 - its probability) ** gamma.

    Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, section 3; 0 is cross-entropy.
    """
    logs = scores.log_softmax(1)
    if gamma:
        return -(labels * (1 - logs.exp()) ** gamma * logs).sum(1)
    return -(labels * logs).sum(1)


def class_weights(codes: np.ndarray, n_classes: int, balance: str) -> Tensor | None:
    """A weight a class, None where all count alike.

    "weights": by 1 / images. "effective": by 1 / effective number of images, (1 - beta**n) / (1 - beta) with
    beta = 0.999 (Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, section 4);
    both sum to the number of classes that there are, weighed by images or by classes as in their papers.
    """
    counts = np.maximum(np.bincount(codes, minlength=n_classes), 1)
    if balance == "weights":
        return torch.tensor(len(codes) / (n_classes * counts), dtype=torch.float32)
    if balance == "effective":
        each = (1 - EFFECTIVE_BETA) / (1 - EFFECTIVE_BETA ** counts.astype(np.float64))
        return torch.tensor(each * n_classes / each.sum(), dtype=torch.float32)
    return None

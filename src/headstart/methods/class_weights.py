"""Weights that let the classes, labels or levels of an output count alike, however many images each has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def balance(counts: NDArray[Any]) -> NDArray[np.float64]:
    """A weight a class: n / (classes that there are * images of the class).

    Examples
    --------
    >>> balance(np.array([3, 1])).round(2).tolist()
    [0.67, 2.0]
    """
    present = max(int(np.count_nonzero(counts)), 1)
    return np.asarray(counts.sum() / (present * np.maximum(counts, 1)), np.float64)


def row_weights(codes: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """The weight of each image's class, (n,); their mean is 1."""
    return np.asarray(balance(np.bincount(codes, minlength=n_classes))[codes], np.float32)


def answer_weights(yes: NDArray[Any]) -> NDArray[np.float32]:
    """Of labels (n, k) of 0 and 1: weights (n, k) that let yes and no of each label count alike."""
    pairs = np.stack(
        [balance(np.array([len(yes) - n, n])) for n in yes.sum(axis=0, dtype=np.float64)], axis=1
    )
    return np.asarray(np.where(yes > 0, pairs[1], pairs[0]), np.float32)

"""Featurewise centring, scaling and ZCA whitening, learned from a sample of images as Keras's generator does.

ZCA: Bell and Sejnowski, Vision Research 1997; as preprocessing of images Krizhevsky, 2009 (Learning Multiple
Layers of Features from Tiny Images, appendix A).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.base.errors import BadOptions

MOST_VALUES = 12_288
"""Largest image that is whitened, in values: 64 x 64 pixels of three channels (a matrix of 600 MB)."""
EPSILON = 1e-6


@dataclass
class Featurewise:
    """Statistics of a sample of images, and what brings others to zero mean, unit spread or white.

    Parameters
    ----------
    center, scale : bool
        Subtract the mean, divide by the standard deviation, each a channel at a time.
    whiten : bool
        Multiply by the ZCA matrix after that; centres too, as Keras does.
    epsilon : float
        Added to singular values.

    Attributes
    ----------
    mean_, std_ : ndarray, shape (channels,)
    matrix_ : ndarray, shape (values, values)

    Examples
    --------
    >>> sample = np.random.default_rng(0).random((50, 4, 4, 3), np.float32)
    >>> white = Featurewise(whiten=True).fit(sample).apply(sample)
    >>> bool(abs(np.cov(white.reshape(50, -1).T) - np.eye(48)).max() < 1)
    True
    """

    center: bool = False
    scale: bool = False
    whiten: bool = False
    epsilon: float = EPSILON
    mean_: Any = field(default=None, init=False, repr=False)
    std_: Any = field(default=None, init=False, repr=False)
    matrix_: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.center = self.center or self.whiten

    def fit(self, images: np.ndarray) -> Featurewise:
        """Learn from a sample.

        Parameters
        ----------
        images : ndarray, shape (n, height, width, channels)
            After any rescaling.

        Raises
        ------
        BadOptions
            Another shape; images too large to whiten.
        """
        x = np.array(images, np.float32)
        if x.ndim != 4 or not len(x):
            raise BadOptions([f"images: expected (n, height, width, channels), got shape {x.shape}"])
        values = int(np.prod(x.shape[1:]))
        if self.whiten and values > MOST_VALUES:
            raise BadOptions([
                f"zca_whitening: images of {values:,} values need a matrix of {values:,} x {values:,}; "
                f"at most {MOST_VALUES:,} values (64 x 64 pixels) are taken"
            ])  # fmt: skip
        if self.center:
            self.mean_ = x.mean(axis=(0, 1, 2))
            x -= self.mean_
        if self.scale:
            self.std_ = x.std(axis=(0, 1, 2))
            x /= self.std_ + EPSILON
        if self.whiten:
            u, s, _ = np.linalg.svd(x.reshape(len(x), -1).T, full_matrices=False)
            self.matrix_ = (u * (np.sqrt(len(x)) / (s + self.epsilon))) @ u.T
        return self

    @property
    def wanted(self) -> bool:
        """Whether anything is to be done at all."""
        return self.center or self.scale or self.whiten

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Images (n, height, width, channels) brought to the sample's scale, float32.

        Raises
        ------
        BadOptions
            Nothing has been learned.
        """
        learned = (self.mean_, self.center), (self.std_, self.scale), (self.matrix_, self.whiten)
        if any(wanted and found is None for found, wanted in learned):
            raise BadOptions(["featurewise statistics are wanted but not learned; call fit(images) first"])
        x = np.array(images, np.float32)
        if self.center:
            x -= self.mean_
        if self.scale:
            x /= self.std_ + EPSILON
        if self.whiten:
            x = (x.reshape(len(x), -1) @ self.matrix_).reshape(x.shape).astype(np.float32)
        return x

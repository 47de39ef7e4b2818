"""Soft labels, and batches mixed with themselves: mixup, cutmix, and mixup at the cut (manifold mixup).

Mixup: Zhang et al., ICLR 2018; on pixels. Cutmix: Yun et al., ICCV 2019; on pixels. Manifold mixup: Verma et
al., ICML 2019; here at the cut between the frozen and the trained part, on activations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from headstart.images.augment.mixing import blend, cut_box, pasted

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.methods.training_options import TrainingOptions


def soft_labels(codes: Tensor, n_classes: int, smoothing: float) -> Tensor:
    """One-hot labels (n, k) with a share spread over all classes (Szegedy et al., CVPR 2016, section 7)."""
    labels = torch.nn.functional.one_hot(codes, n_classes).float()
    return labels * (1 - smoothing) + smoothing / n_classes if smoothing else labels


def mixes_pixels(options: TrainingOptions) -> bool:
    """Whether pixels are mixed, so that the frozen part has to run on every mixed batch."""
    return options.mixup > 0 or options.cutmix > 0


def mixed_labels(labels: Tensor, other: np.ndarray | None, left: np.ndarray | None) -> Tensor:
    """Labels of images whose pixels were mixed."""
    if other is None or left is None:
        return labels
    share = torch.from_numpy(left).to(labels.device)[:, None]
    return share * labels + (1 - share) * labels[torch.from_numpy(other).to(labels.device)]


def mix_at_cut(
    inputs: Tensor, labels: Tensor, alpha: float, draw: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Activations and labels mixed with a permutation of themselves (nothing is done where alpha is 0)."""
    if not alpha or len(inputs) < 2:
        return inputs, labels
    share = float(draw.beta(alpha, alpha))
    other = torch.from_numpy(draw.permutation(len(inputs))).to(inputs.device)
    return share * inputs + (1 - share) * inputs[other], share * labels + (1 - share) * labels[other]


def mix_pixels(
    pixels: np.ndarray, options: TrainingOptions, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of a batch mixed with a permutation of themselves.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, height, width, 3)

    Returns
    -------
    pixels : ndarray of uint8
        The mixed ones.
    other : ndarray of int, shape (n,)
        The image that each was mixed with.
    share : ndarray of float32, shape (n,)
        What is left of the image itself.
    """
    n = len(pixels)
    other = draw.permutation(n)
    cut = options.cutmix > 0 and (not options.mixup or draw.random() < 0.5)
    alpha = options.cutmix if cut else options.mixup
    share = float(draw.beta(alpha, alpha))
    if not cut:
        return blend(pixels, other, share), other, np.full(n, share, np.float32)
    out, left = pasted(pixels, other, cut_box(pixels.shape[1], pixels.shape[2], share, draw))
    return out, other, np.full(n, left, np.float32)

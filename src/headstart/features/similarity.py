"""How like the images a network was trained on new images are, read off the network itself: no source data.

A BatchNorm layer keeps the mean and variance that its inputs had in training; new images that differ move them.
The network's own classifier says the rest: how sure it is, and over how many source classes its guesses spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import BackboneError, UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from headstart.backbones.load import Backbone

LEAST_VARIANCE = 1e-5
BATCH = 16


@dataclass(frozen=True)
class SourceGuess:
    """What the source classifier says of images.

    Attributes
    ----------
    confidence : float
        Mean probability of the first guess, 0 to 1.
    entropy : float
        Mean entropy of a prediction as a share of the largest possible, 0 (sure) to 1 (evenly spread).
    coverage : float
        Share of the source classes that are the first guess of one image or more, 0 to 1; n images can cover
        n classes at most.
    n : int
        Images.
    """

    confidence: float
    entropy: float
    coverage: float
    n: int


def source_guess(probabilities: ArrayLike) -> SourceGuess:
    """Confidence, entropy and coverage of predictions (n, n_source_classes).

    Raises
    ------
    UsageError
        No images, or fewer than two classes.

    Examples
    --------
    >>> source_guess([[1.0, 0.0], [0.5, 0.5]])
    SourceGuess(confidence=0.75, entropy=0.5, coverage=0.5, n=2)
    """
    shares = np.asarray(probabilities, np.float64)
    if shares.ndim != 2 or not len(shares) or shares.shape[1] < 2:
        raise UsageError(f"probabilities (n, source classes) are needed; got the shape {shares.shape}")
    logs = np.log(np.where(shares > 0, shares, 1.0))
    entropy = -(shares * logs).sum(axis=1).mean() / np.log(shares.shape[1])
    first = np.unique(shares.argmax(axis=1))
    return SourceGuess(
        float(shares.max(axis=1).mean()), float(entropy), len(first) / shares.shape[1], len(shares)
    )


def batchnorm_distance(pixels: NDArray[np.uint8], backbone: Backbone) -> float:
    """Distance of images from the source images of a network, by the statistics of its BatchNorm inputs.

    The mean over BatchNorm layers of the median over channels of the Kullback-Leibler distance between two
    normal distributions: that of the images' inputs, and that of the stored statistics.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, height, width, 3)
        Prepared images (see `headstart.images.prepare`); some 160 are enough.
    backbone : Backbone

    Returns
    -------
    float
        In nats, 0 or more. For lite0 and 160 images about 0.01 on source images, 0.6 on pure noise.

    Raises
    ------
    BackboneError
        The network has no BatchNorm layer with stored statistics.
    """
    import torch

    from headstart.features.taps import Place, make_trunk

    layers = _norms(backbone)
    deepest = max(backbone.layers.values(), key=lambda layer: layer.order).name
    trunk = make_trunk(backbone, [Place(deepest, "avg")], stop=False)
    sums: dict[str, tuple[Tensor, Tensor, int]] = {}
    hooks = [part.register_forward_pre_hook(_adder(sums, name)) for name, part in layers.items()]
    try:
        with torch.inference_mode():
            for at in range(0, len(pixels), BATCH):
                trunk(torch.from_numpy(np.ascontiguousarray(pixels[at : at + BATCH])))
    finally:
        for hook in hooks:
            hook.remove()
    return float(np.mean([_layer_distance(part, *sums[name]) for name, part in layers.items()]))


def _norms(backbone: Backbone) -> dict[str, Any]:
    from torch.nn.modules.batchnorm import _BatchNorm

    found = {
        name: part
        for name, part in backbone.module.named_modules()
        if isinstance(part, _BatchNorm) and part.running_mean is not None and name in backbone.layers
    }
    if not found:
        raise BackboneError(
            f"{backbone.card.name} keeps no BatchNorm statistics; measure similarity on lite0 instead"
        )
    return found


def _adder(sums: dict[str, tuple[Tensor, Tensor, int]], name: str) -> Any:
    """Add the inputs of a layer, a channel, to its sums."""

    def add(part: Any, inputs: Any) -> None:
        values = inputs[0].double().transpose(0, 1).flatten(1)
        total, square = values.sum(1), values.square().sum(1)
        if name in sums:
            before = sums[name]
            sums[name] = (before[0] + total, before[1] + square, before[2] + values.shape[1])
        else:
            sums[name] = (total, square, values.shape[1])

    return add


def _layer_distance(part: Any, total: Tensor, square: Tensor, n: int) -> float:
    mean = total / n
    variance = (square / n - mean.square()).clamp_min(0).numpy() + LEAST_VARIANCE
    stored = part.running_var.double().numpy() + LEAST_VARIANCE
    apart = (mean.numpy() - part.running_mean.double().numpy()) ** 2
    return float(np.median((np.log(stored / variance) + (variance + apart) / stored - 1) / 2))

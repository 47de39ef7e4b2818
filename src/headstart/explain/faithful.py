"""Whether a map may be believed: does it change when the weights are drawn anew, does the score follow it?

Randomised weights: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018: a map that stays the same shows the
image, not the network. Deletion and insertion: Petsiuk, Das and Saenko, RISE, BMVC 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from headstart.base.errors import BadOptions
from headstart.base.events import Progress, emit
from headstart.explain.cam import CAMS, Maps
from headstart.explain.checked import Sanity
from headstart.explain.gradients import explain
from headstart.explain.spatial import frozen
from headstart.explain.target import Target

DRAWS = 3
FRACTIONS = 20
BLUR_CELLS = 8


def sanity(
    target: Target, pixels: np.ndarray, maps: Maps, *, draws: int = DRAWS, seed: int = 0, **options: Any
) -> Sanity:
    """Compare maps with those of networks of random weights.

    Parameters
    ----------
    target : Target
    pixels : ndarray of uint8, shape (n, height, width, 3)
    maps : Maps
        Of these images.
    draws : int
        Networks that are drawn.
    seed : int
    **options
        Those of `explain` that the maps were made with (steps, windows).
    """
    if draws < 1:
        raise BadOptions([f"draws: {draws} is below 1"])
    rows, others = [], []
    layer = maps.layer or None
    if maps.method in CAMS and layer is None:
        layer = target.layer(None, maps.output).name
    for draw in range(draws):
        other = randomised(target, pixels, seed + draw)
        found = explain(
            other,
            pixels,
            maps.classes.tolist(),
            method=maps.method,
            layer=layer,
            output=maps.output,
            **options,
        )
        rows.append([rank_correlation(a, b) for a, b in zip(maps.coarse, found.coarse, strict=True)])
        next_one = np.roll(found.coarse, 1, axis=0) if len(pixels) > 1 else np.zeros_like(found.coarse)
        others.append([rank_correlation(a, b) for a, b in zip(maps.coarse, next_one, strict=True)])
        emit(Progress("randomised weights", draw + 1, draws))
    return Sanity(maps.method, np.array(rows), np.array(others))


def randomised(target: Target, pixels: np.ndarray, seed: int) -> Target:
    """The same architecture with weights drawn anew.

    Matrices and kernels are drawn from a normal distribution with their own mean and deviation, vectors keep their
    values in another order, and the statistics of BatchNorm are measured again on the images: signals keep their
    size, and nothing that was learned is left. A head of nearest neighbours has no weights and stays as it is: behind
    it all of the network is drawn anew.
    """
    draw = torch.Generator().manual_seed(seed)
    net = copy.deepcopy(target.net)
    with torch.no_grad():
        for each in _learned(net):
            if each.ndim > 1:
                each.copy_(torch.randn(each.shape, generator=draw) * each.std() + each.mean())
            elif each.numel() > 1:
                each.copy_(each[torch.randperm(each.numel(), generator=draw)])
        _measure_again(net, target.images(pixels))
    return replace(target, net=net)


def _learned(net: nn.Module) -> list[torch.Tensor]:
    """Parameters, and what a fitted head keeps as buffers."""
    from headstart.explain.heads import TorchHead

    found: list[torch.Tensor] = list(net.parameters())
    for part in net.modules():
        if isinstance(part, TorchHead):
            found += [
                each for name, each in part.named_buffers() if name in ("coef", "intercept", "landmarks")
            ]
    return found


def _measure_again(net: nn.Module, images: torch.Tensor) -> None:
    norms = [part for part in net.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    if not norms or len(images) * images.shape[2] < 2:
        return
    twice = torch.cat([images, images]) if len(images) == 1 else images
    before = [part.momentum for part in norms]
    net.eval()
    for part in norms:
        part.reset_running_stats()
        part.momentum = None
        part.train()
    net(twice)
    for part, momentum in zip(norms, before, strict=True):
        part.momentum = momentum
        part.eval()


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of one shape; NaN where one is flat."""
    first, second = rankdata(a.ravel()), rankdata(b.ravel())
    if first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


@dataclass(frozen=True, eq=False)
class Faithful:
    """Deletion and insertion of images.

    Attributes
    ----------
    share : ndarray, shape (steps + 1,)
        Of the image that is deleted or inserted, 0 .. 1.
    deletion, insertion : ndarray, shape (n, steps + 1)
        Probability of the class: pixels are taken away, brightest of the map first, by giving them the mean colour;
        or put into a blurred image.
    chance_deletion, chance_insertion : ndarray, shape (n, steps + 1)
        The same in a random order of patches.
    """

    share: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    chance_deletion: np.ndarray
    chance_insertion: np.ndarray

    def scores(self) -> dict[str, np.ndarray]:
        """Area under each curve (n,): deletion better low, insertion better high."""
        names = ("deletion", "insertion", "chance_deletion", "chance_insertion")
        return {name: np.trapezoid(getattr(self, name), self.share, axis=1) for name in names}


def faithfulness(
    target: Target, pixels: np.ndarray, maps: Maps, *, steps: int = FRACTIONS, seed: int = 0
) -> Faithful:
    """Probability of the explained class while the image is taken away, or put back, in the order of its map.

    Parameters
    ----------
    target : Target
    pixels : ndarray of uint8, shape (n, height, width, 3)
    maps : Maps
        Of these images.
    steps : int
        Points of a curve less one; each costs a forward pass of the image.
    seed : int
        Of the random order.
    """
    if steps < 2:
        raise BadOptions([f"steps: {steps} is below 2"])
    mean = np.round(255 * np.asarray(target.preprocessing.mean)).astype(np.uint8)
    share = np.linspace(0, 1, steps + 1)
    draw = np.random.default_rng(seed)
    curves: dict[str, list[np.ndarray]] = {
        name: [] for name in ("deletion", "insertion", "chance_deletion", "chance_insertion")
    }
    with frozen(target.net):
        for at, (image, values) in enumerate(zip(pixels, maps.values, strict=True)):
            number = int(maps.classes[at])
            orders = {"": _order(values), "chance_": _order(_patches(values.shape, draw))}
            for name, order in orders.items():
                for kind, start, end in (
                    ("deletion", image, np.broadcast_to(mean, image.shape)), ("insertion", blurred(image), image),
                ):  # fmt: skip
                    batch = _mixed(start, end, order, share)
                    curves[name + kind].append(target.probabilities(batch, maps.output)[:, number])
            emit(Progress("deletion and insertion", at + 1, len(pixels)))
    return Faithful(share, **{name: np.stack(rows) for name, rows in curves.items()})


def _order(values: np.ndarray) -> np.ndarray:
    """Rank 0 .. 1 of each pixel, the brightest first."""
    rank = np.empty(values.size)
    rank[np.argsort(-values.ravel(), kind="stable")] = np.arange(values.size) / values.size
    return rank.reshape(values.shape)


def _patches(shape: tuple[int, ...], draw: np.random.Generator, cells: int = 7) -> np.ndarray:
    """Random values a patch, as coarse as a map."""
    coarse = draw.random((cells, cells))
    rows, columns = np.arange(shape[0]) * cells // shape[0], np.arange(shape[1]) * cells // shape[1]
    return coarse[rows][:, columns]


def _mixed(
    start: np.ndarray, end: np.ndarray, order: np.ndarray, share: Sequence[float] | np.ndarray
) -> np.ndarray:
    """The image on its way from `start` to `end`, a share of the pixels at a time."""
    return np.stack([np.where((order < part)[..., None], end, start) for part in share]).astype(np.uint8)


def blurred(image: np.ndarray, cells: int = BLUR_CELLS) -> np.ndarray:
    """The image with its details gone, uint8 of the same shape."""
    from PIL import Image, ImageFilter

    radius = max(image.shape[:2]) / (2 * cells)
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))

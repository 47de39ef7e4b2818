"""The loss as the optimiser sees it: around some weights, and in the plane in which training moved them.

Filter-normalised random directions and the plane of the principal components of the path: Li, Xu, Taylor, Studer and
Goldstein, Visualizing the Loss Landscape of Neural Nets, NeurIPS 2018, sections 3 and 7. The descent here serves the
picture alone (few images, all of them in every step, so that the surface is the one that was descended); models are
trained by `headstart fit`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.base.errors import BadOptions
from headstart.base.events import Progress, emit

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone

STEPS = 24
SIDE = 9
MARGIN = 0.25
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


@dataclass(frozen=True, eq=False)
class Landscape:
    """Loss on a grid in a plane through weight space.

    Attributes
    ----------
    kind : {"random", "path"}
    x, y : ndarray, shape (n,)
        Steps along the two directions.
    loss : ndarray, shape (n, n)
        A row for each y.
    path : ndarray, shape (m, 2), or None
        The descent in these coordinates (for "random" None).
    losses : ndarray, shape (m,), or None
    explained : float
        Share of the path's variance that lies in the plane; NaN for random directions.
    """

    kind: str
    x: np.ndarray
    y: np.ndarray
    loss: np.ndarray
    path: np.ndarray | None
    losses: np.ndarray | None
    explained: float


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


def random_plane(
    loss: Loss, weights: np.ndarray, *, side: int = SIDE, reach: float = 0.4, seed: int = 0
) -> Landscape:
    """Loss around some weights along two random directions, each filter as long as the weights' own.

    Parameters
    ----------
    loss : Loss
    weights : ndarray, shape (d,)
    side : int
        Points a side of the grid, an odd number so that the weights are one of them.
    reach : float
        How far the grid goes each way; 1 is as far as the weights are long.
    seed : int
    """
    if side < 3:
        raise BadOptions([f"side: {side} is below 3"])
    draw = np.random.default_rng(seed)
    first, second = (filter_normalised(loss, weights, draw) for _ in range(2))
    along = np.linspace(-reach, reach, side)
    return Landscape(
        "random", along, along, _grid(loss, weights, first, second, along, along), None, None, float("nan")
    )


def filter_normalised(loss: Loss, weights: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A random direction (d,) whose filters have the norms of the weights' filters; biases and norms do not move."""
    parts, place = [], 0
    for each in loss.parameters:
        own = weights[place : place + each.numel()]
        place += each.numel()
        if each.ndim < 2:
            parts.append(np.zeros(each.numel(), np.float32))
            continue
        rows = draw.standard_normal((each.shape[0], each.numel() // each.shape[0])).astype(np.float32)
        length = np.linalg.norm(own.reshape(rows.shape), axis=1, keepdims=True)
        parts.append((rows * length / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).ravel())
    return np.concatenate(parts)


def path_plane(loss: Loss, path: Path, *, side: int = SIDE) -> Landscape:
    """Loss in the plane of the first two principal components of a path, with the path in it.

    Parameters
    ----------
    loss : Loss
    path : Path
    side : int
        Points a side of the grid.
    """
    if side < 3:
        raise BadOptions([f"side: {side} is below 3"])
    end = path.weights[-1]
    moves = np.stack([each - end for each in path.weights[:-1]])
    gram = moves.astype(np.float64) @ moves.T.astype(np.float64)
    values, vectors = np.linalg.eigh(gram)
    total = max(float(values.clip(min=0).sum()), 1e-30)
    axes = [_axis(moves, values[-number], vectors[:, -number]) for number in (1, 2)]
    places = np.array([[float(np.dot(each - end, axis)) for axis in axes] for each in path.weights])
    x, y = (_span(places[:, axis], side) for axis in (0, 1))
    surface = _grid(loss, end, axes[0], axes[1], x, y)
    return Landscape("path", x, y, surface, places, path.losses, float(values[-2:].clip(min=0).sum()) / total)


def _axis(moves: np.ndarray, value: float, vector: np.ndarray) -> np.ndarray:
    """A unit vector of weight space from an eigenvector of the Gram matrix."""
    axis = vector.astype(np.float32) @ moves
    out: np.ndarray = axis / max(float(np.linalg.norm(axis)), 1e-12)
    return out


def _span(places: np.ndarray, side: int) -> np.ndarray:
    low, high = float(places.min()), float(places.max())
    room = MARGIN * max(high - low, 1e-6)
    return np.linspace(low - room, high + room, side)


def _grid(
    loss: Loss, centre: np.ndarray, first: np.ndarray, second: np.ndarray, x: Sequence[float] | Any, y: Any
) -> np.ndarray:
    values = np.empty((len(y), len(x)))
    for row, up in enumerate(y):
        for column, along in enumerate(x):
            values[row, column] = loss.at(centre + np.float32(along) * first + np.float32(up) * second)
        emit(Progress("loss surface", row + 1, len(y)))
    loss.set(centre)
    return values


@dataclass(frozen=True, eq=False)
class Starts:
    """The same network and images from random and from pretrained weights: (path, plane of the path, random plane)."""

    random: tuple[Path, Landscape, Landscape]
    pretrained: tuple[Path, Landscape, Landscape]
    n: int


def compare_starts(
    pretrained: nn.Module,
    fresh: nn.Module,
    images: Tensor,
    codes: Tensor,
    *,
    steps: int = STEPS,
    side: int = SIDE,
    learning_rate: float = 0.02,
    seed: int = 0,
) -> Starts:
    """Descend from both starts and look at the loss around each path and its end.

    Parameters
    ----------
    pretrained, fresh : nn.Module
        Images to class scores, of one architecture.
    images : Tensor, shape (n, 3, height, width)
    codes : Tensor of int64, shape (n,)
    """
    out = []
    for net in (fresh, pretrained):
        loss = Loss(net, images, codes)
        path = descend(loss, steps=steps, learning_rate=learning_rate)
        out.append(
            (
                path,
                path_plane(loss, path, side=side),
                random_plane(loss, path.weights[-1], side=side, seed=seed),
            )
        )
    return Starts(out[0], out[1], len(images))


def starts_of_backbone(backbone: Backbone, images: Tensor, labels: Sequence[str], **options: Any) -> Starts:
    """`compare_starts` for a backbone with a new linear head, on images with labels.

    Parameters
    ----------
    backbone : Backbone
    images : Tensor, shape (n, 3, height, width)
        Normalised.
    labels : sequence of str
    **options
        Of `compare_starts`.
    """
    from headstart.backbones.freeze import find_cut
    from headstart.methods.network import make_net

    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < 2:
        raise BadOptions(
            [f"images: two classes or more are needed, got {', '.join(map(str, names)) or 'none'}"]
        )
    cut, seed = find_cut(backbone, "all"), int(options.get("seed", 0))
    nets = []
    for fresh in (False, True):
        net = make_net(backbone, cut, len(names), from_cut=False, seed=seed, fresh_weights=fresh)
        net.head.unit_length = False  # type: ignore[assignment]
        nets.append(net)
    return compare_starts(nets[0], nets[1], images, torch.from_numpy(codes), **options)

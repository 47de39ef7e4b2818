"""The loss as the optimiser sees it: around some weights, where training moved them, and from one start to the other.

Filter-normalised random directions and the plane of the principal components of the path: Li, Xu, Taylor, Studer and
Goldstein, Visualizing the Loss Landscape of Neural Nets, NeurIPS 2018, sections 3 and 7. A random plane holds next to
nothing of a path (section 7.1), so a path on it is a dot; how much each surface holds stands beside it. No plane holds
two paths whose moves are at right angles, so both starts are shown on a sheet: straight lines from a network on one
path to the network as far along on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.base.errors import BadOptions
from headstart.base.events import Progress, emit
from headstart.explain.descent import STEPS, Loss, Path, descend

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone

SIDE = 9
MARGIN = 0.25
BESIDE = 0.3
REACH = 0.4
CHUNK = 1 << 18
"""Weights that are looked at together, so that no path is copied whole."""


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
        The descent in these coordinates, projected at right angles; None where none was given.
    losses : ndarray, shape (m,), or None
        Of the weights on the path themselves, not of their shadows in the plane.
    explained : float
        Share of the movement (squared distances from the end of the path) that lies in the plane; NaN without a path.
    """

    kind: str
    x: np.ndarray
    y: np.ndarray
    loss: np.ndarray
    path: np.ndarray | None
    losses: np.ndarray | None
    explained: float


@dataclass(frozen=True, eq=False)
class Sheet:
    """Loss on the straight lines between two networks, each as far along its own way as the other.

    Attributes
    ----------
    x : ndarray, shape (n,)
        0 is the network from random weights, 1 that from pretrained ones.
    y : ndarray, shape (m,)
        0 are the starts, 1 the ends: the sheet goes through all four.
    loss : ndarray, shape (m, n)
        A row for each y.
    paths : (ndarray, ndarray), shapes (steps, 2)
        The descents from random and from pretrained weights in these coordinates.
    explained : (float, float)
        Share of the movement of each path that lies on its straight line from start to end.
    apart : float
        Distance of the two ends.
    cosine : float
        Of the two movements from start to end: 0 is at right angles.
    """

    x: np.ndarray
    y: np.ndarray
    loss: np.ndarray
    paths: tuple[np.ndarray, np.ndarray]
    explained: tuple[float, float]
    apart: float
    cosine: float


def random_plane(
    loss: Loss,
    weights: np.ndarray,
    *,
    path: Path | None = None,
    side: int = SIDE,
    reach: float = REACH,
    seed: int = 0,
) -> Landscape:
    """Loss around some weights along two random directions, each filter as long as the weights' own.

    Parameters
    ----------
    loss : Loss
    weights : ndarray, shape (d,)
    path : Path, optional
        Drawn into the plane; `weights` is its end.
    side : int
        Points a side of the grid, an odd number so that the weights are one of them.
    reach : float
        How far the grid goes each way; 1 is as far as the weights are long.
    seed : int
    """
    _check_side(side)
    draw = np.random.default_rng(seed)
    axes = [filter_normalised(loss, weights, draw) for _ in range(2)]
    places, held = (None, float("nan")) if path is None else projected(path.weights, weights, axes)
    along = np.linspace(-reach, reach, side)
    surface = _grid(loss, weights, axes, along, along)
    return Landscape("random", along, along, surface, places, None if path is None else path.losses, held)


def projected(
    weights: Sequence[np.ndarray], centre: np.ndarray, axes: Sequence[np.ndarray]
) -> tuple[np.ndarray, float]:
    """Where weights lie in a plane, or the points of it that are nearest to them.

    Parameters
    ----------
    weights : sequence of ndarray, shape (d,)
    centre : ndarray, shape (d,)
    axes : sequence of ndarray, shape (d,)
        Of any length, at right angles or not (filter-normalised directions are not).

    Returns
    -------
    places : ndarray, shape (len(weights), len(axes))
        By least squares, in units of the axes.
    held : float
        Share of the squared distances from the centre that lies in the plane; NaN where nothing moved.
    """
    inner, outer = np.zeros((len(axes), len(axes))), np.zeros((len(weights), len(axes)))
    whole = 0.0
    for part in _parts(centre):
        some = np.stack([each[part] for each in axes]).astype(np.float64)
        moves = np.stack([each[part] for each in weights]).astype(np.float64) - centre[part]
        inner += some @ some.T
        outer += moves @ some.T
        whole += float((moves**2).sum())
    places: np.ndarray = outer @ np.linalg.pinv(inner, hermitian=True)
    return places, float((places * outer).sum()) / whole if whole > 0 else float("nan")


def _parts(weights: np.ndarray) -> list[slice]:
    return [slice(at, at + CHUNK) for at in range(0, len(weights), CHUNK)]


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
    _check_side(side)
    end = path.weights[-1]
    axes = _main_axes(path.weights)
    places, held = projected(path.weights, end, axes)
    x, y = (_span(places[:, axis], side) for axis in (0, 1))
    return Landscape("path", x, y, _grid(loss, end, axes, x, y), places, path.losses, held)


def _main_axes(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Two unit vectors along which weights lie farthest from the last of them, the farther one first."""
    end, before = weights[-1], weights[:-1]
    gram = np.zeros((len(before), len(before)))
    for part in _parts(end):
        moves = np.stack([each[part] for each in before]).astype(np.float64) - end[part]
        gram += moves @ moves.T
    vectors = np.linalg.eigh(gram)[1]
    axes = []
    for vector in (vectors[:, -1], vectors[:, -2]):
        axis = np.zeros_like(end)
        for share, each in zip(vector.astype(np.float32), before, strict=True):
            axis += share * (each - end)
        axes.append(axis / max(float(np.linalg.norm(axis)), 1e-12))
    return axes


def sheet(loss: Loss, random: Path, pretrained: Path, *, side: int = SIDE) -> Sheet:
    """Loss between two descents of one network, from start to end and a little beyond.

    Parameters
    ----------
    loss : Loss
        Of either network: only weights differ.
    random, pretrained : Path
    side : int
        Points from before the starts to behind the ends; from network to network there are about twice as many, closer
        together near both, as the valleys are narrow that way.
    """
    _check_side(side)
    both = (random, pretrained)
    if len({len(path.weights[-1]) for path in both}) > 1:
        raise BadOptions(["networks: the two are not of one architecture"])
    starts, ends = [path.weights[0] for path in both], [path.weights[-1] for path in both]
    moves = [end - start for start, end in zip(starts, ends, strict=True)]
    between = np.round(0.5 - 0.5 * np.cos(np.linspace(0, np.pi, max(2 * side - 7, 3))), 9)
    x = _with_margins(between, BESIDE * np.linspace(0, 1, max(side // 3, 1) + 1)[1:] ** 2)
    y = _with_margins(np.linspace(0, 1, max(side - 2, 2)), np.array([MARGIN]))
    surface = np.empty((len(y), len(x)))
    for row, up in enumerate(y):
        here, there = (start + np.float32(up) * move for start, move in zip(starts, moves, strict=True))
        surface[row] = [loss.at(here + np.float32(along) * (there - here)) for along in x]
        emit(Progress("loss surface", row + 1, len(y)))
    ways = [projected(path.weights, end, [move]) for path, end, move in zip(both, ends, moves, strict=True)]
    places = [
        np.column_stack([np.full(len(along), float(number)), 1 + along[:, 0]])
        for number, (along, _) in enumerate(ways)
    ]
    lengths = [float(np.linalg.norm(move)) for move in moves]
    cosine = float(np.dot(moves[0].astype(np.float64), moves[1])) / max(lengths[0] * lengths[1], 1e-30)
    apart = float(np.linalg.norm(ends[1] - ends[0]))
    return Sheet(x, y, surface, (places[0], places[1]), (ways[0][1], ways[1][1]), apart, cosine)


def _with_margins(inside: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    return np.concatenate([-beyond[::-1], inside, 1 + beyond])


def _check_side(side: int) -> None:
    if side < 3:
        raise BadOptions([f"side: {side} is below 3"])


def _span(places: np.ndarray, side: int) -> np.ndarray:
    low, high = float(places.min()), float(places.max())
    room = MARGIN * max(high - low, 1e-6)
    return np.linspace(low - room, high + room, side)


def _grid(
    loss: Loss, centre: np.ndarray, axes: Sequence[np.ndarray], x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    values = np.empty((len(y), len(x)))
    for row, up in enumerate(y):
        for column, along in enumerate(x):
            values[row, column] = loss.at(centre + np.float32(along) * axes[0] + np.float32(up) * axes[1])
        emit(Progress("loss surface", row + 1, len(y)))
    loss.set(centre)
    return values


@dataclass(frozen=True, eq=False)
class Starts:
    """The same network and images from random and from pretrained weights.

    Attributes
    ----------
    random, pretrained : (Path, Landscape, Landscape)
        The descent, the plane in which it moved most, the random plane around its end.
    n : int
        Images.
    together : Sheet
        Through both descents.
    """

    random: tuple[Path, Landscape, Landscape]
    pretrained: tuple[Path, Landscape, Landscape]
    n: int
    together: Sheet


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
    """Descend from both starts and look at the loss around each path and its end, and between the two.

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
                random_plane(loss, path.weights[-1], path=path, side=side, seed=seed),
            )
        )
    together = sheet(loss, out[0][0], out[1][0], side=side)
    return Starts(out[0], out[1], len(images), together)


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

"""Is one picture a copy of the other? Small grey pictures are laid over each other, then their detail is compared.

Alignment by Gauss-Newton steps (Lucas and Kanade 1981) over scale and shift a side, brightness and contrast, for
all pairs at once; then the correlation of a band of detail (a difference of blurs), in which photos of like things
differ though their shapes agree. Measured on photos of clothes: nearest other photos stay below 0.82 (999 of
1,000), copies cut by 5 % a side, re-encoded, resized or brightened by 1.3 lie above 0.90 (99 of 100).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SIDE = 48
STEPS = 4
LONGEST_STEP, MOST_SCALE, MOST_SHIFT = 0.06, 0.15, 0.16
AT_ONCE = 256
PLACES = ((np.arange(SIDE) + 0.5) / SIDE * 2 - 1).astype(np.float32)
"""Centres of the pixels of a side, from -1 to 1."""


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Floats:
    """Correlation of the detail of pairs of pictures once they are aligned.

    Parameters
    ----------
    one, other : ndarray of uint8, shape (m, SIDE, SIDE)

    Returns
    -------
    ndarray of float32, shape (m,)
        -1 to 1; what holds no detail gives 0.
    """
    found = np.zeros(len(one), np.float32)
    for at in range(0, len(one), AT_ONCE):
        part = slice(at, at + AT_ONCE)
        found[part] = _likeness(one[part].astype(np.float32), other[part].astype(np.float32))
    return found


def blurred(pictures: Floats) -> Floats:
    """Each picture smoothed by 1-2-1 along both sides."""
    wide = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float32, copy=False)
    across = (wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]) / 4
    made: Floats = ((across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 4).astype(np.float32, copy=False)
    return made


def _likeness(one: Floats, other: Floats) -> Floats:
    moved, inside = _warped(one, _aligned(blurred(one), blurred(other)))
    inside[:, [0, -1]] = False
    inside[:, :, [0, -1]] = False
    return _correlation(_detail(moved), _detail(other), inside)


def _detail(pictures: Floats) -> Floats:
    fine = blurred(pictures)
    return fine - blurred(blurred(fine))


def _aligned(one: Floats, other: Floats) -> Floats:
    """Scale and shift along x and y (m, 4) that bring `one` nearest to `other`."""
    n = len(one)
    place: Floats = np.tile(np.array([1, 0, 1, 0], np.float32), (n, 1))
    best, best_place = np.full(n, -2.0, np.float32), place.copy()
    for step in range(STEPS + 1):
        moved, inside = _warped(one, place)
        score = _correlation(moved, other, inside)
        better = score > best
        best[better], best_place[better] = score[better], place[better]
        if step < STEPS:
            place = _bounded(place + _step(moved, other, inside) * place[:, [0, 0, 2, 2]])
    return best_place


def _bounded(place: Floats) -> Floats:
    place[:, [0, 2]] = np.clip(place[:, [0, 2]], 1 - MOST_SCALE, 1 + MOST_SCALE)
    place[:, [1, 3]] = np.clip(place[:, [1, 3]], -MOST_SHIFT, MOST_SHIFT)
    return place


def _step(moved: Floats, other: Floats, inside: NDArray[np.bool_]) -> Floats:
    """One Gauss-Newton step of scale and shift; contrast and brightness are solved for beside it."""
    along_x, along_y = np.zeros_like(moved), np.zeros_like(moved)
    along_x[:, :, 1:-1] = (moved[:, :, 2:] - moved[:, :, :-2]) * (SIDE / 4)
    along_y[:, 1:-1] = (moved[:, 2:] - moved[:, :-2]) * (SIDE / 4)
    x = np.broadcast_to(PLACES, (SIDE, SIDE))
    slopes = [along_x * x, along_x, along_y * x.T, along_y, moved, np.ones_like(moved)]
    kept = inside.astype(np.float32)
    jacobian = (np.stack(slopes, 1) * kept[:, None]).reshape(len(moved), 6, -1)
    right = jacobian @ (other * kept).reshape(len(moved), -1, 1)
    square = (jacobian @ jacobian.transpose(0, 2, 1)).astype(np.float64)
    own = np.diagonal(square, axis1=1, axis2=2)
    square += np.eye(6) * (1e-3 * own + 1e-6 * own.max(1, keepdims=True) + 1e-9)[:, None, :]
    found = np.linalg.solve(square, right.astype(np.float64))[:, :, 0]
    contrast = np.where(np.abs(found[:, 4:5]) > 0.2, found[:, 4:5], 0.2)
    step: Floats = np.clip(found[:, :4] / contrast, -LONGEST_STEP, LONGEST_STEP).astype(np.float32)
    return step


def _warped(pictures: Floats, place: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Pictures sampled at scaled and shifted places (bilinear), and which places lie inside."""
    across, inside_x = _sampler(place[:, 0], place[:, 1])
    down, inside_y = _sampler(place[:, 2], place[:, 3])
    moved: Floats = np.matmul(down @ pictures, across.transpose(0, 2, 1), dtype=np.float32)
    return moved, inside_y[:, :, None] & inside_x[:, None, :]


def _sampler(scale: Floats, shift: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    at = (PLACES[None] * scale[:, None] + shift[:, None] + 1) / 2 * SIDE - 0.5
    inside = (at >= -0.5) & (at <= SIDE - 0.5)
    near = np.clip(at, 0, SIDE - 1)[:, :, None] - np.arange(SIDE, dtype=np.float32)
    weights: Floats = np.maximum(0, 1 - np.abs(near)).astype(np.float32)
    return weights, inside


def _correlation(one: Floats, other: Floats, inside: NDArray[np.bool_]) -> Floats:
    a, b = _centred(one, inside), _centred(other, inside)
    lengths = np.sqrt(np.square(a).sum((1, 2)) * np.square(b).sum((1, 2)))
    made: Floats = (a * b).sum((1, 2)) / np.maximum(lengths, 1e-6)
    return made


def _centred(pictures: Floats, inside: NDArray[np.bool_]) -> Floats:
    n = np.maximum(inside.sum((1, 2), keepdims=True), 1)
    mean = np.where(inside, pictures, 0).sum((1, 2), keepdims=True) / n
    made: Floats = np.where(inside, pictures - mean, 0).astype(np.float32)
    return made

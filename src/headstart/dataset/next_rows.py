"""Which images to label next: a few seeds, each in a row with the images that look most like it.

Seeds are those the model is least sure of (smallest margin; Scheffer et al. 2001), or those farthest from all
that is labelled (farthest-first, the greedy k-centre rule; Sener & Savarese 2018), or the surest of each class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.dataset.suggest import Suggester

UNCERTAIN, DIVERSE, SURE = "uncertain", "diverse", "sure"
ORDERS = (UNCERTAIN, DIVERSE, SURE)
SCORED_CELLS = 40_000_000
ROWS_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class Shape:
    """Rows of a batch, and images in each."""

    n_rows: int
    n_columns: int


def next_rows(
    points: NDArray[np.float32],
    free: NDArray[np.bool_],
    near_labelled: NDArray[np.float32],
    model: Suggester | None,
    *,
    order: str,
    shape: Shape,
) -> list[list[int]]:
    """The images to show next, in rows of similar ones.

    Parameters
    ----------
    points : float32 (n, d)
    free : bool (n,)
        Images that have no label yet.
    near_labelled : float32 (n,)
        Squared distance of each image to the nearest labelled one; infinite where none is labelled.
    model : Suggester, optional
        Without one, whatever the order, the diverse ones come.
    order : str
        One of `ORDERS`.
    shape : Shape

    Returns
    -------
    list of list of int
        Row numbers; each image once, none of them labelled.
    """
    left = free.copy()
    if model is None or order == DIVERSE:
        return _diverse(points, left, near_labelled.copy(), shape)
    rows = _scored(np.flatnonzero(free), len(model.classes))
    found = model.guess(points[rows])
    if order == SURE:
        return _sure(rows, found.codes, found.confidence, shape)
    worth = np.full(len(points), -np.inf, np.float32)
    worth[rows] = -found.margin
    return _grown(points, left, lambda: worth, shape)


def _grown(
    points: NDArray[np.float32],
    left: NDArray[np.bool_],
    worth: Callable[[], NDArray[np.float32]],
    shape: Shape,
) -> list[list[int]]:
    """Rows that grow from the worthiest image left, each with its nearest neighbours among those left."""
    made: list[list[int]] = []
    while len(made) < shape.n_rows and left.any():
        seed = int(np.where(left, worth(), -np.inf).argmax())
        seed = seed if left[seed] else int(left.argmax())
        distances = np.where(left, squared(points, seed), np.inf)
        n = min(shape.n_columns, int(left.sum()))
        near = np.argpartition(distances, n - 1)[:n]
        row = [seed, *(int(at) for at in near[np.argsort(distances[near], kind="stable")] if at != seed)]
        made.append(row[:n])
        left[made[-1]] = False
    return made


def _diverse(
    points: NDArray[np.float32], left: NDArray[np.bool_], nearest: NDArray[np.float32], shape: Shape
) -> list[list[int]]:
    """Farthest first; where nothing is labelled yet, the first seed is the image nearest to the middle."""
    made: list[list[int]] = []
    while len(made) < shape.n_rows and left.any():
        if np.isinf(nearest).all():
            worth = -np.square(points - points.mean(0)).sum(1)
        else:
            worth = nearest
        rows = _grown(points, left, lambda worth=worth: worth, Shape(1, shape.n_columns))  # type: ignore[misc]
        made += rows
        for seed in rows[0]:
            np.minimum(nearest, squared(points, seed), out=nearest)
    return made


def _sure(
    rows: NDArray[np.int64], codes: NDArray[np.int64], confidence: NDArray[np.float32], shape: Shape
) -> list[list[int]]:
    """A row a class, the surest images first; the classes with the surest images first."""
    order = np.lexsort((-confidence, codes))
    groups = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []
    groups.sort(key=lambda group: -float(confidence[group[: shape.n_columns]].mean()))
    return [[int(rows[at]) for at in group[: shape.n_columns]] for group in groups[: shape.n_rows]]


def squared(points: NDArray[np.float32], row: int) -> NDArray[np.float32]:
    """Squared distance of every point to the one of `row`, float32 (n,)."""
    return np.asarray(np.square(points - points[row]).sum(1), np.float32)


def nearest_of(points: NDArray[np.float32], rows: Sequence[int], nearest: NDArray[np.float32]) -> None:
    """Bring `nearest`, the squared distance of every point to some rows, up to more of them, in place."""
    lengths = np.square(points).sum(1)
    for at in range(0, len(rows), ROWS_AT_ONCE):
        some = points[list(rows[at : at + ROWS_AT_ONCE])]
        best = (np.square(some).sum(1)[:, None] - 2 * some @ points.T).min(0) + lengths
        np.minimum(nearest, np.maximum(best, 0), out=nearest)


def _scored(free: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """The images that are looked at: all, or a fixed sample where there are too many for the classes."""
    most = max(1_000, SCORED_CELLS // n_classes)
    if len(free) <= most:
        return free
    return np.sort(np.random.default_rng(0).choice(free, most, replace=False))

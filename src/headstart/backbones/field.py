"""How much of the image a value can depend on: the receptive field, carried from tensor to tensor.

Each rule says what one operation does to it: a window of k positions, d apart, adds (k - 1) d steps; where
paths join the larger one counts; what reads every position sees the whole image. What no rule knows cannot
be told, and is never guessed. Statistics of normalisation layers are left out, as is usual.
Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

Pair = tuple[int, int]
Shape = Sequence[int]


@dataclass(frozen=True)
class Field:
    """What a tensor's values depend on.

    Attributes
    ----------
    dims : tuple of int, optional
        Dimensions along which the place in the image varies, (height, width) where there are two; None
        where they are lost.
    extent, step : pair of int, optional
        Height and width in pixels that a value sees; pixels between neighbours. None: cannot be told.
    grid : pair of int
        Positions, down and across, when last they were two dimensions.
    whole : bool
        A value sees the whole image.
    """

    dims: tuple[int, ...] | None
    extent: Pair | None = None
    step: Pair | None = None
    grid: Pair = (0, 0)
    whole: bool = False


def image_field(height: int, width: int) -> Field:
    """A pixel of an image (n, channels, height, width) sees itself."""
    return Field((2, 3), (1, 1), (1, 1), (height, width))


def _all(dims: tuple[int, ...] | None, grid: Pair = (0, 0)) -> Field:
    return Field(dims, grid=grid, whole=True)


def _lost(dims: tuple[int, ...] | None = None, grid: Pair = (0, 0)) -> Field:
    return Field(dims, grid=grid)


def joined(fields: Sequence[Field], dims: tuple[int, ...] | None) -> Field:
    """Where paths meet: the larger extent; the whole image if one of them sees it."""
    grid = max((each.grid for each in fields), default=(0, 0))
    if any(each.whole for each in fields):
        return _all(dims, grid)
    if any(each.extent is None for each in fields) or len({len(each.dims or ()) for each in fields}) > 1:
        return _lost(dims, grid)
    extents = [each.extent for each in fields if each.extent]
    steps = {each.step for each in fields}
    extent = (max(h for h, _ in extents), max(w for _, w in extents))
    return Field(dims, extent, steps.pop() if len(steps) == 1 else None, grid)


def windowed(field: Field, kernel: Pair, stride: Pair, dilation: Pair, grid: Pair) -> Field:
    """A convolution or pooling over windows of the positions (dimensions 2 and 3)."""
    if field.whole:
        return _all((2, 3), grid)
    pointwise = kernel == (1, 1) and stride == (1, 1)
    if field.extent is None or field.dims != (2, 3) or (field.step is None and not pointwise):
        return _lost((2, 3), grid)
    if field.step is None:
        return replace(field, grid=grid)
    (h, w), (down, across) = field.extent, field.step
    extent = (h + (kernel[0] - 1) * dilation[0] * down, w + (kernel[1] - 1) * dilation[1] * across)
    return Field((2, 3), extent, (down * stride[0], across * stride[1]), grid)


def mixed(field: Field, over: set[int], shape: Shape, dims: tuple[int, ...] | None) -> Field:
    """Values mixed along the dimensions `over`: all positions give the whole image, some cannot be told."""
    if field.whole:
        return _all(dims, field.grid)
    if field.dims is None:
        return _lost(dims)
    wide = {dim for dim in field.dims if shape[dim] > 1}
    if not wide & over:
        return replace(field, dims=dims)
    return _all(dims, field.grid) if wide <= over else _lost(dims, field.grid)


def reduced(field: Field, over: set[int], shape: Shape, keep: bool) -> Field:
    """A mean, sum or maximum along `over`."""
    dims = field.dims
    if dims is not None and not keep:
        dims = tuple(dim - sum(o < dim for o in over) for dim in dims if dim not in over)
    return mixed(field, over, shape, dims)


def reshaped(field: Field, old: Shape, new: Shape) -> Field:
    """The same values in another shape."""
    if field.dims is None:
        return field
    dims = tuple(
        at
        for olds, news in _groups(old, new)
        if any(o in field.dims and old[o] > 1 for o in olds)
        for at in news
        if new[at] > 1
    )
    if len(field.dims) == 2 and len(dims) == 2 and field.dims[0] > field.dims[1]:
        dims = (dims[1], dims[0])
    kept = len(dims) == 1 or (len(dims) == 2 and tuple(new[dim] for dim in dims) == field.grid)
    if not dims and len(new) == 4:
        dims = (2, 3)
    return replace(field, dims=dims, step=field.step if kept else None)


def _groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Runs of dimensions of two shapes that hold the same values."""
    groups, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        olds, news = [i], [j]
        i, j = i + 1, j + 1
        while (p := prod(old[o] for o in olds)) != (q := prod(new[n] for n in news)):
            if p < q:
                olds.append(i)
                i += 1
            else:
                news.append(j)
                j += 1
        groups.append((olds, news))
    return groups


def multiplied(a: Field | None, b: Field | None, shape_a: Shape, shape_b: Shape) -> Field:
    """The matrix product (..., m, k) (..., k, n)."""
    last = len(shape_a) - 1
    parts = []
    if a is not None:
        kept = None if a.dims is None else tuple(dim for dim in a.dims if dim != last)
        parts.append(mixed(a, {last}, shape_a, kept))
    if b is not None:
        kept = None if b.dims is None else tuple(dim for dim in b.dims if dim != last - 1)
        parts.append(mixed(b, {last - 1}, shape_b, kept))
    if len(parts) == 1:
        return parts[0]
    dims = {dim for part in parts for dim in part.dims or ()}
    known = None if any(part.dims is None for part in parts) else tuple(sorted(dims))
    if any(part.whole for part in parts) or known == (last - 1, last):  # every position with every other
        return _all(known)
    return _lost(known)


def broadcast(fields: Sequence[tuple[Field, Shape]], n_dims: int) -> Field:
    """Values combined place by place."""
    moved = [
        None if field.dims is None else tuple(dim + n_dims - len(shape) for dim in field.dims)
        for field, shape in fields
    ]
    known = [dims for dims in moved if dims is not None]
    longest = max(known, key=len, default=None)
    same = all(set(dims) <= set(longest or ()) for dims in known)
    orders = {dims for dims in known if len(dims) == len(longest or ())}
    found = joined([field for field, _ in fields], longest if same else None)
    return found if len(orders) <= 1 or found.whole else _lost(longest if same else None)


Rule = Callable[..., Field]


def permuted(field: Field, order: Sequence[int]) -> Field:
    """Dimension `order[i]` of the old tensor becomes dimension i."""
    n = len(order)
    places = [each % n for each in order]
    dims = None if field.dims is None else tuple(places.index(dim) for dim in field.dims)
    return replace(field, dims=dims)


def selected(field: Field, dim: int) -> Field:
    """One index of a dimension, which goes."""
    if field.dims is None:
        return field
    dims = tuple(each - (each > dim) for each in field.dims if each != dim)
    return replace(field, dims=dims, step=field.step if dim not in field.dims else None)


def pair(value: Any, default: Pair = (1, 1)) -> Pair:
    """An argument given for both directions, or for each."""
    if isinstance(value, int):
        return value, value
    values = list(value or ())
    if not values:
        return default
    return int(values[0]), int(values[-1])

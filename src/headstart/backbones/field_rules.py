"""Which rule of `field` an operation of torch follows: one table, by the operation's name.

An operation that is in no table, and does not work place by place, loses the place: nothing is told of what
follows, until something reads the whole image for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headstart.backbones import field as rules
from headstart.backbones.field import Field, pair

if TYPE_CHECKING:
    from torch import Tensor

Look = Callable[[Any], "Field | None"]
SAME = (
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
    "_batch_norm_no_update", "batch_norm", "native_layer_norm", "native_group_norm", "_fused_rms_norm", "rms_norm",
    "alias", "clone", "detach", "_to_copy", "contiguous", "expand", "lift_fresh", "native_dropout",
    "constant_pad_nd", "reflection_pad2d", "replication_pad2d", "slice", "split", "split_with_sizes", "chunk",
    "unsafe_split", "unsafe_split_with_sizes", "cumsum", "flip", "copy",
)  # fmt: skip
VIEWS = ("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "_reshape_alias")
REDUCED = {"mean": 1, "sum": 1, "amax": 1, "amin": 1, "max": 1, "min": 1, "var": 1, "std": 1, "var_mean": 1,
           "linalg_vector_norm": 2, "norm": 2, "logsumexp": 1}  # fmt: skip
SPREAD = ("_softmax", "_safe_softmax", "_log_softmax", "softmax")
PRODUCTS = {"mm": (0, 1), "bmm": (0, 1), "matmul": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "mv": (0, 1)}
PLACED = ("hardswish", "_prelu_kernel", "prelu", "log_sigmoid_forward")
"""Place by place, though torch does not mark them so."""
BLANK = (
    "ones_like",
    "zeros_like",
    "empty_like",
    "full_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
)
"""Of the shape of a tensor, but not of its values."""
RESAMPLED = ("upsample", "roll", "pixel_shuffle", "pixel_unshuffle", "grid_sampler")


def follow(
    name: str, pointwise: bool, args: Sequence[Any], kwargs: dict[str, Any], out: Tensor, look: Look
) -> Field | None:
    """The receptive field of an operation's output; None where it does not depend on the image.

    Parameters
    ----------
    name : str
        Of the operation, without overload ("convolution").
    pointwise : bool
        Whether it works place by place.
    args, kwargs
        As it was called.
    out : Tensor
        What it gave, or the first of several tensors.
    look : function
        Field of a tensor, None where it does not depend on the image.
    """
    found = _followed(name, pointwise, args, kwargs, out, look)
    if found is not None and found.dims is not None and any(dim >= out.ndim for dim in found.dims):
        return replace(found, dims=None, extent=None, step=None)  # a place that the output does not have
    return found


def _followed(name: str, pointwise: bool, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field | None:
    given = [each for each in _tensors(args) + _tensors(kwargs.values()) if look(each) is not None]
    if not given or name in BLANK:
        return None
    x = given[0]
    known = look(x)
    assert known is not None
    special = TABLE.get(name.rstrip("_") if name not in TABLE else name)
    if special is not None:
        return special(known, x, args, kwargs, out, look)
    if pointwise or name.rstrip("_") in PLACED:
        return rules.broadcast([(look(each) or known, each.shape) for each in given], out.ndim)
    if name.startswith(RESAMPLED):
        grid = (int(out.shape[-2]), int(out.shape[-1])) if out.ndim == 4 else (0, 0)
        return Field(known.dims, grid=grid, whole=known.whole)
    return rules.joined([Field(None, whole=any((look(each) or known).whole for each in given))], None)


def _tensors(values: Any) -> list[Any]:
    import torch

    found = []
    for each in values:
        if isinstance(each, torch.Tensor):
            found.append(each)
        elif isinstance(each, list | tuple):
            found += _tensors(each)
    return found


def _dims(value: Any, n: int) -> set[int]:
    if value is None or value == []:
        return set(range(n))
    return {each % n for each in ([value] if isinstance(value, int) else value)}


def _same(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    if known.dims and len(known.dims) == 2 and out.ndim == x.ndim:
        return replace(known, grid=(out.shape[known.dims[0]], out.shape[known.dims[1]]))
    return known


def _sliced(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    stride = args[4] if len(args) > 4 else kwargs.get("step", 1)
    kept = _same(known, x, args, kwargs, out, look)
    return kept if stride == 1 else replace(kept, step=None)


def _view(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    return rules.reshaped(known, x.shape, out.shape)


def _convolved(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    weight, transposed = args[1], args[6]
    if x.ndim != 4 or transposed:
        grid = (int(out.shape[-2]), int(out.shape[-1]))
        return Field((2, 3) if x.ndim == 4 else None, grid=grid, whole=known.whole)
    kernel = (weight.shape[2], weight.shape[3])
    if _reads_all(kernel, x, args[4], out):
        return Field((2, 3), grid=(1, 1), whole=True)
    return rules.windowed(known, kernel, pair(args[3]), pair(args[5]), (out.shape[2], out.shape[3]))


def _reads_all(kernel: rules.Pair, x: Tensor, padding: Any, out: Tensor) -> bool:
    """One window that is all positions there are, and more than one."""
    grid = (int(x.shape[-2]), int(x.shape[-1]))
    return kernel == grid != (1, 1) and pair(padding, (0, 0)) == (0, 0) and tuple(out.shape[-2:]) == (1, 1)


def _pooled(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    kernel = pair(args[1])
    stride = pair(args[2] if len(args) > 2 else kwargs.get("stride"), kernel)
    if _reads_all(kernel, x, args[3] if len(args) > 3 else 0, out):
        return Field((2, 3), grid=(1, 1), whole=True)
    return rules.windowed(known, kernel, stride, (1, 1), (out.shape[-2], out.shape[-1]))


def _dilated(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    kernel = pair(args[1])
    stride = pair(args[2] if len(args) > 2 else None, kernel)
    dilation = pair(args[4] if len(args) > 4 else None)
    return rules.windowed(known, kernel, stride, dilation, (out.shape[-2], out.shape[-1]))


def _adaptive(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    if out.shape == x.shape:
        return known
    if tuple(out.shape[-2:]) == (1, 1):
        return rules.reduced(known, {x.ndim - 2, x.ndim - 1}, x.shape, True)
    return Field(known.dims, grid=(int(out.shape[-2]), int(out.shape[-1])), whole=known.whole)


def _reduced(where: int) -> Any:
    def rule(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
        over = args[where] if len(args) > where else kwargs.get("dim")
        return rules.reduced(known, _dims(over, x.ndim), x.shape, out.ndim == x.ndim)

    return rule


def _spread(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    return rules.reduced(known, _dims(args[1], x.ndim), x.shape, True)


def _product(first: int, second: int) -> Any:
    def rule(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
        a, b = args[first], args[second]
        found = rules.multiplied(look(a), look(b), a.shape, b.shape)
        added = look(args[0]) if first else None
        return found if added is None else rules.joined([found, added], found.dims)

    return rule


def _transposed(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    order = list(range(x.ndim))
    a, b = (args[1], args[2]) if len(args) > 2 else (0, 1)
    if x.ndim > 1:
        order[a], order[b] = order[b], order[a]
    return rules.permuted(known, order)


def _permuted(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    return rules.permuted(known, args[1])


def _selected(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    return rules.selected(known, dim % x.ndim)


def _joined(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    parts = [(look(each), each.shape) for each in args[0]]
    dim = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % out.ndim
    found = rules.broadcast([(each, shape) for each, shape in parts if each is not None], out.ndim)
    along = found.dims is not None and dim in found.dims
    return replace(found, step=None) if along and len(found.dims or ()) == 2 else found


def _stacked(known: Field, x: Tensor, args: Any, kwargs: Any, out: Tensor, look: Look) -> Field:
    dim = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % out.ndim
    parts = [(each, part.shape) for part in args[0] if (each := look(part)) is not None]
    found = rules.broadcast(parts, out.ndim - 1)
    dims = None if found.dims is None else tuple(each + (each >= dim) for each in found.dims)
    return replace(found, dims=dims)


TABLE: dict[str, Callable[[Field, Any, Any, Any, Any, Look], Field]] = {
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(VIEWS, _view),
    **{name: _reduced(where) for name, where in REDUCED.items()},
    **dict.fromkeys(SPREAD, _spread),
    **{name: _product(*where) for name, where in PRODUCTS.items()},
    **dict.fromkeys(("t", "transpose", "adjoint"), _transposed),
    **dict.fromkeys(("select", "unbind"), _selected),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool2d"), _dilated),
    "slice": _sliced,
    "convolution": _convolved,
    "avg_pool2d": _pooled,
    "permute": _permuted,
    "cat": _joined,
    "stack": _stacked,
}

"""Depthwise convolutions whose gradients are quick in bfloat16 on a CPU.

oneDNN has fast bfloat16 code for the forward pass, for weight gradients of 3x3 kernels and for input gradients at
stride 1; for larger kernels and strides its gradients are 20 to 300 times slower than the forward pass, and they were
half of the time of a training step. Here both are made out of the fast ones, with the same sums: the weight gradient
of a larger kernel is put together from 3x3 tiles, and the input gradient at a stride is one convolution at stride 1 of
the output's gradient for each phase of the input's rows and columns, with the kernel's rows and columns that meet it
(what Dumoulin and Visin 2016, section 4.5, write as a convolution with zeros in between, without the zeros).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from headstart.backbones.field import Pair, pair

TILE = 3
"""Side of the kernels whose weight gradient is fast."""


@contextmanager
def in_bfloat16(device: str, on: bool, compiled: bool = False) -> Iterator[None]:
    """Autocast to bfloat16 where it is on, with the quick depthwise convolutions where the network is not compiled."""
    with (
        QuickDepthwise() if on and not compiled else nullcontext(),
        torch.autocast(device, torch.bfloat16, enabled=on),
    ):
        yield


class QuickDepthwise(TorchFunctionMode):
    """While it is on, depthwise convolutions under bfloat16 autocast on a CPU take the quick way back.

    Others (more than one filter a channel, dilated, padded by name, small kernels at stride 1) are left to torch.

    Examples
    --------
    >>> with QuickDepthwise(), torch.autocast("cpu", torch.bfloat16):
    ...     convolution = torch.nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8)
    ...     convolution(torch.zeros(1, 8, 9, 9)).shape
    torch.Size([1, 8, 5, 5])
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d and torch.is_autocast_enabled("cpu"):
            found = _quick(*args, **(kwargs or {}))
            if found is not None:
                return found
        return func(*args, **(kwargs or {}))


def _quick(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> torch.Tensor | None:  # fmt: skip
    """The convolution with the quick way back, or None where torch's own is as quick."""
    if (
        input.device.type != "cpu"
        or isinstance(padding, str)
        or not groups == input.shape[1] == len(weight) > 1
    ):
        return None
    steps, pads = pair(stride), pair(padding)
    if not _slow(weight, steps, pads, pair(dilation)):
        return None
    lowered = torch.get_autocast_dtype("cpu")
    with torch.autocast("cpu", enabled=False):
        out: torch.Tensor = _Depthwise.apply(input.to(lowered), weight.to(lowered), steps, pads)
        return out if bias is None else out + bias.to(lowered)[:, None, None]


def _slow(weight: torch.Tensor, stride: Pair, padding: Pair, dilation: Pair) -> bool:
    """Whether torch's own way back is slow and this one can be taken."""
    kernel = (weight.shape[2], weight.shape[3])
    can = (
        min(kernel) >= TILE
        and dilation == (1, 1)
        and all(p < k for p, k in zip(padding, kernel, strict=True))
    )
    return can and (max(kernel) > TILE or max(stride) > 1)


def gradients(
    out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int,
    by_input: bool, by_weight: bool,
) -> tuple[torch.Tensor | None, torch.Tensor | None]:  # fmt: skip
    """Gradients of a convolution's input and weight (None where not wanted), by the quick way where torch's is slow.

    `out` is the gradient of the output, channels last; `x` and `weight` are as in the forward pass.
    """
    depthwise = groups == x.shape[1] == len(weight) > 1
    if depthwise and x.dtype == torch.bfloat16 and _slow(weight, stride, padding, dilation):
        return (
            _input_gradient(out, x, weight, stride, padding) if by_input else None,
            _weight_gradient(out, x, weight, stride, padding) if by_weight else None,
        )
    if not (by_input or by_weight):
        return None, None
    mask = [by_input, by_weight, False]
    found = torch.ops.aten.convolution_backward(
        out, x, weight, None, stride, padding, dilation, False, (0, 0), groups, mask
    )
    return found[0], found[1]


class _Depthwise(torch.autograd.Function):
    """One filter a channel: (n, c, h, w) and (c, 1, kh, kw) to (n, c, oh, ow)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, stride: Pair, padding: Pair) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, None, stride, padding, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        out = given[0].contiguous(memory_format=torch.channels_last)
        by_input, by_weight = ctx.needs_input_grad[:2]
        return (
            _input_gradient(out, x, weight, ctx.stride, ctx.padding) if by_input else None,
            _weight_gradient(out, x, weight, ctx.stride, ctx.padding) if by_weight else None,
            None,
            None,
        )


def _input_gradient(
    out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: Pair, padding: Pair
) -> torch.Tensor:
    if max(stride) == 1:
        return _gradients(out, x, weight, stride, padding)[0]
    found = torch.zeros_like(x)
    for row, top, first in _phases(stride[0], padding[0], weight.shape[2]):
        for column, left, start in _phases(stride[1], padding[1], weight.shape[3]):
            taps = weight[:, :, row :: stride[0], column :: stride[1]].flip(2, 3)
            reach = (taps.shape[2] - 1, taps.shape[3] - 1)
            whole = functional.conv2d(out, taps, None, 1, reach, 1, x.shape[1])[:, :, first:, start:]
            place = found[:, :, top :: stride[0], left :: stride[1]]
            part = whole[:, :, : place.shape[2], : place.shape[3]]
            place[:, :, : part.shape[2], : part.shape[3]] = part
    return found


def _phases(stride: int, padding: int, side: int) -> list[tuple[int, int, int]]:
    """For each row of the kernel that starts a phase: it, the first input row it meets, and the output row before.

    Examples
    --------
    >>> _phases(2, 2, 5), _phases(2, 1, 3)
    ([(0, 0, 1), (1, 1, 1)], [(0, 1, 1), (1, 0, 0)])
    """
    first = [max(0, -(-(padding - row) // stride)) for row in range(min(stride, side))]
    return [(row, stride * at + row - padding, at) for row, at in enumerate(first)]


def _weight_gradient(
    out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: Pair, padding: Pair
) -> torch.Tensor:
    (kh, kw), (oh, ow) = weight.shape[2:], out.shape[2:]
    if (kh, kw) == (TILE, TILE):
        return _gradients(out, x, weight, stride, padding, of_weight=True)[1]
    (height, width), (rows, columns) = x.shape[2:], ((oh - 1) * stride[0] + TILE, (ow - 1) * stride[1] + TILE)
    found, tile = torch.empty_like(weight), weight.new_empty(len(weight), 1, TILE, TILE)
    for row in _starts(kh):
        for column in _starts(kw):
            top, left = padding[0] - row, padding[1] - column
            # pads below 0 cut off: each tile sees its part of the padded image in one copy
            part = functional.pad(x, (left, columns - width - left, top, rows - height - top))
            done = _gradients(out, part, tile, stride, (0, 0), of_weight=True)[1]
            found[:, :, row : row + TILE, column : column + TILE] = done
    return found


def _starts(length: int) -> list[int]:
    """Where tiles begin that cover a side of a kernel; neighbours share a row where they must.

    Examples
    --------
    >>> _starts(5), _starts(7), _starts(4)
    ([0, 2], [0, 3, 4], [0, 1])
    """
    return [*range(0, length - TILE, TILE), length - TILE]


def _gradients(
    out: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: Pair,
    padding: Pair,
    of_weight: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, None]:
    mask = [not of_weight, of_weight, False]
    found: tuple[torch.Tensor, torch.Tensor, None] = torch.ops.aten.convolution_backward(
        out, x, weight, None, stride, padding, (1, 1), False, (0, 0), x.shape[1], mask
    )
    return found

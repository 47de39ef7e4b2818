"""Convolution and the BatchNorm after it as one step of training, where BatchNorm only applies kept statistics.

By its kept mean and variance BatchNorm is one factor and one shift a channel, so the way back needs no pass over its
input: the convolution goes back through its weights times the factor (Jacob et al., Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018, section 3.2), and the gradient of the
factor is read off that of those weights. Outputs and the gradients of all parameters are the same up to rounding; the
convolution's own output is not kept. In float32 the way forward is one convolution too; in bfloat16 it is not, because
a shift rounded to bfloat16 would be wrong by the same for every image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from headstart.backbones.field import Pair, pair
from headstart.methods.depthwise import gradients

Pairs = dict[Tensor, nn.BatchNorm2d]


class FoldedNorms(TorchFunctionMode):
    """While it is on, convolutions that a fixed BatchNorm follows bear it, and that BatchNorm passes on what it gets.

    Parameters
    ----------
    pairs : dict of Parameter to BatchNorm2d
        A convolution's weight to the BatchNorm that alone takes its output (see `foldable`). One that is in
        training mode (normalises by the batch) is left alone.
    """

    def __init__(self, pairs: Pairs) -> None:
        super().__init__()
        self.pairs = pairs
        self.borne: dict[int, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d and not kwargs and args[1] in self.pairs:
            norm = self.pairs[args[1]]
            if not norm.training:
                out = _bearing(norm, *args)
                self.borne[id(out)] = out
                return out
        if func is functional.batch_norm and self.borne.pop(id(args[0]), None) is not None:
            return args[0]
        return func(*args, **(kwargs or {}))


def _bearing(
    norm: nn.BatchNorm2d, given: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1,
    padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """What the BatchNorm makes of the convolution."""
    shape = (pair(stride), pair(padding), pair(dilation), groups)
    lowered = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    with torch.autocast("cpu", enabled=False):
        out: Tensor = _Folded.apply(given, weight, bias, norm.weight, norm.bias, norm, shape, lowered)
        return out


class _Folded(torch.autograd.Function):
    """(n, c, h, w) to the normalised output of a convolution with weights (o, c / groups, kh, kw)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, gamma: Tensor, beta: Tensor, norm: nn.BatchNorm2d,
        shape: tuple[Pair, Pair, Pair, int], lowered: torch.dtype | None,
    ) -> Tensor:  # fmt: skip
        assert norm.running_mean is not None and norm.running_var is not None
        centre = norm.running_mean if bias is None else norm.running_mean - bias
        scale = torch.rsqrt(norm.running_var + norm.eps)
        x = x if lowered is None else x.to(lowered)
        ctx.save_for_backward(x, weight, gamma, centre, scale)
        ctx.shape = shape
        if lowered is None:
            factor = gamma * scale
            return torch.conv2d(x, _times(weight, factor), beta - centre * factor, *shape)
        made = torch.conv2d(x, weight.to(lowered), None, *shape)
        return torch.batch_norm(made, gamma, beta, centre, norm.running_var, False, 0.0, norm.eps, False)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gamma, centre, scale = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.shape
        by_input, by_weight, by_bias, by_gamma, by_beta = ctx.needs_input_grad[:5]
        out = given[0].contiguous(memory_format=torch.channels_last)
        factor = gamma * scale
        borne = torch.mul(weight, factor[:, None, None, None], out=torch.empty_like(weight, dtype=x.dtype))
        of_input, of_borne = gradients(
            out, x, borne, stride, padding, dilation, groups, by_input, by_weight or by_gamma
        )
        of_shift = out.sum((0, 2, 3), dtype=weight.dtype) if by_bias or by_gamma or by_beta else None
        of_weight, of_gamma = None, None
        if of_borne is not None:
            if by_gamma:
                of_factor = (of_borne * weight).sum((1, 2, 3))
                of_gamma = scale * (of_factor - centre * of_shift)
            of_weight = _times(of_borne, factor) if by_weight else None
        return (
            of_input,
            of_weight,
            factor * of_shift if by_bias else None,
            of_gamma,
            of_shift if by_beta else None,
            None,
            None,
            None,
        )


def _times(weight: Tensor, factor: Tensor) -> Tensor:
    return weight * factor[:, None, None, None]


def foldable(network: nn.Module, given: Tensor) -> Pairs:
    """Convolutions whose output goes to one BatchNorm and nowhere else.

    Parameters
    ----------
    network : nn.Module
        Not changed; run once over `given`, in evaluation mode and without gradients.
    given : Tensor
        What the network takes; one item is enough.
    """
    watch = _Watch(network)
    training = [part for part in network.modules() if part.training]
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), watch:
            network(given)
    finally:
        for part in training:
            part.training = True
    return watch.pairs()


class _Watch(TorchFunctionMode):
    """Who takes the output of each convolution."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.runs: dict[Tensor, int] = {
            part.weight: 0
            for part in network.modules()
            if isinstance(part, nn.Conv2d) and not isinstance(part.padding, str)
        }
        self.norms: dict[Tensor, nn.BatchNorm2d] = {
            part.weight: part for part in network.modules() if isinstance(part, nn.BatchNorm2d)
        }
        self.made: dict[int, tuple[Tensor, Tensor]] = {}
        self.takers: dict[Tensor, list[Tensor | None]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor | tuple | list):  # what asks for a shape takes nothing
            for each in (*_tensors(args), *_tensors((kwargs or {}).values())):
                if id(each) in self.made:
                    norm = _weight_of(args, kwargs) if func is functional.batch_norm else None
                    self.takers.setdefault(self.made[id(each)][1], []).append(norm)
        if func is torch.conv2d and args[1] in self.runs:
            self.runs[args[1]] += 1
            self.made[id(out)] = (out, args[1])  # held, so that no other tensor gets its number
        return out

    def pairs(self) -> Pairs:
        """Each convolution that ran once, with the BatchNorm that alone took what it gave."""
        found: Pairs = {}
        for weight, takers in self.takers.items():
            taker = takers[0] if len(takers) == 1 else None
            norm = None if taker is None else self.norms.get(taker)
            if norm is not None and norm.track_running_stats and self.runs[weight] == 1:
                found[weight] = norm
        return found


def _weight_of(args: Any, kwargs: Any) -> Any:
    """The weight that a call of `batch_norm` was given, by place or by name."""
    return args[3] if len(args) > 3 else (kwargs or {}).get("weight")


def _tensors(values: Any) -> Iterator[Tensor]:
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, tuple | list):
            yield from _tensors(each)


@contextmanager
def folded(pairs: Pairs | None) -> Iterator[None]:
    """`FoldedNorms` where there are pairs."""
    if not pairs:
        yield
        return
    with FoldedNorms(pairs):
        yield

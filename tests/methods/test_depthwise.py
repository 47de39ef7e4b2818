"""The quick way back of depthwise convolutions has the gradients of torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from headstart.methods import depthwise
from headstart.methods.depthwise import QuickDepthwise, in_bfloat16

SHAPES = [
    # kernel, stride, padding, height, width
    ((5, 5), (1, 1), (2, 2), 7, 9),
    ((5, 5), (2, 2), (0, 0), 17, 17),
    ((5, 5), (2, 2), (2, 2), 8, 11),
    ((3, 3), (2, 2), (1, 1), 10, 9),
    ((3, 3), (2, 2), (0, 0), 10, 9),
    ((7, 7), (1, 1), (3, 3), 8, 8),
    ((7, 7), (4, 4), (3, 3), 19, 16),
    ((4, 4), (2, 2), (1, 1), 9, 8),
    ((3, 5), (1, 2), (1, 2), 9, 8),
    ((6, 9), (3, 1), (5, 0), 9, 12),
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "height", "width"), SHAPES)
def test_gradients_are_those_of_torch(kernel, stride, padding, height, width):
    torch.manual_seed(0)
    x = torch.randn(3, 6, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 1, *kernel, dtype=torch.float64, requires_grad=True)
    plain = functional.conv2d(x, weight, None, stride, padding, 1, 6)
    quick = depthwise._Depthwise.apply(x, weight, stride, padding)
    back = torch.randn_like(plain)
    assert torch.equal(plain, quick)
    for wanted, found in zip(
        torch.autograd.grad(plain, (x, weight), back),
        torch.autograd.grad(quick, (x, weight), back),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (5, 2), (3, 2)])
def test_a_layer_under_autocast_has_the_gradients_of_float32_within_bfloat16(kernel, stride):
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8)
    x = torch.randn(4, 8, 9, 9)
    layer(x).square().sum().backward()
    wanted = [each.grad.clone() for each in layer.parameters()]
    layer.zero_grad()
    with in_bfloat16("cpu", True):
        out = layer(x)
    assert out.grad_fn.name() != "ConvolutionBackward0"
    out.float().square().sum().backward()
    for each, grad in zip(layer.parameters(), wanted, strict=True):
        assert each.grad.dtype == torch.float32
        assert float((each.grad - grad).norm() / grad.norm()) < 0.02


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 3, 1, 1, groups=8),
        nn.Conv2d(8, 16, 5, 2, 2, groups=8),
        nn.Conv2d(8, 8, 5, 1, 2),
        nn.Conv2d(8, 8, 5, 1, 4, dilation=2, groups=8),
        nn.Conv2d(8, 8, 5, 1, "same", groups=8),
        nn.Conv2d(8, 8, (1, 7), 1, (0, 3), groups=8),
    ],
)
def test_other_convolutions_are_left_to_torch(layer):
    given = torch.randn(2, 8, 12, 12)
    with in_bfloat16("cpu", True):
        out = layer(given)
    with torch.autocast("cpu", torch.bfloat16):
        wanted = layer(given)
    assert "Depthwise" not in out.grad_fn.name()
    assert torch.equal(out, wanted)


def test_it_is_off_without_autocast():
    layer = nn.Conv2d(8, 8, 5, 1, 2, groups=8)
    with QuickDepthwise():
        assert layer(torch.zeros(1, 8, 9, 9)).dtype == torch.float32
    with in_bfloat16("cpu", False):
        assert "Depthwise" not in layer(torch.zeros(1, 8, 9, 9)).grad_fn.name()


def test_tiles_cover_every_kernel():
    for length in range(3, 32):
        starts = depthwise._starts(length)
        assert {at + step for at in starts for step in range(3)} == set(range(length))

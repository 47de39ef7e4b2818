"""The six classic networks, layer by layer; the papers are in `classic`.

Where weights are published for a variant, it is the variant: AlexNet is the one of 2014 (one tower), the
5x5 branches of Inception v1 have kernels of 3x3 and every convolution a BatchNorm, and ResNet-50 strides in
its 3x3 convolutions ("v1.5"); none of these convolutions but VGG's and AlexNet's has a bias.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from headstart.backbones.classic import CLASSIC, PREFIX
from headstart.backbones.classic_layers import (
    Add,
    Chart,
    Concatenate,
    Conv2D,
    ConvReLU,
    ConvTanh,
    DenseReLU,
    DenseTanh,
    Flatten,
    GlobalAveragePooling,
)


def build_classic(name: str, classes: int = 1000, top: bool = True, pooled: bool = False) -> Chart:
    """A classic network with random weights, in evaluation mode.

    Parameters
    ----------
    name : str
        "vgg16", or "classic:vgg16".
    classes : int
        Of its classifier.
    top : bool
        With what follows the last feature maps; without it, any image size goes that is large enough.
    pooled : bool
        Without the top: end with the mean over all positions, so that an image becomes one vector.
    """
    name = name.removeprefix(PREFIX)
    net = Chart()
    BUILDERS[name](net, classes if top else 0)
    if pooled and not top:
        net.put("avg_pool", GlobalAveragePooling())
    return net.eval()


def _lenet5(net: Chart, classes: int) -> None:
    net.put("C1", ConvTanh(3, 6, 5))
    net.put("S2", nn.AvgPool2d(2))
    net.stage("S2")
    net.put("C3", ConvTanh(6, 16, 5))
    net.put("S4", nn.AvgPool2d(2))
    net.stage("S4")
    net.put("C5", ConvTanh(16, 120, 5))
    net.stage("C5")
    if classes:
        net.put("flatten", Flatten((120, 1, 1), "F6", "32x32"))
        net.put("F6", DenseTanh(120, 84))
        net.classify("output", 84, classes)


def _alexnet(net: Chart, classes: int) -> None:
    net.put("conv1", ConvReLU(3, 64, 11, 4, 2))
    net.put("pool1", nn.MaxPool2d(3, 2))
    net.put("conv2", ConvReLU(64, 192, 5, 1, 2))
    net.put("pool2", nn.MaxPool2d(3, 2))
    net.put("conv3", ConvReLU(192, 384, 3, 1, 1))
    net.put("conv4", ConvReLU(384, 256, 3, 1, 1))
    net.put("conv5", ConvReLU(256, 256, 3, 1, 1))
    net.put("pool5", nn.MaxPool2d(3, 2))
    for name in ("pool1", "pool2", "conv3", "conv4", "pool5"):
        net.stage(name)
    if classes:
        net.put("flatten", Flatten((256, 6, 6), "fc6", "224x224"))
        net.put("fc6", DenseReLU(9216, 4096, 0.5))
        net.put("fc7", DenseReLU(4096, 4096, 0.5))
        net.classify("fc8", 4096, classes)


def _vgg(depths: tuple[int, ...]) -> Callable[[Chart, int], None]:
    def build(net: Chart, classes: int) -> None:
        n_in = 3
        for block, (depth, n_out) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True), 1):
            for number in range(1, depth + 1):
                net.put(f"block{block}_conv{number}", ConvReLU(n_in, n_out, 3, 1, 1))
                n_in = n_out
            net.stage(net.put(f"block{block}_pool", nn.MaxPool2d(2)))
        if classes:
            net.put("flatten", Flatten((512, 7, 7), "fc1", "224x224"))
            net.put("fc1", DenseReLU(25_088, 4096))
            net.put("fc2", DenseReLU(4096, 4096))
            net.classify("predictions", 4096, classes)

    return build


def _unit(
    net: Chart, name: str, n_in: int, n_out: int, kernel: int, source: str = "", stride: int = 1
) -> str:
    """Convolution, BatchNorm and ReLU as Inception v1 has them."""
    source = source or net.last
    net.put(name, Conv2D(n_in, n_out, kernel, stride, kernel // 2, bias=False), source)
    net.put(f"{name}_bn", nn.BatchNorm2d(n_out, eps=0.001))
    return net.put(f"{name}_relu", nn.ReLU())


INCEPTION = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Channels in, of the 1x1, the 3x3's reduction, the 3x3, the 5x5's reduction, the 5x5, the pool's projection."""


def _inception_v1(net: Chart, classes: int) -> None:
    _unit(net, "conv1_7x7_s2", 3, 64, 7, stride=2)
    net.put("pool1_3x3_s2", nn.MaxPool2d(3, 2, ceil_mode=True))
    _unit(net, "conv2_3x3_reduce", 64, 64, 1)
    _unit(net, "conv2_3x3", 64, 192, 3)
    net.stem = net.put("pool2_3x3_s2", nn.MaxPool2d(3, 2, ceil_mode=True))
    for part, widths in INCEPTION.items():
        _inception(net, f"inception_{part}", widths)
        if part in ("3b", "4e", "5b"):
            net.stage(f"inception_{part}_output")
        if part == "3b":
            net.put("pool3_3x3_s2", nn.MaxPool2d(3, 2, ceil_mode=True))
        if part == "4e":
            net.put("pool4_2x2_s2", nn.MaxPool2d(2, 2, ceil_mode=True))
    if classes:
        net.put("avg_pool", GlobalAveragePooling(0.2))
        net.classify("predictions", 1024, classes)


def _inception(net: Chart, name: str, widths: tuple[int, ...]) -> None:
    n_in, one, reduce3, three, reduce5, five, projected = widths
    start = net.last
    branches = [_unit(net, f"{name}_1x1", n_in, one, 1, start)]
    _unit(net, f"{name}_3x3_reduce", n_in, reduce3, 1, start)
    branches.append(_unit(net, f"{name}_3x3", reduce3, three, 3))
    _unit(net, f"{name}_5x5_reduce", n_in, reduce5, 1, start)
    branches.append(_unit(net, f"{name}_5x5", reduce5, five, 3))
    net.put(f"{name}_pool", nn.MaxPool2d(3, 1, 1, ceil_mode=True), start)
    branches.append(_unit(net, f"{name}_pool_proj", n_in, projected, 1))
    net.put(f"{name}_output", Concatenate(), *branches)


def _resnet50(net: Chart, classes: int) -> None:
    _normed(net, "conv1", "", 3, 64, 7, 2)
    net.stem = net.put("pool1_pool", nn.MaxPool2d(3, 2, 1))
    n_in = 64
    for stage, (depth, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), 2):
        for number in range(1, depth + 1):
            stride = 2 if number == 1 and stage > 2 else 1
            _bottleneck(net, f"conv{stage}_block{number}", n_in, width, stride)
            n_in = 4 * width
        net.stage(net.last)
    if classes:
        net.put("avg_pool", GlobalAveragePooling())
        net.classify("predictions", n_in, classes)


def _bottleneck(net: Chart, name: str, n_in: int, width: int, stride: int) -> None:
    start = net.last
    shortcut = start
    if n_in != 4 * width:
        shortcut = _normed(net, name, "_0", n_in, 4 * width, 1, stride, relu=False)
    _normed(net, name, "_1", n_in, width, 1, 1, start)
    _normed(net, name, "_2", width, width, 3, stride)
    last = _normed(net, name, "_3", width, 4 * width, 1, 1, relu=False)
    net.put(f"{name}_add", Add(), shortcut, last)
    net.put(f"{name}_out", nn.ReLU())


def _normed(
    net: Chart,
    name: str,
    part: str,
    n_in: int,
    n_out: int,
    kernel: int,
    stride: int,
    source: str = "",
    relu: bool = True,
) -> str:
    """Convolution, BatchNorm and (but for the last) ReLU as ResNet-50 has them."""
    source = source or net.last
    net.put(f"{name}{part}_conv", Conv2D(n_in, n_out, kernel, stride, kernel // 2, bias=False), source)
    out = net.put(f"{name}{part}_bn", nn.BatchNorm2d(n_out))
    return net.put(f"{name}{part}_relu", nn.ReLU()) if relu else out


BUILDERS: dict[str, Callable[[Chart, int], None]] = {
    "lenet5": _lenet5,
    "alexnet": _alexnet,
    "vgg16": _vgg((2, 2, 3, 3, 3)),
    "vgg19": _vgg((2, 2, 4, 4, 4)),
    "inception_v1": _inception_v1,
    "resnet50": _resnet50,
}
assert list(BUILDERS) == list(CLASSIC)

"""What the classic networks are made of: layers with their activation in them, and a chart of named layers.

A layer gives out what its name means in textbooks and in Keras: `block1_conv1` and `fc1` after their ReLU.
Weights are drawn as in He et al., Delving Deep into Rectifiers, ICCV 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


class Conv2D(nn.Conv2d):
    """Convolution."""

    def reset_parameters(self) -> None:
        """Draw the weights."""
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ConvReLU(Conv2D):
    """Convolution and ReLU."""

    def forward(self, input: Tensor) -> Tensor:
        """Feature maps (n, channels, height, width)."""
        return functional.relu(super().forward(input))


class ConvTanh(nn.Conv2d):
    """Convolution and tanh."""

    def forward(self, input: Tensor) -> Tensor:
        """Feature maps (n, channels, height, width)."""
        return super().forward(input).tanh()


class Dense(nn.Linear):
    """Every output from every input; the class scores of a network are its last."""

    def reset_parameters(self) -> None:
        """Draw the weights."""
        nn.init.normal_(self.weight, 0.0, 0.01)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class DenseReLU(Dense):
    """Dense and ReLU; in training a share of the outputs is dropped."""

    def __init__(self, n_in: int, n_out: int, dropout: float = 0.0) -> None:
        super().__init__(n_in, n_out)
        self.dropout = dropout

    def reset_parameters(self) -> None:
        """Draw the weights."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Vectors (n, outputs)."""
        return functional.dropout(functional.relu(super().forward(input)), self.dropout, self.training)


class DenseTanh(nn.Linear):
    """Dense and tanh."""

    def forward(self, input: Tensor) -> Tensor:
        """Vectors (n, outputs)."""
        return super().forward(input).tanh()


class Add(nn.Module):
    """The sum of two branches."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Feature maps of the same shape."""
        return first + second


class Concatenate(nn.Module):
    """The channels of several branches, one after the other."""

    def forward(self, *branches: Tensor) -> Tensor:
        """Feature maps (n, all channels, height, width)."""
        import torch

        return torch.cat(branches, 1)


class GlobalAveragePooling(nn.Module):
    """The mean over all positions (dimensions `places`); in training a share of the outputs is dropped."""

    def __init__(self, dropout: float = 0.0, places: tuple[int, ...] = (2, 3)) -> None:
        super().__init__()
        self.dropout, self.places = dropout, places

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (n, channels)."""
        return functional.dropout(maps.mean(self.places), self.dropout, self.training)


class GlobalMaxPooling(nn.Module):
    """The maximum over all positions (dimensions `places`)."""

    def __init__(self, places: tuple[int, ...] = (2, 3)) -> None:
        super().__init__()
        self.places = places

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (n, channels)."""
        return maps.amax(self.places)


class Flatten(nn.Module):
    """All positions and channels in one vector, as many as the layer after it has weights for.

    Parameters
    ----------
    shape : tuple of int
        (channels, height, width) that `layer` was made for.
    layer : str
        The dense layer that follows.
    size : str
        The image size that gives this shape.
    """

    def __init__(self, shape: tuple[int, int, int], layer: str, size: str) -> None:
        super().__init__()
        self.shape, self.layer, self.size = shape, layer, size

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (n, channels x height x width).

        Raises
        ------
        ValueError
            The maps are of another size than the next layer's weights.
        """
        if tuple(maps.shape[1:]) != self.shape:
            (c, h, w), (d, y, x) = self.shape, maps.shape[1:]
            raise ValueError(
                f"{self.layer} has weights for the flatten of {h}x{w}x{c} = {c * h * w:,} numbers, as {self.size} gives, "
                f"and this size gives {y}x{x}x{d} = {d * y * x:,}"
            )
        return maps.flatten(1)


class Chart(nn.Module):
    """A network as a list of named layers, each with the layers that it reads.

    Attributes
    ----------
    sources : dict of str to tuple of str
        Layer to the layers it reads, in the order of computation; "" is the image.
    stem : str
        What comes before the first stage; "" where the first stage begins with the image.
    feature_info : list of dict
        The ends of the stages, as timm keeps them.
    pretrained_cfg : dict
        Name of the classifier, as timm keeps it.
    num_classes : int
    """

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[str, tuple[str, ...]] = {}
        self.stem = ""
        self.feature_info: list[dict[str, str]] = []
        self.pretrained_cfg: dict[str, str] = {}
        self.num_classes = 0
        self.last = ""

    def put(self, name: str, layer: nn.Module, *sources: str) -> str:
        """Add a layer that reads `sources`, or the layer before it; returns its name."""
        self.add_module(name, layer)
        self.sources[name] = sources or (self.last,)
        self.last = name
        return name

    def stage(self, name: str) -> None:
        """A stage ends with this layer."""
        self.feature_info.append({"module": name})

    def classify(self, name: str, n_in: int, classes: int) -> None:
        """The network's own classifier, its last layer."""
        self.put(name, Dense(n_in, classes))
        self.pretrained_cfg, self.num_classes = {"classifier": name}, classes

    def cuts(self) -> list[str]:
        """Layers after which everything depends on their output alone, in order."""
        found, order = [], list(self.sources)
        for at, name in enumerate(order):
            before = {"", *order[:at]}
            if not any(before.intersection(self.sources[each]) for each in order[at + 1 :]):
                found.append(name)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """What the last layer gives for images (n, 3, height, width)."""
        held, out = {"": images}, images
        left = {name: sum(name in each for each in self.sources.values()) for name in ("", *self.sources)}
        for name, sources in self.sources.items():
            out = self._modules[name](*(held[source] for source in sources))  # type: ignore[misc]
            held[name] = out
            for source in sources:
                left[source] -= 1
                if not left[source]:
                    del held[source]
        return out

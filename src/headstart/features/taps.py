"""A tap is a place and a way to read it: layer and pooling. The trunk is the network cut at its deepest tap.

The trunk takes pixels as they lie in memory (uint8, height x width x 3) and normalises inside, so that every
engine gets the same bytes and an exported graph needs nothing but pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.features.pool import check_pooling, pool

if TYPE_CHECKING:
    from torch import Tensor, nn

    from headstart.backbones.load import Backbone


@dataclass(frozen=True)
class Tap:
    """Where features are taken (an alias or a module name) and how positions become one vector."""

    layer: str
    pooling: str = "avg"

    def __str__(self) -> str:
        return f"{self.layer}/{self.pooling}"


@dataclass(frozen=True)
class Place:
    """A tap with its alias resolved: module name, pooling."""

    module: str
    pooling: str

    def __str__(self) -> str:
        return f"{self.module}/{self.pooling}"


def make_trunk(backbone: Backbone, places: Sequence[Place], *, stop: bool = True) -> nn.Module:
    """The network from uint8 pixels (n, height, width, 3) to one float32 (n, d) a place.

    `stop=True` ends a forward pass at the deepest place; an exporter needs `stop=False` and drops by itself
    what nothing depends on.
    """
    import torch
    from torch import nn

    from headstart.backbones.layers import run_until

    shape = backbone.card.preprocessing
    names = list(dict.fromkeys(place.module for place in places))
    layers = {name: backbone.layers[name] for name in names}
    for place in places:
        check_pooling(place.pooling, layers[place.module].layout, place.module)
    n_prefix = int(getattr(backbone.module, "num_prefix_tokens", 0) or 0)
    calls = {name: layer.calls for name, layer in layers.items()}

    class Trunk(nn.Module):
        """Pixels to pooled features."""

        def __init__(self) -> None:
            super().__init__()
            self.net = backbone.module
            self.mean: Tensor
            self.scale: Tensor
            self.register_buffer("mean", 255.0 * torch.tensor(shape.mean).reshape(1, 3, 1))
            self.register_buffer("scale", 1.0 / (255.0 * torch.tensor(shape.std)).reshape(1, 3, 1))

        def normalised(self, pixels: Tensor) -> Tensor:
            """Float (n, 3, height, width) as the weights expect it.

            Written on (n, 3, positions): engines run that along whole planes, where (height, width, 3) or
            (1, 3, 1, 1) made onnxruntime spend a quarter of its time here.
            """
            planes = pixels.permute(0, 3, 1, 2).flatten(2).to(torch.float32)
            scaled = (planes - self.mean) * self.scale
            return scaled.reshape(-1, 3, pixels.shape[1], pixels.shape[2])

        def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
            """One (n, d) a place."""
            caught = run_until(self.net, self.normalised(pixels), names, calls, stop=stop)
            out: list[Any] = [
                pool(caught[place.module], layers[place.module].layout, place.pooling, n_prefix)
                for place in places
            ]
            return tuple(out)

    return Trunk().eval()

"""A small network with named stages, for tests that must not wait for a real one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headstart.backbones.card import Preprocessing
from headstart.backbones.load import Backbone, from_module

if TYPE_CHECKING:
    from torch import Tensor, nn


def tiny_network(seed: int = 0, width: int = 8) -> nn.Module:
    """Three stages of convolution, BatchNorm and ReLU, average pooling and a classifier of 10 classes."""
    import torch
    from torch import nn

    class Tiny(nn.Module):
        """Stem, blocks.0 to blocks.2, pool, classifier."""

        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1)
            self.blocks = nn.Sequential(*(self.block(width * 2**i, width * 2 ** (i + 1)) for i in range(3)))
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.flatten = nn.Flatten()
            self.classifier = nn.Linear(width * 8, 10)

        @staticmethod
        def block(n_in: int, n_out: int) -> nn.Module:
            """Convolution, BatchNorm, ReLU."""
            return nn.Sequential(nn.Conv2d(n_in, n_out, 3, 2, 1), nn.BatchNorm2d(n_out), nn.ReLU())

        def forward(self, images: Tensor) -> Tensor:
            """Class scores of (n, 3, height, width)."""
            out: Tensor = self.classifier(self.flatten(self.pool(self.blocks(self.stem(images)))))
            return out

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tiny().eval()


def tiny_backbone(seed: int = 0, side: int = 32) -> Backbone:
    """`tiny_network` as a backbone for images of `side` pixels."""
    shape = Preprocessing(side, side, (0.5, 0.4, 0.3), (0.25, 0.2, 0.3), crop=1.0)
    return from_module(tiny_network(seed), shape, f"tiny{seed}")


def tiny_weights(folder: str | Path, architecture: str = "test_resnet", seed: int = 0) -> str:
    """Random weights of one of timm's test networks in a file, by the name that every command takes."""
    import timm
    import torch
    from safetensors.torch import save_file

    path = Path(folder) / f"{architecture}.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_file(timm.create_model(architecture).state_dict(), str(path))
    return f"timm:{architecture}@{path}"

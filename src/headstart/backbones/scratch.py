"""The same architecture with random weights: the honest baseline of every reuse of pretrained ones."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from headstart.backbones.sizes import fitted
from headstart.base.errors import BackboneError

if TYPE_CHECKING:
    from torch import nn

    from headstart.backbones.load import Backbone


def random_copy(backbone: Backbone, seed: int) -> nn.Module:
    """The network with weights drawn anew, as its architecture draws them.

    timm builds its own architectures again; a module given in Python is copied and every part of it that
    has `reset_parameters` draws its weights again.

    Raises
    ------
    BackboneError
        A part holds weights and says not how they are drawn.
    """
    import timm
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        name = backbone.card.architecture.split(".")[0]
        if timm.is_model(name):
            made: nn.Module = timm.create_model(name, num_classes=backbone.card.classes)
            if _resampled(backbone):
                shape = backbone.card.preprocessing
                made, _ = fitted(made, shape.height, shape.width, name)
            if _shapes(made) == _shapes(backbone.module):
                return made
        copied = copy.deepcopy(backbone.module)
        for part_name, part in copied.named_modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
            elif any(True for _ in part.parameters(recurse=False)):
                raise BackboneError(
                    f"{backbone.card.name}: {part_name or 'the network'} has weights but no reset_parameters(), "
                    "so the scenario scratch cannot draw them; give it one"
                )
        return copied


def _resampled(backbone: Backbone) -> bool:
    """Whether its positions are not those of its weights' own size."""
    return backbone.original is not None and backbone.module is not backbone.original.module


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in module.state_dict().items()}

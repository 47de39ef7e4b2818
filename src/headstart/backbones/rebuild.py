"""The network that a card names, without its weights: what saved weights are put back into."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from headstart.backbones.card import BackboneCard
from headstart.backbones.classic import PREFIX
from headstart.base.errors import BackboneError

if TYPE_CHECKING:
    from torch import nn

    from headstart.backbones.load import Backbone


def bare_network(card: BackboneCard, given: Backbone | None = None) -> nn.Module:
    """The architecture of a card at its input size, its own classifier replaced by nothing; weights mean nothing.

    Parameters
    ----------
    card : BackboneCard
    given : Backbone, optional
        A backbone of the same architecture (copied), for networks that timm does not have.

    Raises
    ------
    BackboneError
        timm has no such architecture and none is given.
    """
    import timm
    from torch import nn

    from headstart.backbones.classic_networks import build_classic
    from headstart.backbones.sizes import fitted

    shape = card.preprocessing
    module: nn.Module
    if given is not None:
        module = copy.deepcopy(given.at((shape.height, shape.width)).module)
    elif card.architecture.startswith(PREFIX):
        top = "logits" in (card.layers or {})
        module = build_classic(card.architecture, card.classes, top, pooled=True)
    elif timm.is_model(name := card.architecture.split(".")[0]):
        module = timm.create_model(name, num_classes=card.classes)
        module, _ = fitted(module, shape.height, shape.width, card.architecture)
    else:
        raise BackboneError(
            f"{card.name}: timm has no architecture {card.architecture!r}; "
            "give the network itself (backbone=from_module(...))"
        )
    own = (card.layers or {}).get("logits", "")
    if own:
        module.set_submodule(own, nn.Identity())
    return module

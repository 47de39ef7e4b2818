"""The network that a card names, without its weights: what saved weights are put back into."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from headstart.backbones.card import BackboneCard
from headstart.base.errors import BackboneError

if TYPE_CHECKING:
    from torch import nn

    from headstart.backbones.load import Backbone


def bare_network(card: BackboneCard, given: Backbone | None = None) -> nn.Module:
    """The architecture of a card, its own classifier replaced by nothing; weights are of no meaning.

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

    module: nn.Module
    if given is not None:
        module = copy.deepcopy(given.module)
    elif timm.is_model(name := card.architecture.split(".")[0]):
        module = timm.create_model(name, num_classes=card.classes)
    else:
        raise BackboneError(
            f"{card.name}: timm has no architecture {card.architecture!r}; "
            "give the network itself (backbone=from_module(...))"
        )
    own = (card.layers or {}).get("logits", "")
    if own:
        module.set_submodule(own, nn.Identity())
    return module

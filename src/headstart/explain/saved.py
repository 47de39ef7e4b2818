"""What a saved model on frozen features rests on: its network, and where its features are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone


def places_of(bundle: Any) -> list[tuple[str, str]]:
    """Module name and pooling of each part of the features, in order."""
    pooling, modules = bundle.card["pooling"], bundle.card["modules"]
    poolings = [pooling] * len(modules) if isinstance(pooling, str) else list(pooling)
    return list(zip(modules, poolings, strict=True))


def frozen_network(bundle: Any) -> Backbone:
    """The frozen network of a model, from the weights that lie in it."""
    from headstart.backbones.load import fill, read_weights, with_layers
    from headstart.backbones.rebuild import bare_network

    card = bundle.backbone
    module = bare_network(card)
    own = (card.layers or {}).get("logits", "")
    path = bundle.folder / "backbone.safetensors"
    state = {
        each: tensor
        for each, tensor in read_weights(path).items()
        if not own or not each.startswith(f"{own}.")
    }
    wrong = [
        each
        for each, tensor in module.state_dict().items()
        if each in state and state[each].shape != tensor.shape
    ]
    if wrong:  # positions were resampled for another input size
        from headstart.backbones.load import load

        shape = card.preprocessing
        return load(card.name).at((shape.height, shape.width))
    fill(module, state, str(path))
    return with_layers(card, module, filled=True)

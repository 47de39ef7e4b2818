"""Names of the classes that a backbone's own classifier tells apart, where they are ImageNet's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone


def class_names(backbone: Backbone) -> tuple[str, ...]:
    """English names by timm's lists, or () where the weights are a file's or have other classes."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    if backbone.card.weights.startswith(("local file", "given in Python")) or backbone.card.classes < 1000:
        return ()
    subset = infer_imagenet_subset(backbone.module)
    if not subset:
        return ()
    info = ImageNetInfo(subset)
    names = [str(info.index_to_description(number)).split(",")[0] for number in range(info.num_classes())]
    double = {name for name in names if names.count(name) > 1}
    return tuple(f"{name} ({number})" if name in double else name for number, name in enumerate(names))

"""Whether images are large enough for maps of a network's last layer: its total stride, found by running it.

Where images are small, the last layers keep a single place or none that means anything, and look like pooled ones; on
a large image they do not. So the last layer with places is sought there, and its size says the stride.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from headstart.backbones.sizes import hushed
from headstart.base.errors import BackboneError
from headstart.explain.spatial import Spatial, find_layers, last_layer

if TYPE_CHECKING:
    from headstart.explain.target import Target

LARGE = 256
"""Side of the image on which the last layer is sought, at the least."""
ENOUGH = 4
"""Places along the shorter side above which no stage can follow that keeps a single one."""


@dataclass(frozen=True)
class Depth:
    """The last layer with places on a large image, and how many pixels lie between two of its places."""

    layer: str
    stride: int


def find_depth(target: Target, output: str, last: Spatial) -> Depth | None:
    """The depth of what an output hangs on; None where images are large enough for sure, or it cannot be told.

    Parameters
    ----------
    target : Target
        Of one trunk.
    output : str
    last : Spatial
        The last layer with places at the target's own size. Of tokens there are as many in every block.
    """
    if last.layout == "tokens" or min(last.rows, last.columns) > ENOUGH:
        return None
    how = target.preprocessing
    side = LARGE
    while side < 2 * max(how.height, how.width):
        side *= 2
    for net in _at_side(target.net, side):
        scores = partial(replace(target, net=net).differentiable, output=output)
        try:
            found = last_layer(net, find_layers(net, side, side), side, side, scores)
        except BackboneError:  # it takes its own size alone
            continue
        return Depth(found.name, side // found.rows)
    return None


def _at_side(net: nn.Module, side: int) -> Iterator[nn.Module]:
    """The network as it is, then a copy whose positions are made for images of that side, where it has such."""
    yield net
    names = [name for name, part in net.named_modules() if hasattr(part, "set_input_size")]
    outer = [
        name
        for name in names
        if not any(name.startswith(f"{each}.") or not each for each in names if each != name)
    ]
    if not outer:
        return
    made = copy.deepcopy(net)
    for name in outer:
        part: Any = made.get_submodule(name)
        try:
            with hushed():
                part.set_input_size(img_size=(side, side))
        except (RuntimeError, AssertionError, ValueError, TypeError, AttributeError, ZeroDivisionError):
            return
    yield made.eval()


def check_stride(target: Target, depth: Depth | None) -> None:
    """Raise BackboneError where the shorter side of the images is below the stride."""
    how = target.preprocessing
    if depth is not None and min(how.height, how.width) < depth.stride:
        least = depth.stride
        raise BackboneError(
            f"{target.name}: images of {how.height} x {how.width} are smaller than the network's stride of {least} "
            f"pixels, so its last layer has no places to map; the least size that works is {least} x {least} "
            f"(--input-size {least}, of a model when it is fitted); occlusion needs no layer"
        )


def single_place(target: Target, depth: Depth | None, last: Spatial) -> str:
    """What to say where the last layer keeps a single place of each image; "" where it has more."""
    if depth is None or depth.layer in target.layers:
        return ""
    how, twice = target.preprocessing, 2 * depth.stride
    return (
        f"{target.name}: of images of {how.height} x {how.width} the last layer ({target.called(depth.layer)}) keeps a "
        f"single place (1 x 1), so that a map of it is flat; maps are of {target.called(last.name)} ({last.rows} x "
        f"{last.columns}); from {twice} x {twice} on they are of the last"
    )

"""Where a network keeps rows and columns: layers whose output is a map, whatever its order of dimensions.

Nobody names a layer or writes a reshape: one pass forward and back, of noise, tells which layers hold positions of
the image, how many tokens stand in front of them, and which is the last whose positions the scores depend on (after
the last block of a ViT only the class token counts, so its last such layer lies inside that block).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from headstart.backbones.layers import Layer, trace
from headstart.base.errors import BackboneError, BadOptions, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    Scores = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Spatial:
    """A layer with rows and columns.

    Attributes
    ----------
    name : str
        Module name.
    layout : str
        "nchw", "nhwc" or "tokens".
    rows, columns, channels : int
    n_prefix : int
        Class and register tokens in front of the positions.
    calls : int
        How often a forward pass runs the module; the last call is read.
    """

    name: str
    layout: str
    rows: int
    columns: int
    channels: int
    n_prefix: int = 0
    calls: int = 1

    def maps(self, out: Tensor) -> Tensor:
        """The layer's output as (n, channels, rows, columns)."""
        if self.layout == "nchw":
            return out
        if self.layout == "nhwc":
            return out.permute(0, 3, 1, 2)
        known = out[:, self.n_prefix :].transpose(1, 2)
        return known.reshape(out.shape[0], self.channels, self.rows, self.columns)


def find_layers(net: nn.Module, height: int, width: int) -> dict[str, Spatial]:
    """Every layer with more than one position, in the order of computation.

    Raises
    ------
    BackboneError
        The network cannot take images of that size: below its stride, say.
    """
    told: list[Any] = [part.num_prefix_tokens for part in net.modules() if hasattr(part, "num_prefix_tokens")]
    n_prefix = int(told[0]) if told else None
    found: dict[str, Spatial] = {}
    with without_mirror(net):
        traced = trace(net, height, width)
    for name, layer in traced.items():
        made = _spatial(layer, height, width, n_prefix)
        if made is not None:
            found[name] = made
    return found


def _spatial(layer: Layer, height: int, width: int, n_prefix: int | None) -> Spatial | None:
    if layer.layout == "vector":
        return None
    if layer.layout == "tokens":
        n, channels = layer.shape
        if n_prefix and n - n_prefix < 2:  # of a single patch: the class token is no second place
            return None
        tried = (0, 1, 2, 5) if n_prefix is None else (n_prefix, 0)
        for prefix in tried:
            if grid := _grid(n - prefix, height, width):
                return Spatial(layer.name, "tokens", *grid, channels, prefix, layer.calls)
        return None
    rows, columns = layer.shape[1:] if layer.layout == "nchw" else layer.shape[:2]
    if rows * columns < 2 or abs(rows * width - columns * height) > max(height, width):
        return None
    return Spatial(layer.name, layer.layout, rows, columns, layer.channels, 0, layer.calls)


def _grid(n: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of n positions with the shape of the image, if there are such."""
    if n < 2:
        return None
    rows = round(math.sqrt(n * height / width))
    if rows and n % rows == 0 and abs(rows * width - n // rows * height) <= max(height, width):
        return rows, n // rows
    return None


def pick(layers: dict[str, Spatial], name: str, every: dict[str, str], known: Sequence[str]) -> Spatial:
    """The layer of a name or an alias.

    Parameters
    ----------
    layers : dict of str to Spatial
    name : str
    every : dict of str to str
        Aliases (`stage1`, ...) to module names.
    known : sequence of str
        Names of all modules.

    Raises
    ------
    BadOptions
        The layer has no rows and columns.
    UnknownName
    """
    module = every.get(name, name)
    if module in layers:
        return layers[module]
    if module in known:
        near = ", ".join([alias for alias, own in every.items() if own in layers] or list(layers)[-3:])
        raise BadOptions([f"layer: {name} has no rows and columns; take one that has, such as {near}"])
    raise UnknownName("layer", name, [*every, *layers])


def last_layer(
    net: nn.Module, layers: dict[str, Spatial], height: int, width: int, scores: Scores
) -> Spatial:
    """The last layer whose positions the scores depend on.

    Raises
    ------
    BackboneError
        There is none: the image is smaller than the network's stride, or the network has no maps.
    """
    candidates = _stream(layers)
    if not candidates:
        raise BackboneError(
            f"no layer of the network has rows and columns for images of {height} x {width}: "
            "give larger images (--input-size)"
        )
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 3, height, width, generator=draw)
    caught: dict[str, Tensor] = {}
    with frozen(net), watched(net, candidates, caught):
        out = scores(noise.requires_grad_(True))
        weight = torch.randn(out.shape, generator=draw)
        moved = {name: each for name, each in caught.items() if each.requires_grad}  # not a code of positions
        total = (out * weight).sum()
        slopes = torch.autograd.grad(total, list(moved.values()), allow_unused=True) if moved else ()
    known = dict(zip(moved, slopes, strict=True))
    for layer in reversed(candidates):
        slope = known.get(layer.name)
        if slope is not None and bool((layer.maps(slope).abs().amax((0, 1)) > 0).float().mean() > 0.5):
            return layer
    raise BackboneError("the scores depend on no layer with rows and columns")


def _stream(layers: dict[str, Spatial]) -> list[Spatial]:
    """Layers of the stream that the stages hand on, not the inside of an attention or a hidden layer."""
    every = list(layers.values())
    if not every:
        return []
    last = every[-1]
    if last.layout == "tokens":
        return [each for each in every if each.layout == "tokens" and each.channels == last.channels]
    return [each for each in every if each.layout != "tokens"]


@contextmanager
def watched(net: nn.Module, layers: Sequence[Spatial], caught: dict[str, Tensor]) -> Iterator[None]:
    """Keep what the layers give (their last call) in `caught`; see `without_mirror`."""

    def keep(name: str) -> Any:
        def hook(part: nn.Module, given: Any, out: Any) -> None:
            caught[name] = out

        return hook

    hooks = [net.get_submodule(each.name).register_forward_hook(keep(each.name)) for each in layers]
    try:
        with without_mirror(net):
            yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def without_mirror(net: nn.Module) -> Iterator[None]:
    """Run the images as they are, where the network answers by their mirror images too (`TransferNet.mirror`).

    What a layer gives, and where, is then of the image that is shown and not of the one that ran last.
    """
    mirrored: list[Any] = [part for part in net.modules() if getattr(part, "mirror", False) is True]
    for part in mirrored:
        part.mirror = False
    try:
        yield
    finally:
        for part in mirrored:
            part.mirror = True


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Evaluation mode, and no gradients for weights; everything as it was afterwards."""
    wanted = {id(each): each.requires_grad for each in net.parameters()}
    modes = {id(each): each.training for each in net.modules()}
    net.eval()
    net.requires_grad_(False)
    try:
        yield
    finally:
        for each in net.parameters():
            each.requires_grad_(wanted[id(each)])
        for part in net.modules():
            part.training = modes[id(part)]

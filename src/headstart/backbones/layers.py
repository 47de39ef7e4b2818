"""Named places in a network: every module name, and the aliases stem, stage1 .. stageN, pool, logits.

Stages are found, not listed by hand: the children of the network's `blocks`, `stages` or `layers` (or of
`layer1` .. `layerN`, or timm's own feature list). One traced forward pass on a blank image tells the order
of computation, the shapes, and which dimension is the channel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BackboneError, UnknownName

if TYPE_CHECKING:
    from torch import Tensor, nn


class CannotRun(BackboneError):
    """The network stopped on a blank image: at which module, and what it said."""

    def __init__(self, height: int, width: int, module: str, said: str) -> None:
        self.module, self.said = module, said
        super().__init__(f"the network cannot take images of {height} x {width}: {said}")


LAYOUTS = ("vector", "tokens", "nchw", "nhwc")


@dataclass(frozen=True)
class Layer:
    """One module as a forward pass met it.

    Attributes
    ----------
    name : str
        Module name.
    kind : str
        Class of the module.
    shape : tuple of int
        Shape of its output for one image (without the batch dimension).
    layout : str
        "vector" (channels,), "tokens" (positions, channels), "nchw" (channels, height, width) or "nhwc".
    order : int
        Place in the order of completion.
    calls : int
        How often a forward pass runs it; the last call is the one that is read.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    layout: str
    order: int
    calls: int

    @property
    def channels(self) -> int:
        """Length of the channel dimension."""
        return self.shape[0] if self.layout in ("nchw", "vector") else self.shape[-1]


def trace(module: nn.Module, height: int, width: int) -> dict[str, Layer]:
    """Run one blank batch and note each module whose output has a row for each image, in order.

    Modules that return anything but one tensor with the batch first (attention windows, tuples) are not
    places where features can be taken, and are left out.

    Raises
    ------
    CannotRun
        The network stops, or a map comes out empty.
    """
    import torch

    begun = [""]
    found: dict[str, Layer] = {}
    leaves: dict[str, tuple[str, tuple[int, ...]]] = {}
    calls: dict[str, int] = {}
    channels_last = getattr(module, "output_fmt", "NCHW") == "NHWC"

    def note(name: str, part: nn.Module, out: Any) -> None:
        calls[name] = calls.get(name, 0) + 1
        if not isinstance(out, torch.Tensor) or out.ndim not in (2, 3, 4) or out.shape[0] != 2:
            return
        shape = tuple(out.shape[1:])
        layout = _layout(part, shape, channels_last, leaves)
        leaves["last"] = (layout, shape)
        found.pop(name, None)
        found[name] = Layer(name, type(part).__name__, shape, layout, 0, calls[name])

    hooks = [
        part.register_forward_hook(lambda part, _, out, name=name: note(name, part, out))
        for name, part in module.named_modules()
        if name
    ]
    hooks += [
        part.register_forward_pre_hook(lambda *_, name=name: begun.append(name))
        for name, part in module.named_modules()
        if name
    ]
    was_training = module.training
    try:
        module.eval()
        first = next(module.parameters(), None)
        blank = torch.zeros(2, 3, height, width, device=first.device if first is not None else None)
        with torch.no_grad():
            module(blank)
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CannotRun(height, width, begun[-1], said) from error
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    for layer in found.values():
        if 0 in layer.shape:
            raise CannotRun(height, width, layer.name, f"its map there has the shape {layer.shape}")
    return {
        layer.name: Layer(layer.name, layer.kind, layer.shape, layer.layout, order, layer.calls)
        for order, layer in enumerate(found.values())
    }


def _layout(part: nn.Module, shape: tuple[int, ...], channels_last: bool, leaves: dict[str, Any]) -> str:
    """Which dimension is the channel: by the module's own kind, else as the last leaf that made it, else the network's."""
    from torch import nn

    if len(shape) == 1:
        return "vector"
    if len(shape) == 2:
        return "tokens"
    if isinstance(part, nn.Conv2d | nn.modules.batchnorm._BatchNorm) or "2d" in type(part).__name__:
        return "nchw"
    if isinstance(part, nn.Linear) or type(part) is nn.LayerNorm:
        return "nhwc"
    last = leaves.get("last")
    if last is not None and last[1] == shape and shape[0] != shape[-1]:
        return str(last[0])
    return "nhwc" if channels_last else "nchw"


def stage_modules(module: nn.Module) -> list[str]:
    """Names of the stages, first to last (a child of `blocks`, `stages` or `layers`; see the design's words)."""
    for attribute in ("stages", "layers", "blocks"):
        part = dict(module.named_children()).get(attribute)
        names = [f"{attribute}.{name}" for name, _ in part.named_children()] if part is not None else []
        if len(names) > 1:
            return names
    children = [name for name, _ in module.named_children()]
    numbered = [name for name in children if re.fullmatch(r"(layer|stages?|block|s)_?\d+", name)]
    if len(numbered) > 1:
        return numbered
    info = getattr(module, "feature_info", None)
    names = [entry["module"] for entry in info] if isinstance(info, list) else []
    known = {name for name, _ in module.named_modules()}
    return [name for name in names if name in known]


def aliases(module: nn.Module, traced: dict[str, Layer]) -> dict[str, str]:
    """`stem`, `stage1` .. `stageN`, `pool`, `logits` to module names, as far as the network has them."""
    stages = [name for name in stage_modules(module) if name in traced]
    named: dict[str, str] = {}
    order = sorted(traced.values(), key=lambda layer: layer.order)
    first = traced[stages[0]].order if stages else 0
    inside = tuple(f"{name}." for name in stages)
    early = [
        layer
        for layer in order
        if layer.order < first and not layer.name.startswith(inside) and len(layer.shape) > 1
    ]
    told = getattr(module, "stem", None)
    if isinstance(told, str):  # a chart of named layers says it itself
        early = [layer for layer in early if layer.name == told]
    if early:
        named["stem"] = early[-1].name
    named.update({f"stage{number + 1}": name for number, name in enumerate(stages)})
    classifier = _classifier(module, order)
    last = traced[stages[-1]].order if stages else -1
    vectors = [
        layer
        for layer in order
        if layer.layout == "vector"
        and layer.order > last
        and (not classifier or layer.order < traced[classifier].order)
    ]
    if vectors:
        named["pool"] = vectors[-1].name
    if classifier:
        named["logits"] = classifier
    return named


def _classifier(module: nn.Module, order: list[Layer]) -> str:
    """The module that gives the network's own class scores: the one its card names, if it ran."""
    config: Any = getattr(module, "pretrained_cfg", None) or {}
    name = config.get("classifier") if isinstance(config, dict) else getattr(config, "classifier", None)
    names = [layer.name for layer in order]
    if isinstance(name, str) and name in names and bool(getattr(module, "num_classes", 1)):
        return name
    linear = [layer.name for layer in order if layer.kind == "Linear" and layer.layout == "vector"]
    return linear[-1] if linear and linear[-1] == names[-1] else ""


def resolve(layer: str, known_aliases: dict[str, str] | None, traced: dict[str, Layer] | None) -> str:
    """Module name of an alias or module name.

    Raises
    ------
    UnknownName
        With the nearest names.
    """
    known = known_aliases or {}
    if layer in known:
        return known[layer]
    if traced is not None and layer in traced:
        return layer
    raise UnknownName(
        "layer", layer, [*known, *(traced or ())], "(`headstart backbones NAME --layers` lists them)"
    )


def run_until(
    module: nn.Module, pixels: Tensor, names: list[str], calls: dict[str, int], stop: bool = True
) -> dict[str, Tensor]:
    """Outputs of the named modules from one forward pass that ends at the deepest of them.

    `stop=False` runs to the end (an exporter drops what nothing depends on, and cannot trace an early end).
    """
    caught: dict[str, Tensor] = {}
    seen: dict[str, int] = {}

    def catch(name: str, out: Tensor) -> None:
        seen[name] = seen.get(name, 0) + 1
        caught[name] = out
        if stop and all(seen.get(each, 0) >= calls.get(each, 1) for each in names):
            raise _Reached

    hooks = [
        module.get_submodule(name).register_forward_hook(lambda part, _, out, name=name: catch(name, out))
        for name in names
    ]
    try:
        module(pixels)
    except _Reached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return caught


class _Reached(Exception):
    """The deepest layer asked for has been computed."""

"""One forward pass, watched: what every layer gives out, multiplies, keeps in memory and sees of the image.

The pass runs on torch's `meta` device, where tensors have shapes and no values: nothing is allocated and
nothing computed. Hooks say which layer is running, a dispatch mode sees every operation inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from headstart.backbones.field import Field, image_field
from headstart.backbones.field_rules import follow
from headstart.base.errors import BackboneError

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOAT_BYTES = 4
POINTWISE = torch.Tag.pointwise


@dataclass
class Seen:
    """What a pass saw of one module.

    Attributes
    ----------
    output : tuple of int, optional
        Shape of its output for one image, channels last where there are rows and columns; None if it did not run.
    macs : int
        Multiply-accumulates in it, less those of the modules in it.
    n_bytes : int
        Memory of its outputs in float32, 0 where it hands on the memory that it was given.
    field : Field, optional
    """

    name: str
    kind: str
    leaf: bool
    output: tuple[int, ...] | None = None
    macs: int = 0
    n_bytes: int = 0
    field: Field | None = None


class RanOut(BackboneError):
    """An image of this size does not go through; `layer` is where it ends."""

    def __init__(self, layer: str, kind: str, given: str, reason: str) -> None:
        self.layer, self.kind = layer, kind
        where = f"{layer} ({kind})" if layer else kind
        super().__init__(f"ends at {where}, which gets {given}: {reason}")


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the image through the operations of a forward pass."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: dict[str, Seen] = {}
        self.stack: list[tuple[str, str, str]] = []
        self.ended: dict[str, None] = {}
        self.fields: dict[int, tuple[Tensor, Field]] = {}

    def look(self, tensor: Any) -> Field | None:
        """The receptive field of a tensor; None where it does not depend on the image."""
        found = self.fields.get(id(tensor))
        return found[1] if found else None

    def note(self, tensor: Tensor, found: Field | None) -> None:
        """Keep a tensor's field, and the tensor, so that its id stays its own."""
        if found is not None:
            self.fields[id(tensor)] = (tensor, found)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and follow its rule."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        tensors = [each for each in _flat(out) if isinstance(each, Tensor)]
        if tensors:
            packet = func._overloadpacket
            if packet in flop_registry and self.stack:
                self.seen[self.stack[-1][0]].macs += flop_registry[packet](*args, **kwargs, out_val=out) // 2
            name, pointwise = packet.__name__, POINTWISE in func.tags
            for each in tensors:
                self.note(each, follow(name, pointwise, args, kwargs, each, self.look))
        return out


def observe(module: nn.Module, height: int, width: int) -> list[Seen]:
    """What a forward pass of one image sees, module by module, in the order in which they end.

    Parameters
    ----------
    module : nn.Module
        On the meta device, in evaluation mode.
    height, width : int
        Of the image, in pixels.

    Raises
    ------
    RanOut
        Images of this size do not go through: the layer where they end.
    """
    watch = Watch()
    names = {id(part): name for name, part in module.named_modules()}
    handles = []
    for part in module.modules():
        name, leaf = names[id(part)], next(part.children(), None) is None
        handles.append(part.register_forward_pre_hook(_begin(watch, name, leaf)))
        handles.append(part.register_forward_hook(_end(watch, name)))
    image = torch.empty(1, 3, height, width, device="meta")
    watch.note(image, image_field(height, width))
    try:
        with torch.no_grad(), watch:
            module(image)
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError, ZeroDivisionError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RanOut(*(watch.stack[-1] if watch.stack else ("", type(module).__name__, "")), said) from error
    finally:
        for handle in handles:
            handle.remove()
    ended = [watch.seen[name] for name in watch.ended]
    for each in ended:
        if each.output is not None and 0 in each.output:
            raise RanOut(
                each.name, each.kind, "too small a map", f"it gives {'x'.join(map(str, each.output))}"
            )
    return ended


def _begin(watch: Watch, name: str, leaf: bool) -> Any:
    def hook(part: nn.Module, inputs: Any) -> None:
        kind = type(part).__name__
        first = next((each for each in _flat(inputs) if isinstance(each, Tensor)), None)
        given = "x".join(map(str, _shape(watch, first))) if first is not None else "nothing"
        watch.stack.append((name, kind, given))
        watch.seen.setdefault(name, Seen(name, kind, leaf))

    return hook


def _end(watch: Watch, name: str) -> Any:
    def hook(part: nn.Module, inputs: Any, output: Any) -> None:
        watch.stack.pop()
        watch.ended.setdefault(name)
        tensors = [each for each in _flat(output) if isinstance(each, Tensor)]
        seen = watch.seen[name]
        if tensors:
            seen.output, seen.field = _shape(watch, tensors[0]), watch.look(tensors[0])
        if seen.leaf:
            held = {each.untyped_storage()._cdata for each in _flat(inputs) if isinstance(each, Tensor)}
            own = [each for each in tensors if each.untyped_storage()._cdata not in held]
            seen.n_bytes += sum(each.numel() * FLOAT_BYTES for each in own)

    return hook


def _shape(watch: Watch, tensor: Tensor) -> tuple[int, ...]:
    """For one image; (height, width, channels) where there are rows and columns."""
    shape = tuple(tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape)
    found = watch.look(tensor)
    if tensor.ndim != 4 or found is None or found.dims != (2, 3) or len(shape) != 3:
        return shape
    if shape[1:] not in (found.grid, (1, 1)):  # an attention, say, of positions to positions
        return shape
    return (shape[1], shape[2], shape[0])


def _flat(value: Any) -> Iterator[Any]:
    """Values of nested lists, tuples and dictionaries."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _flat(each)
    else:
        yield value

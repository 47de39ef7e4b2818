"""Which input sizes a network takes, found by running it, and the network made ready for one.

A network of convolutions runs at any size that does not run out on the way; one with positions (ViT, Swin and
their kin) gets them resampled in a copy, by timm's own `set_input_size` or by building the architecture at that
size and passing its weights through timm's filter. Nothing is listed by hand.
"""

from __future__ import annotations

import copy
import logging
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from headstart.backbones.classic import PREFIX
from headstart.backbones.input_size import LEAST, MOST
from headstart.backbones.layers import CannotRun, Layer, stage_modules, trace
from headstart.base.errors import BackboneError

if TYPE_CHECKING:
    from torch import nn

    from headstart.backbones.card import Preprocessing
    from headstart.backbones.load import Backbone

Sides = tuple[int, int]
STEPS = (1, 2, 4, 8, 16, 32, 64)
"""Multiples that a network may want its sides to be, beside those of its patches."""
SHARES = (0.5, 0.75, 1.5)
"""Of its own size: where it is tried whether the network takes other sizes at all."""
SAID = 120


@dataclass(frozen=True)
class Facts:
    """What a network takes: sides that are multiples of `step` (None: its own size alone), from `smallest` on."""

    step: int | None
    smallest: Sides


_known: WeakKeyDictionary[nn.Module, Facts] = WeakKeyDictionary()


def at_size(backbone: Backbone, shape: Preprocessing) -> Backbone:
    """The backbone for images of a size: its very module where it takes them as it is, else a copy made to.

    Parameters
    ----------
    backbone : Backbone
        At the size of its weights; not changed.
    shape : Preprocessing
        Its own at another height and width.

    Raises
    ------
    BackboneError
        It cannot take them: at which stage they run out or what is fixed, and which sizes work.
    """
    size = shape.height, shape.width
    try:
        return replace(_sized(backbone, shape), original=backbone)
    except CannotRun as error:
        name, why = backbone.card.name, _why(backbone, size, error)
        raise BackboneError(
            f"{name}: the network cannot take images of {size[0]} x {size[1]}: {why}"
        ) from error


def _sized(backbone: Backbone, shape: Preprocessing) -> Backbone:
    card = replace(backbone.card, preprocessing=shape)
    if card.architecture.startswith(PREFIX):
        from headstart.backbones.classic_weights import classic_at

        return classic_at(backbone, shape)
    module, layers = fitted(backbone.module, shape.height, shape.width, card.architecture)
    return replace(backbone, card=card, module=module, layers=layers)


def fitted(
    module: nn.Module, height: int, width: int, architecture: str
) -> tuple[nn.Module, dict[str, Layer]]:
    """The module as it is where that runs, else resampled; raises `CannotRun`."""
    try:
        return module, trace(module, height, width)
    except CannotRun:
        patch = _patch(module)
        if height % patch[0] or width % patch[1]:
            raise
        made = _resampled(module, (height, width)) or _built(module, (height, width), architecture)
        if made is None:
            raise
        return made, trace(made, height, width)


def _patch(module: nn.Module) -> Sides:
    """Sides of the patches that the image is cut into; 1, 1 where it is not."""
    said: Any = getattr(getattr(module, "patch_embed", None), "patch_size", None)
    if said is None:
        return 1, 1
    return (int(said), int(said)) if isinstance(said, int) else (int(said[0]), int(said[1]))


def _resampled(module: nn.Module, size: Sides) -> nn.Module | None:
    """A copy that timm set to the size; None where the network cannot be set."""
    if not hasattr(module, "set_input_size"):
        return None
    made: nn.Module = copy.deepcopy(module)
    setter: Any = made.set_input_size
    with hushed():
        try:
            setter(img_size=size)
        except (RuntimeError, AssertionError, ValueError, TypeError, AttributeError, ZeroDivisionError):
            return None
    return made.eval()


def _built(module: nn.Module, size: Sides, architecture: str) -> nn.Module | None:
    """The architecture built at the size with the weights as timm fits them to it; None where they do not fit."""
    import timm
    import torch

    name = architecture.split(".")[0]
    adapt = getattr(sys.modules.get(type(module).__module__), "checkpoint_filter_fn", None)
    if adapt is None or not timm.is_model(name):
        return None
    with hushed():
        try:
            with torch.random.fork_rng(devices=[]):
                made: nn.Module = timm.create_model(
                    name, img_size=size, num_classes=getattr(module, "num_classes", 1000)
                )
            state = adapt(dict(module.state_dict()), made)
            made.load_state_dict(state, strict=True)
        except (RuntimeError, AssertionError, ValueError, TypeError, KeyError, AttributeError, IndexError):
            return None
    return made.eval()


class hushed:
    """timm's notes on resampling stay off the terminal."""

    def __enter__(self) -> None:
        self.before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self.before)


def takes(backbone: Backbone, size: Sides) -> bool:
    """Whether the network runs at a size, as it is or made to."""
    try:
        _sized(backbone, backbone.card.preprocessing.at(size))
    except CannotRun:
        return False
    return True


def smallest_size(backbone: Backbone) -> Sides:
    """The smallest square that the network takes, not below 16 pixels; found by halving, and remembered.

    For a network whose own size is no square, the smallest of about its own proportions; for one that takes no
    other size, its own.
    """
    return _facts(backbone.original or backbone).smallest


def _facts(backbone: Backbone) -> Facts:
    known = _known.get(backbone.module)
    if known is None:
        known = _known[backbone.module] = _found(backbone)
    return known


def _own(backbone: Backbone) -> Sides:
    return backbone.card.preprocessing.height, backbone.card.preprocessing.width


def _found(backbone: Backbone) -> Facts:
    own = _own(backbone)
    if (step := _step(backbone, own)) is None:
        return Facts(None, own)

    def sized(n: int) -> Sides:
        share = n * step / min(own)
        return round(own[0] * share / step) * step, round(own[1] * share / step) * step

    low, high = -(-LEAST // step), max(1, min(own) // step)
    if takes(backbone, sized(low)):
        return Facts(step, sized(low))
    while low < high:
        middle = (low + high) // 2
        if takes(backbone, sized(middle)):
            high = middle
        else:
            low = middle + 1
    return Facts(step, sized(low))


def _step(backbone: Backbone, own: Sides) -> int | None:
    """The least number whose multiples the network takes; None where its own size is the only one."""
    patch = max(_patch(backbone.module))
    for step in sorted({patch, *(each for each in STEPS if each % patch == 0)}):
        for share in SHARES:
            size = _odd_multiple(share * own[0], step), _odd_multiple(share * own[1], step)
            if size != own and _within(size) and takes(backbone, size):
                return step
    return None


def _within(size: Sides) -> bool:
    return min(size) >= LEAST and max(size) <= MOST


def _odd_multiple(side: float, step: int) -> int:
    """Near `side`, a multiple of `step` and of no larger power of two."""
    return (int(side // step) | 1) * step


def _why(backbone: Backbone, size: Sides, error: CannotRun) -> str:
    """What keeps the network from a size, and which sizes work."""
    facts, said = _facts(backbone), error.said[:SAID].rstrip(".")
    place = _place(backbone.module, error.module)
    if facts.step is None:
        return f"{place} is fixed to the size of its weights, {_shown(_own(backbone))} ({said})"
    if size[0] % facts.step or size[1] % facts.step:
        cause = "its patches" if facts.step == max(_patch(backbone.module)) else place
        near = " and ".join(_shown(each) for each in _near(backbone, size, facts)) or _shown(facts.smallest)
        return f"sides are multiples of {facts.step} pixels ({cause}); near: {near}"
    if size[0] < facts.smallest[0] or size[1] < facts.smallest[1]:
        return f"the image runs out at {place}; the smallest size that works is {_shown(facts.smallest)} ({said})"
    return f"it stops at {place} ({said})"


def _near(backbone: Backbone, size: Sides, facts: Facts) -> list[Sides]:
    """The sizes below and above that are multiples of the step and work."""
    step = facts.step or 1
    below = max(1, size[0] // step) * step, max(1, size[1] // step) * step
    above = -(-size[0] // step) * step, -(-size[1] // step) * step
    tried = [each for each in dict.fromkeys((below, above)) if _within(each)]
    return [each for each in tried if takes(backbone, each)]


def _place(module: nn.Module, name: str) -> str:
    """A module by its stage, as the card calls it."""
    for number, stage in enumerate(stage_modules(module), start=1):
        if f"{name}.".startswith(f"{stage}."):
            return f"stage{number} ({name})"
    return name or "its input"


def _shown(size: Sides) -> str:
    return f"{size[0]} x {size[1]}"

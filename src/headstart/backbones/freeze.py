"""What trains and what is frozen, by name: any cut, any network; and the network split at the cut.

Stages are found by `layers`; nothing is listed by hand. The suffix is the same network with every module
before the cut replaced by a stub that hands on a blank of the traced shape, so that its forward pass costs
nothing there; the stub at the cut hands on the activation it is given. Names of parameters stay as they are.
"""

from __future__ import annotations

import copy
import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from headstart.backbones.layers import Layer, stage_modules
from headstart.base.errors import BackboneError, BadOptions, UnknownName

if TYPE_CHECKING:
    from torch import Tensor, nn

    from headstart.backbones.load import Backbone

WORDS = ("head", "norm", "bias", "all")
NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RmsNorm", "RMSNorm", "Affine")


@runtime_checkable
class Charted(Protocol):
    """A network that knows all layers after which everything depends on their output alone."""

    def cuts(self) -> list[str]:
        """Their names."""


@dataclass(frozen=True)
class Cut:
    """Which parameters of a backbone train, and where it can be cut before them.

    Attributes
    ----------
    asked : str
        As the caller named it.
    trainable : tuple of str
        Names of the backbone's parameters that train (its own classifier is not among them: a new head
        takes its place and always trains).
    after : str
        Module whose output the frozen prefix ends with; "" where nothing before the first trained
        parameter can be computed once (the whole network runs).
    """

    asked: str
    trainable: tuple[str, ...]
    after: str


def find_cut(backbone: Backbone, trainable: str | Sequence[str]) -> Cut:
    """The cut that a name, or several parameters, stand for.

    Parameters
    ----------
    backbone : Backbone
    trainable : str or sequence of str
        "head" (nothing of the backbone), "last:k" (the last k stages and what follows them), "all", "norm"
        (weights and biases of normalisation layers), "bias" (every bias; Ben Zaken et al., BitFit, ACL 2022),
        the name or alias of a layer (it and everything after it), or names or patterns of parameters.

    Raises
    ------
    UnknownName
        No such layer or parameter; the nearest names are in the message.
    BadOptions
        `last:k` with more stages than the network has.
    """
    module, layers = backbone.module, backbone.layers
    asked = trainable if isinstance(trainable, str) else ",".join(trainable)
    names = _body_parameters(backbone)
    if not isinstance(trainable, str):
        return Cut(asked, *_named(backbone, names, tuple(trainable)))
    if trainable == "head":
        return Cut(asked, (), _end(backbone))
    if trainable == "all":
        return Cut(asked, tuple(names), "")
    if trainable == "norm":
        kept = tuple(name for name in names if _is_norm(module, name))
        return Cut(asked, kept, _last_before(backbone, kept))
    if trainable == "bias":
        kept = tuple(name for name in names if name.rpartition(".")[2] == "bias")
        return Cut(asked, kept, _last_before(backbone, kept))
    if trainable.startswith("last:"):
        after = _before_last(backbone, trainable)
    elif trainable in (backbone.card.layers or {}) or trainable in layers:
        after = _place_before(backbone, [backbone.resolve(trainable)])
    else:
        return Cut(asked, *_named(backbone, names, (trainable,)))
    kept = tuple(name for name in names if not after or runs_after(name, layers, after))
    return Cut(asked, kept, after)


def _body_parameters(backbone: Backbone) -> list[str]:
    """Parameters of the network less its own classifier."""
    own = (backbone.card.layers or {}).get("logits", "")
    return [
        name for name, _ in backbone.module.named_parameters() if not own or not name.startswith(f"{own}.")
    ]


def _end(backbone: Backbone) -> str:
    """The pooled features, all that a head needs."""
    return (backbone.card.layers or {}).get("pool", "")


def _before_last(backbone: Backbone, asked: str) -> str:
    stages = [name for name in stage_modules(backbone.module) if name in backbone.layers]
    said = asked.removeprefix("last:")
    if not re.fullmatch(r"\d+", said) or not 1 <= int(said) <= len(stages):
        raise BadOptions([
            f"trainable: {asked!r}; {backbone.card.name} has {len(stages)} stages, "
            f"so last:1 to last:{len(stages)} are possible (`headstart backbones NAME --layers` shows them)"
        ])  # fmt: skip
    k = int(said)
    if k < len(stages):
        return stages[-k - 1]
    return (backbone.card.layers or {}).get("stem", "")


def _place_before(backbone: Backbone, names: Sequence[str]) -> str:
    """The last named place (stem, a stage, pool) that is complete before any of these modules begins."""
    layers = backbone.layers
    first = min(
        layer.order for layer in layers.values() for name in names if f"{layer.name}.".startswith(f"{name}.")
    )
    named = [module for alias, module in (backbone.card.layers or {}).items() if alias != "logits"]
    further = backbone.module.cuts() if isinstance(backbone.module, Charted) else []
    places = [
        module
        for module in (*named, *(each for each in further if each in layers))
        if layers[module].order < first and not any(f"{name}.".startswith(f"{module}.") for name in names)
    ]
    return max(places, key=lambda module: layers[module].order, default="")


def _last_before(backbone: Backbone, parameters: Sequence[str]) -> str:
    """The last named place that is complete before any of these parameters is used."""
    owners = {_enclosing(name.rpartition(".")[0], backbone.layers) for name in parameters}
    if not owners:
        return _end(backbone)
    return "" if "" in owners else _place_before(backbone, sorted(owners))


def _enclosing(owner: str, layers: dict[str, Layer]) -> str:
    while owner and owner not in layers:
        owner = owner.rpartition(".")[0]
    return owner


def _named(backbone: Backbone, names: Sequence[str], wanted: Sequence[str]) -> tuple[tuple[str, ...], str]:
    kept: dict[str, None] = {}
    for each in wanted:
        found = [name for name in names if name == each or fnmatch.fnmatchcase(name, each)]
        if not found:
            stages = [f"last:{k + 1}" for k in range(len(stage_modules(backbone.module)))]
            known = [*WORDS, *stages, *(backbone.card.layers or {}), *backbone.layers, *names]
            raise UnknownName("cut, layer or parameter", each, known)
        kept.update(dict.fromkeys(found))
    chosen = tuple(name for name in names if name in kept)
    return chosen, _last_before(backbone, chosen)


def _is_norm(module: nn.Module, parameter: str) -> bool:
    kind = type(module.get_submodule(parameter.rpartition(".")[0])).__name__
    return any(name in kind for name in NORMS)


def runs_after(parameter: str, layers: dict[str, Layer], after: str) -> bool:
    """Whether a parameter is used after the module `after` is complete."""
    owner = parameter.rpartition(".")[0]
    if f"{owner}.".startswith(f"{after}."):
        return False
    if owner in layers:
        return layers[owner].order > layers[after].order
    known = _enclosing(owner, layers)
    if known and not f"{after}.".startswith(f"{known}."):
        return layers[known].order > layers[after].order
    inner = [layer.order for layer in layers.values() if owner and layer.name.startswith(f"{owner}.")]
    return bool(inner) and min(inner) > layers[after].order


def make_suffix(module: nn.Module, layers: dict[str, Layer], after: str) -> nn.Module:
    """The network after the cut: activations of `after` in, what the network gives out.

    The modules before the cut are not copied; the others are (deep copies).

    Raises
    ------
    BackboneError
        The network cannot be run from there.
    """
    import torch
    from torch import nn

    given: list[Tensor] = []

    class Stub(nn.Module):
        """Stands for a module before the cut."""

        def __init__(self, layer: Layer, original: nn.Module) -> None:
            super().__init__()
            self.shape, self.is_cut = layer.shape, layer.name == after
            self.__dict__["original"] = original

        def __getattr__(self, name: str) -> Any:
            if name in ("original", "_parameters", "_buffers", "_modules"):
                raise AttributeError(name)
            return getattr(self.__dict__["original"], name)

        def forward(self, *_: Any, **__: Any) -> Tensor:
            """The activation at the cut, or a blank of the right shape."""
            now = given[0]
            return now if self.is_cut else now.new_zeros(()).expand(len(now), *self.shape)

    replaced = frozen_modules(layers, after)
    memo: dict[int, Any] = {}
    for name in replaced:
        original = module.get_submodule(name)
        memo[id(original)] = Stub(layers[name], original)
    body = copy.deepcopy(module, memo)

    class Suffix(nn.Module):
        """The network from the cut on."""

        def __init__(self) -> None:
            super().__init__()
            self.net = body

        def forward(self, activations: Tensor) -> Tensor:
            """What the network gives for activations (n, *shape of the cut)."""
            given[:] = [activations]
            try:
                blank = activations.new_zeros(()).expand(len(activations), 3, 1, 1)
                out: Tensor = self.net(blank)
            finally:
                given.clear()
            return out

    suffix = Suffix()
    try:
        with torch.no_grad():
            suffix.eval()(torch.zeros(2, *layers[after].shape))
    except (RuntimeError, AttributeError, TypeError, ValueError, AssertionError, IndexError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BackboneError(f"the network cannot be run from {after} on: {said}") from error
    return suffix


def frozen_modules(layers: dict[str, Layer], after: str) -> list[str]:
    """The largest modules that are complete at the cut."""
    last = layers[after].order
    done = {name for name, layer in layers.items() if layer.order <= last}
    return [name for name in done if not any(parent in done for parent in _parents(name))]


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]

"""A network by name without its weights: on torch's `meta` device, where nothing is allocated or fetched.

With its own classifier or without, or with a new head in its place.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.backbones.catalog import PACKAGED
from headstart.backbones.classic import CLASSIC, PREFIX
from headstart.backbones.classic_layers import Dense, DenseReLU, GlobalAveragePooling, GlobalMaxPooling
from headstart.backbones.layers import aliases, trace
from headstart.base.errors import BackboneError, BadOptions, UnknownName

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone

POOLINGS = ("avg", "max", "flat")
BODY = "net."
"""What the names of a network begin with once a new head stands on it."""


@dataclass(frozen=True)
class NewHead:
    """A head in place of the network's own classifier.

    Attributes
    ----------
    pooling : str
        "avg", "max" or "flat"; "" as the network pools itself, or the mean where it does not.
    dense : tuple of int
        Widths of dense layers with ReLU.
    classes : int
        Width of the last layer; 0 for none.
    """

    pooling: str = ""
    dense: tuple[int, ...] = ()
    classes: int = 0

    def __bool__(self) -> bool:
        return bool(self.pooling or self.dense or self.classes)

    def check(self) -> None:
        """Raise `BadOptions` with every mistake."""
        wrong = []
        if self.pooling and self.pooling not in POOLINGS:
            wrong.append(f"pooling: {self.pooling!r} is none of {', '.join(POOLINGS)}")
        wrong += [f"dense: {each} is below 1" for each in self.dense if each < 1]
        if self.classes < 0:
            wrong.append(f"classes: {self.classes} is below 1")
        if wrong:
            raise BadOptions(wrong)


@dataclass(frozen=True)
class Blank:
    """A network on the meta device, and the image size that its weights are for."""

    name: str
    module: nn.Module
    height: int
    width: int


def blank_network(name: str | Backbone, top: bool, img_size: tuple[int, int] | None = None) -> Blank:
    """The network of a name, without allocating its weights.

    Parameters
    ----------
    name : str or Backbone
        Any name that `load` takes; for names with a file or a repository in them the weights are read, since
        they say what the network is.
    top : bool
        With its own classifier.
    img_size : pair of int, optional
        Height and width for networks of timm that are made for one size (those with positions).

    Raises
    ------
    UnknownName, BackboneError
    """
    if not isinstance(name, str):
        return _emptied(name, top)
    if name in CLASSIC:
        return _classic(name, top)
    kind, _, rest = name.partition(":")
    if name in PACKAGED or (kind == "timm" and rest and "@" not in rest):
        return _timm(name, PACKAGED[name].architecture if name in PACKAGED else rest, top, img_size)
    if (kind in ("timm", "hf-hub", "local-dir") and rest) or name.partition("@")[0] in CLASSIC:
        from headstart.backbones.load import load

        return _emptied(load(name), top)
    from headstart.backbones.load import unknown_backbone

    raise unknown_backbone(name)


def _classic(name: str, top: bool) -> Blank:
    from headstart.backbones.classic_networks import build_classic

    known = CLASSIC[name]
    with torch.device("meta"):
        net = build_classic(name, known.classes, top)
    return Blank(name, net, known.preprocessing.height, known.preprocessing.width)


def _timm(name: str, published: str, top: bool, img_size: tuple[int, int] | None) -> Blank:
    import timm

    if not timm.is_model(published.partition(".")[0]):
        raise UnknownName("timm architecture", published, timm.list_models())
    options: dict[str, Any] = {} if top else {"num_classes": 0}
    if img_size is not None:
        options["img_size"] = img_size
    try:
        with torch.device("meta"):
            module: nn.Module = timm.create_model(published, **options)
    except (RuntimeError, ValueError, AssertionError, NotImplementedError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BackboneError(f"{name}: cannot be built without its weights: {said}") from error
    config: Any = getattr(module, "pretrained_cfg", None) or {}
    _, height, width = dict(config).get("input_size") or (3, 224, 224)
    return Blank(name, module.eval(), *(img_size or (int(height), int(width))))


def _emptied(backbone: Backbone, top: bool) -> Blank:
    """A network that is loaded already, its weights left out."""
    shape, own = backbone.card.preprocessing, (backbone.card.layers or {}).get("logits", "")
    module: nn.Module
    if backbone.card.architecture.startswith(PREFIX) and not top:
        from headstart.backbones.classic_networks import build_classic

        with torch.device("meta"):
            module = build_classic(backbone.card.architecture, top=False)
    else:
        module = copy.deepcopy(backbone.module).to("meta")
        if own and not top:
            module.set_submodule(own, nn.Identity())
    return Blank(backbone.card.name, module.eval(), shape.height, shape.width)


class Headed(nn.Module):
    """A network without its classifier, and a new head on it."""

    def __init__(self, net: nn.Module, head: NewHead, height: int, width: int) -> None:
        super().__init__()
        self.net = net
        self.maps = bool(head.pooling) and hasattr(net, "forward_features")
        with torch.no_grad():
            given = self._body(torch.empty(1, 3, height, width, device="meta"))
        self.given = given
        nhwc = getattr(net, "output_fmt", "NCHW") == "NHWC" and given.ndim == 4
        self.places = (1, 2) if nhwc else (2, 3) if given.ndim == 4 else (1,)
        self.order: list[str] = []
        n = self._pool(head.pooling or "avg", given)
        for number, n_out in enumerate(head.dense, 1):
            self._put(f"dense{number}", DenseReLU(n, n_out))
            n = n_out
        if head.classes:
            self._put("classes", Dense(n, head.classes))

    def _put(self, name: str, layer: nn.Module) -> None:
        self.add_module(name, layer)
        self.order.append(name)

    def _pool(self, pooling: str, given: Tensor) -> int:
        """Add the pooling; returns how many numbers an image has after it."""
        if pooling == "flat":
            self._put("flatten", nn.Flatten())
            return int(given[0].numel())
        if given.ndim == 2:
            return int(given.shape[1])
        average = pooling == "avg"
        layer = GlobalAveragePooling(0.0, self.places) if average else GlobalMaxPooling(self.places)
        self._put("global_average_pooling" if average else "global_max_pooling", layer)
        return int(given.shape[1 if self.places == (2, 3) else -1])

    def _body(self, images: Tensor) -> Tensor:
        out: Tensor = self.net.forward_features(images) if self.maps else self.net(images)  # type: ignore[operator]
        return out

    def forward(self, images: Tensor) -> Tensor:
        """What the head gives for images (n, 3, height, width)."""
        out = self._body(images)
        for name in self.order:
            out = self.get_submodule(name)(out)
        return out


def as_backbone(name: str, module: nn.Module, height: int, width: int) -> Backbone:
    """A blank network with its layers found, for `find_cut`."""
    from headstart.backbones.load import Backbone

    traced = trace(module, height, width)
    card = BackboneCard(
        name=name,
        architecture=type(module).__name__,
        weights="none",
        weights_digest="",
        preprocessing=Preprocessing(height, width),
        layers=aliases(module, traced),
    )
    return Backbone(card, module, traced)

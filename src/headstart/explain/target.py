"""What is explained: a network with scores that have a gradient, its outputs, and where it keeps rows and columns.

A backbone with its own classifier, a trained network, a head on frozen features or a module of your own become the
same value, so that every map works on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.base.errors import BackboneError, BadOptions, UnknownName
from headstart.explain.heads import OpaqueHead, torch_head
from headstart.explain.joint import JointScores, SideBySide, at_trunk, names_of, shares_of_scores
from headstart.explain.spatial import Spatial, find_layers, last_layer, pick
from headstart.features.pool import pool
from headstart.images.prepare import normalise, prepare

if TYPE_CHECKING:
    from headstart.backbones.card import Preprocessing
    from headstart.backbones.load import Backbone
    from headstart.images.decode import ImageItem
    from headstart.methods.heads_base import Head

OUTPUT = "label"


@dataclass(frozen=True)
class Output:
    """One output of a model: its name and its classes, labels or levels, in the order of the scores.

    `kind` is that of `headstart.methods.output.Output`; a number has the one class "value".
    """

    name: str
    classes: tuple[str, ...]
    kind: str = "classes"

    def number(self, wanted: str | int) -> int:
        """Position of a class, by name or by number.

        Raises
        ------
        BadOptions
            A number out of range.
        UnknownName
        """
        if isinstance(wanted, str) and wanted in self.classes:
            return self.classes.index(wanted)
        if isinstance(wanted, int) or wanted.lstrip("-").isdecimal():
            if 0 <= int(wanted) < len(self.classes):
                return int(wanted)
            raise BadOptions(
                [f"class: {wanted} is outside 0 .. {len(self.classes) - 1} of output {self.name!r}"]
            )
        raise UnknownName("class", wanted, self.classes)


@dataclass(frozen=True, eq=False)
class Target:
    """A network to be explained.

    Attributes
    ----------
    name : str
    net : nn.Module
        Normalised images (n, 3, height, width) to scores (n, k), or to a dict or sequence of such.
    preprocessing : Preprocessing
    outputs : tuple of Output
    aliases : dict of str to str
        Aliases of layers to module names of `net`; of a trunk an output, to those of the first.
    """

    name: str
    net: nn.Module
    preprocessing: Preprocessing
    outputs: tuple[Output, ...]
    aliases: dict[str, str]
    temperature: float = 1.0

    @cached_property
    def layers(self) -> dict[str, Spatial]:
        """Layers with rows and columns, in the order of computation."""
        return find_layers(self.net, self.preprocessing.height, self.preprocessing.width)

    @property
    def last(self) -> Spatial:
        """The last layer whose positions the scores of the first output depend on."""
        return self.layer(None)

    @property
    def n_trunks(self) -> int:
        """Trunks: one for all outputs, or one an output."""
        return self.net.n_trunks if isinstance(self.net, JointScores) else 1

    @property
    def has_gradient(self) -> bool:
        """Whether scores have a gradient in the image."""
        return not any(isinstance(part, OpaqueHead) for part in self.net.modules())

    def layer(self, name: str | None, output: str | None = None) -> Spatial:
        """A layer of `of(output)` with rows and columns, by name or alias; by default the last that it hangs on."""
        part = self.of(output)
        if name is None:
            return part._last(part.output(output).name)
        return pick(part.layers, name, part.aliases, [each for each, _ in part.net.named_modules()])

    def of(self, output: str | None = None) -> Target:
        """What one output comes from: its trunk alone where every output has its own, else the whole network.

        Layers keep their names; aliases mean those of that trunk. The first output by default.
        """
        at = self.outputs.index(self.output(output))
        if not isinstance(self.net, JointScores) or self.n_trunks < 2:
            return self
        if at not in self._parts:
            own = {name: at_trunk(module, at) for name, module in self.aliases.items()}
            self._parts[at] = replace(self, net=self.net.alone(at), outputs=(self.outputs[at],), aliases=own)
        return self._parts[at]

    @cached_property
    def _parts(self) -> dict[int, Target]:
        return {}

    @cached_property
    def _lasts(self) -> dict[str, Spatial]:
        return {}

    def _last(self, output: str) -> Spatial:
        """The last layer whose positions the scores of an output depend on."""
        if output not in self._lasts:
            how = self.preprocessing
            self._lasts[output] = last_layer(
                self.net, self.layers, how.height, how.width, lambda images: self._scored(images, output)
            )
        return self._lasts[output]

    def _scored(self, images: Tensor, output: str) -> Tensor:
        """Scores of an output; of a head without a gradient what it is given."""
        if self.has_gradient:
            return self.scores(images, output)
        given: list[Tensor] = []
        heads = [part for part in self.net.modules() if isinstance(part, OpaqueHead)]
        hooks = [head.register_forward_pre_hook(lambda part, known: given.append(known[0])) for head in heads]
        try:
            self.net(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.cat(given, dim=1)

    def check_gradient(self) -> None:
        """Raise BadOptions where no map can go through the head."""
        if not self.has_gradient:
            raise BadOptions([
                f"{self.name}: its head (knn) has no gradient, so no map can go through it; take occlusion, or a model "
                "with the head logistic or linear_svm"
            ])  # fmt: skip

    def called(self, module: str) -> str:
        """The alias of a module, or its own name where it has none."""
        return next((alias for alias, own in self.aliases.items() if own == module), module)

    def output(self, name: str | None = None) -> Output:
        """An output by name; the first by default."""
        for each in self.outputs:
            if name in (None, each.name):
                return each
        raise UnknownName("output", str(name), [each.name for each in self.outputs])

    def scores(self, images: Tensor, output: str | None = None) -> Tensor:
        """Scores (n, k) of one output, of normalised images (n, 3, height, width)."""
        found = self.net(images)
        wanted = self.output(output)
        if isinstance(found, Tensor):
            return found
        if isinstance(found, dict):
            out: Tensor = found[wanted.name]
            return out
        one: Tensor = list(found)[self.outputs.index(wanted)]
        return one

    def images(self, pixels: np.ndarray) -> Tensor:
        """Normalised images of uint8 pixels (n, height, width, 3), channels last in memory."""
        made = torch.from_numpy(normalise(pixels, self.preprocessing))
        return made.contiguous(memory_format=torch.channels_last)

    def probabilities(self, pixels: np.ndarray, output: str | None = None, batch: int = 32) -> np.ndarray:
        """Probabilities (n, k) of uint8 pixels (n, height, width, 3)."""
        self.net.eval()
        with torch.no_grad():
            parts = [
                self.scores(self.images(pixels[at : at + batch]), output)
                for at in range(0, len(pixels), batch)
            ]
        scores = torch.cat(parts)
        if not self.has_gradient:
            return scores.numpy()
        return shares_of_scores(self.output(output).kind, scores.float() / self.temperature).numpy()

    def prepared(self, items: Sequence[ImageItem]) -> np.ndarray:
        """Images as the network sees them: uint8 (n, height, width, 3)."""
        return np.stack([prepare(item, self.preprocessing) for item in items])


def target_of_backbone(backbone: Backbone, classes: Sequence[str] = ()) -> Target:
    """A backbone with its own classifier.

    Raises
    ------
    BackboneError
        Its weights have no classifier.
    """
    layers = backbone.card.layers or {}
    if "logits" not in layers:
        raise BackboneError(
            f"{backbone.card.name}: its weights have no classifier, so there is no score to explain; "
            "fit a model on it (`headstart fit`) and explain that"
        )
    width = backbone.layers[layers["logits"]].channels
    names = tuple(classes) or tuple(str(number) for number in range(width))
    output = Output("class", names)
    return Target(backbone.card.name, backbone.module, backbone.card.preprocessing, (output,), dict(layers))


def target_of_network(
    net: nn.Module,
    preprocessing: Preprocessing,
    classes: Sequence[str] | dict[str, Sequence[str]],
    *,
    name: str = "network",
    aliases: dict[str, str] | None = None,
    temperature: float = 1.0,
) -> Target:
    """A network of images (n, 3, height, width) to class scores: a trained one, or a module of your own.

    Parameters
    ----------
    net : nn.Module
        Gives scores (n, k); with several outputs a dict by name, or a sequence in the order of `classes`.
    preprocessing : Preprocessing
    classes : sequence of str, or dict of output name to sequence of str
    aliases : dict, optional
        Aliases of layers to module names.
    temperature : float
        What scores are divided by before the softmax.
    """
    many = classes if isinstance(classes, dict) else {OUTPUT: classes}
    outputs = tuple(Output(each, tuple(map(str, names))) for each, names in many.items())
    return Target(name, net.eval(), preprocessing, outputs, dict(aliases or {}), temperature)


class Headed(nn.Module):
    """Frozen network, pooled features of some layers, fitted head."""

    def __init__(self, backbone: Backbone, places: Sequence[tuple[str, str]], head: nn.Module) -> None:
        super().__init__()
        self.net, self.head = backbone.module, head
        self.places = tuple(places)
        self.layouts = {name: backbone.layers[name].layout for name, _ in places}
        self.n_prefix = int(getattr(backbone.module, "num_prefix_tokens", 0) or 0)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of normalised images; the network's own classifier runs and is not read."""
        caught: dict[str, Tensor] = {}
        hooks = [
            self.net.get_submodule(name).register_forward_hook(
                lambda part, given, out, name=name: caught.__setitem__(name, out)
            )
            for name in self.layouts
        ]
        try:
            self.net(images)
        finally:
            for hook in hooks:
                hook.remove()
        parts = [pool(caught[name], self.layouts[name], how, self.n_prefix) for name, how in self.places]
        out: Tensor = self.head(torch.cat(parts, dim=1))
        return out


def target_of_head(
    backbone: Backbone,
    places: Sequence[tuple[str, str]],
    head: Head,
    classes: Sequence[str] | None = None,
    *,
    name: str = "",
    output: str = OUTPUT,
) -> Target:
    """A fitted head on frozen features.

    Parameters
    ----------
    backbone : Backbone
    places : sequence of (module name, pooling)
        Where the head's features were taken, in order.
    head : Head
        Fitted. One without a gradient (knn) serves for occlusion alone.
    """
    net = Headed(backbone, places, torch_head(head)).eval()
    names = tuple(str(each) for each in (head.classes_ if classes is None else classes))
    aliases = {alias: f"net.{module}" for alias, module in (backbone.card.layers or {}).items()}
    return Target(
        name or backbone.card.name, net, backbone.card.preprocessing, (Output(output, names),), aliases,
        float(getattr(head, "temperature_", 1.0)),
    )  # fmt: skip


def target_of_bundle(
    bundle: Any, network: nn.Module | None = None, backbone: Backbone | None = None
) -> Target:
    """An opened model (`headstart.load_bundle`).

    Parameters
    ----------
    bundle : Bundle
    network : nn.Module, optional
        Of a trained network: what `headstart.load_network` gives.
    backbone : Backbone, optional
        The backbone of a model on frozen features, where timm has none of that name (a module of your own).
    """
    name = str(bundle.folder)
    if bundle.several:
        return _target_of_several(bundle, network, backbone)
    if network is not None:
        aliases = {alias: f"body.net.{module}" for alias, module in (bundle.backbone.layers or {}).items()}
        return target_of_network(
            network, bundle.preprocessing, {bundle.target: bundle.classes}, name=name, aliases=aliases,
            temperature=float(bundle.card.get("temperature", 1.0)),
        )  # fmt: skip
    pooling = bundle.card["pooling"]
    modules = bundle.card["modules"]
    poolings = [pooling] * len(modules) if isinstance(pooling, str) else list(pooling)
    known = backbone or _frozen(bundle)
    places = list(zip(modules, poolings, strict=True))
    return target_of_head(known, places, bundle.head, bundle.classes, name=name, output=bundle.target)


def _target_of_several(bundle: Any, network: nn.Module | None, backbone: Backbone | None) -> Target:
    """Every output of a model that has several."""
    aliases = {}
    net = network
    if net is not None:
        aliases = {
            alias: f"net.towers.0.body.net.{module}"
            for alias, module in (bundle.backbone.layers or {}).items()
        }
    else:
        pooling, modules = bundle.card["pooling"], bundle.card["modules"]
        poolings = [pooling] * len(modules) if isinstance(pooling, str) else list(pooling)
        known = backbone or _frozen(bundle)
        heads = [torch_head(head) for head in bundle.heads]
        net = Headed(known, list(zip(modules, poolings, strict=True)), SideBySide(heads))
        aliases = {alias: f"net.net.{module}" for alias, module in (known.card.layers or {}).items()}
    answers = bundle.outputs
    temperatures = [
        answer.temperature if network is not None else float(getattr(head, "temperature_", 1.0))
        for answer, head in zip(
            answers, [None] * len(answers) if network is not None else bundle.heads, strict=True
        )
    ]
    whole = JointScores(net, [answer.output for answer in answers], temperatures).eval()
    outputs = tuple(Output(each.name, names_of(each.output), each.output.kind) for each in answers)
    return Target(str(bundle.folder), whole, bundle.preprocessing, outputs, aliases)


def _frozen(bundle: Any) -> Backbone:
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

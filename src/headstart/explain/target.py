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
from headstart.base.events import warn
from headstart.explain.heads import Headed, OpaqueHead, torch_head
from headstart.explain.joint import JointScores, SideBySide, at_trunk, names_of, shares_of_scores
from headstart.explain.saved import frozen_network, places_of
from headstart.explain.spatial import Spatial, find_layers, last_layer, pick
from headstart.explain.stride import Depth, check_stride, find_depth, single_place
from headstart.images.prepare import normalise, prepare

if TYPE_CHECKING:
    from headstart.backbones.card import Preprocessing
    from headstart.backbones.load import Backbone
    from headstart.images.decode import ImageItem
    from headstart.methods.heads_base import Head
    from headstart.methods.output import Output as ModelOutput

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
        """The last layer whose positions the scores of the first output depend on; see `layer`."""
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
        """A layer of `of(output)` with rows and columns, by name or alias; by default the last that it hangs on.

        Of images below the network's stride there is no such default, and BackboneError says so; where the network
        goes on to a single place, a warning does.
        """
        part = self.of(output)
        if name is not None:
            return pick(part.layers, name, part.aliases, [each for each, _ in part.net.named_modules()])
        part.check_stride(output)
        last, depth = part._last(part.output(output).name)
        if (said := single_place(part, depth, last)) and said not in part._said:
            part._said.add(said)
            warn(said)
        return last

    def deepest(self, output: str | None = None) -> Spatial:
        """The last layer with rows and columns that an output hangs on, however small the images are."""
        part = self.of(output)
        return part._last(part.output(output).name)[0]

    def check_stride(self, output: str | None = None) -> None:
        """Raise BackboneError where images are smaller than the stride of what an output hangs on."""
        part = self.of(output)
        check_stride(part, part._last(part.output(output).name)[1])

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
    def _said(self) -> set[str]:
        return set()

    @cached_property
    def _lasts(self) -> dict[str, tuple[Spatial, Depth | None]]:
        return {}

    def _last(self, output: str) -> tuple[Spatial, Depth | None]:
        """The last layer whose positions the scores of an output depend on, and how deep the network goes on."""
        if output not in self._lasts:
            how = self.preprocessing
            last = last_layer(
                self.net,
                self.layers,
                how.height,
                how.width,
                lambda images: self.differentiable(images, output),
            )
            self._lasts[output] = last, find_depth(self, output, last)
        return self._lasts[output]

    def differentiable(self, images: Tensor, output: str) -> Tensor:
        """Scores of an output; of a head without a gradient what it is given, which has one."""
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
    known = backbone or frozen_network(bundle)
    return target_of_head(
        known, places_of(bundle), bundle.head, bundle.classes, name=name, output=bundle.target
    )


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
        known = backbone or frozen_network(bundle)
        heads = [torch_head(head) for head in bundle.heads]
        net = Headed(known, places_of(bundle), SideBySide(heads))
        aliases = {alias: f"net.net.{module}" for alias, module in (known.card.layers or {}).items()}
    answers = bundle.outputs
    temperatures = [
        answer.temperature if network is not None else float(getattr(head, "temperature_", 1.0))
        for answer, head in zip(
            answers, [None] * len(answers) if network is not None else bundle.heads, strict=True
        )
    ]
    every = [answer.output for answer in answers]
    return target_of_outputs(
        net, bundle.preprocessing, every, temperatures, name=str(bundle.folder), aliases=aliases
    )


def target_of_outputs(
    net: nn.Module,
    preprocessing: Preprocessing,
    outputs: Sequence[ModelOutput],
    temperatures: Sequence[float],
    *,
    name: str = "network",
    aliases: dict[str, str] | None = None,
) -> Target:
    """A network whose outputs are of any kind.

    Parameters
    ----------
    net : nn.Module
        Images to the logits of all outputs side by side.
    preprocessing : Preprocessing
    outputs : sequence of headstart.methods.output.Output
    temperatures : sequence of float
        What the logits of each are divided by.
    aliases : dict, optional
        Aliases of layers to module names of a `JointScores`, where the network is `net`.
    """
    whole = JointScores(net, outputs, temperatures).eval()
    said = tuple(Output(each.name, names_of(each), each.kind) for each in outputs)
    return Target(name, whole, preprocessing, said, dict(aliases or {}))

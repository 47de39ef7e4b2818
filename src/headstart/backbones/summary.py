"""What a network is made of: layers, output shapes, parameters, multiply-accumulates, memory, receptive field.

One forward pass on the meta device tells it all (`observe`): no weight is allocated, fetched or read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from headstart.backbones.input_size import sides, written
from headstart.base.errors import BackboneError, BadOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from headstart.backbones.blank import Blank, NewHead
    from headstart.backbones.input_size import Given
    from headstart.backbones.load import Backbone
    from headstart.backbones.observe import Seen

WHOLE = "whole image"
MOST_PIXELS = 8192
ITSELF = "(itself)"
"""The name of what belongs to no layer but to the network itself."""


@dataclass(frozen=True)
class LayerSummary:
    """One layer.

    Attributes
    ----------
    name, kind : str
        Name of the module and of its class.
    stage : str
        "stem", "stage1" .. "stageN", "head"; "" where no stages can be found (they are one then, "network").
    output : tuple of int, optional
        Shape for one image, (height, width, channels) for feature maps; None where it is never called (its
        weights are used by the layer around it).
    n_parameters, n_trainable, n_statistics : int
        Of the layer itself; running statistics are no parameters.
    macs : int
        Multiply-accumulates for one image: convolutions, dense layers, attention.
    activation_bytes : int
        Its outputs in float32; 0 where it hands on the memory that it was given.
    receptive_field : (height, width), "whole image" or None
        In pixels; None where it cannot be told.
    """

    name: str
    kind: str
    stage: str
    output: tuple[int, ...] | None
    n_parameters: int
    n_trainable: int
    n_statistics: int
    macs: int
    activation_bytes: int
    receptive_field: tuple[int, int] | str | None


@dataclass(frozen=True)
class StageSummary:
    """Layers of one stage taken together; `output` is the shape after the last."""

    name: str
    last: str
    output: tuple[int, ...] | None
    n_layers: int
    n_parameters: int
    n_trainable: int
    macs: int


@dataclass(frozen=True)
class Summary:
    """A network at one image size.

    Attributes
    ----------
    name : str
    height, width : int
        Of the image, in pixels.
    top : bool
        Whether its own classifier is among the layers.
    trainable : str
        What was asked to train; "all" unless said otherwise.
    layers : tuple of LayerSummary
        In the order in which they run.
    """

    name: str
    height: int
    width: int
    top: bool
    trainable: str
    layers: tuple[LayerSummary, ...]

    @property
    def n_parameters(self) -> int:
        """Of all layers."""
        return sum(layer.n_parameters for layer in self.layers)

    @property
    def n_trainable(self) -> int:
        """Parameters that train."""
        return sum(layer.n_trainable for layer in self.layers)

    @property
    def n_frozen(self) -> int:
        """Parameters that do not."""
        return self.n_parameters - self.n_trainable

    @property
    def n_statistics(self) -> int:
        """Running means and variances, which are no parameters here."""
        return sum(layer.n_statistics for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Outputs of all layers for one image in float32, as training keeps them."""
        return sum(layer.activation_bytes for layer in self.layers)

    @property
    def widest(self) -> LayerSummary | None:
        """The first layer with the largest receptive field that is not the whole image."""
        known = [layer for layer in self.layers if isinstance(layer.receptive_field, tuple)]
        return max(known, key=lambda layer: tuple(layer.receptive_field or ()), default=None)

    @property
    def first_whole(self) -> LayerSummary | None:
        """The first layer that sees the whole image."""
        return next((layer for layer in self.layers if layer.receptive_field == WHOLE), None)

    @property
    def first_untold(self) -> LayerSummary | None:
        """The first layer that runs and of whose receptive field nothing can be told."""
        return next(
            (layer for layer in self.layers if layer.receptive_field is None and layer.output is not None),
            None,
        )

    @property
    def stages(self) -> tuple[StageSummary, ...]:
        """Stem, stages and head."""
        groups: dict[str, list[LayerSummary]] = {}
        for layer in self.layers:
            groups.setdefault(layer.stage or "network", []).append(layer)
        order = sorted(groups, key=_stage_order)
        return tuple(_stage(name, groups[name]) for name in order)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        names = ("n_parameters", "n_trainable", "n_frozen", "n_statistics", "macs", "activation_bytes")
        widest, whole = self.widest, self.first_whole
        return {
            "network": self.name,
            "input": [self.height, self.width, 3],
            "top": self.top,
            "trainable": self.trainable,
            **{name: getattr(self, name) for name in names},
            "receptive_field": {
                "pixels": widest.receptive_field if widest else None,
                "at": widest.name if widest else None,
                "whole_from": whole.name if whole else None,
                "untold_from": self.first_untold.name if self.first_untold else None,
            },
            "layers": [asdict(layer) for layer in self.layers],
            "stages": [asdict(stage) for stage in self.stages],
        }


def _stage_order(name: str) -> int:
    """The stem first, the head last; the others stay in the order in which they run."""
    return {"stem": 0, "head": 2}.get(name, 1)


def _stage(name: str, layers: Sequence[LayerSummary]) -> StageSummary:
    ran = [layer for layer in layers if layer.output is not None and layer.name != ITSELF] or layers
    return StageSummary(
        name,
        ran[-1].name,
        ran[-1].output,
        len(layers),
        sum(layer.n_parameters for layer in layers),
        sum(layer.n_trainable for layer in layers),
        sum(layer.macs for layer in layers),
    )


def summarise(
    name: str | Backbone,
    size: Given | None = None,
    *,
    top: bool = False,
    trainable: str | None = None,
    head: NewHead | None = None,
) -> Summary:
    """What a network is made of, at an image size; nothing is allocated or fetched.

    Parameters
    ----------
    name : str or Backbone
        As `headstart.backbones.load.load` takes it.
    size : int, "HEIGHTxWIDTH" or (height, width), optional
        Of the image in pixels; that of the published weights unless given.
    top : bool
        With its own classifier.
    trainable : str, optional
        As `find_cut` takes it; everything trains unless given. A new head, and the network's own classifier,
        always train.
    head : NewHead, optional
        A new head in place of its own classifier.

    Raises
    ------
    UnknownName
        No such network, layer or cut; the nearest names are in the message.
    BadOptions
        Options that contradict each other, or a size that is none.
    BackboneError
        Images of this size do not go through: the message names the layer where they end.

    Examples
    --------
    >>> found = summarise("vgg16", "100x200")
    >>> found.n_parameters, found.layers[-1].name, found.layers[-1].output
    (14714688, 'block5_pool', (3, 6, 512))
    """
    if head:
        head.check()
        if top:
            raise BadOptions(["--top keeps the network's own classifier, and --pooling, --dense and --classes put a new "
                              "head in its place: leave one of them out"])  # fmt: skip
    from headstart.backbones.summary_rows import layer_rows

    given = None if size is None else _pixels(size)
    blank, module, seen = _watched(name, given, top, head)
    trained = _trained(blank, trainable, top)
    layers = tuple(layer_rows(blank.module, module, seen, trained))
    return Summary(blank.name, blank.height, blank.width, top, trainable or "all", layers)


def _pixels(size: Given) -> tuple[int, int]:
    try:
        height, width = sides(size)
    except ValueError as error:
        raise BadOptions([f"size: {error}"]) from error
    if min(height, width) < 1 or max(height, width) > MOST_PIXELS:
        raise BadOptions([f"size: {written(height, width)} is outside 1 .. {MOST_PIXELS} pixels"])
    return height, width


def _watched(
    name: str | Backbone, size: tuple[int, int] | None, top: bool, head: NewHead | None
) -> tuple[Blank, nn.Module, list[Seen]]:
    """The network at that size, whole, and what a pass saw; networks with positions are made anew for it."""
    from headstart.backbones.blank import blank_network
    from headstart.backbones.observe import RanOut

    blank = blank_network(name, top)
    asked = size or (blank.height, blank.width)
    try:
        return _observed(blank, asked, head)
    except RanOut as first:
        error = first
    if size is not None and size != (blank.height, blank.width):
        try:
            return _observed(blank_network(name, top, img_size=size), size, head)
        except (TypeError, BackboneError):  # it knows no other size, or ends there all the same
            pass
    advice = "; leave --top out" if top and error.kind == "Flatten" else ""
    said = f"{blank.name}: an image of {written(*asked)} (height x width) {error}{advice}"
    raise BackboneError(said) from error


def _observed(
    blank: Blank, size: tuple[int, int], head: NewHead | None
) -> tuple[Blank, nn.Module, list[Seen]]:
    from dataclasses import replace

    from headstart.backbones.blank import Headed
    from headstart.backbones.observe import observe

    sized = replace(blank, height=size[0], width=size[1])
    if not head:
        return sized, sized.module, observe(sized.module, *size)
    seen = observe(sized.module, *size)  # where the image runs out, it is said of the network itself
    module = Headed(sized.module, head, *size).to("meta").eval()
    return sized, module, observe(module, *size) or seen


def _trained(blank: Blank, trainable: str | None, top: bool) -> set[str] | None:
    """Names of the network's parameters that train; None for all."""
    if trainable is None or trainable == "all":
        return None
    from headstart.backbones.blank import as_backbone
    from headstart.backbones.freeze import find_cut

    found = as_backbone(blank.name, blank.module, blank.height, blank.width)
    own = (found.card.layers or {}).get("logits", "")
    parameters = [each for each, _ in blank.module.named_parameters()]
    kept = {each for each in parameters if top and own and each.startswith(f"{own}.")}
    return kept | set(find_cut(found, trainable).trainable)

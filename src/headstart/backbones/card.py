"""One card for every set of weights: preprocessing belongs to the weights, so both stand together.

Loading, preprocessing and the report read the same card. A card is a value; it needs no torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from headstart.backbones.input_size import LEAST, MOST, Given, sides
from headstart.base.errors import BadOptions
from headstart.base.hashing import digest_json


@dataclass(frozen=True)
class Preprocessing:
    """What the weights expect of an image.

    The short side is resized to `floor(size / crop)`, then the centre is cropped to `height` x `width`
    (crop mode "center"); "squash" resizes straight to the target, "border" keeps the whole image and pads.
    Pixels are scaled to 0..1, then `(x - mean) / std` a channel (red, green, blue).
    """

    height: int = 224
    width: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    crop: float = 0.875
    crop_mode: str = "center"

    def at(self, size: Given | None) -> Preprocessing:
        """The same preprocessing at another input size in pixels (None: unchanged).

        Parameters
        ----------
        size : int, "HEIGHTxWIDTH" or (height, width)

        Raises
        ------
        BadOptions
            It is no size, or a side is outside 16 .. 2048 pixels.
        """
        if size is None:
            return self
        try:
            height, width = sides(size)
        except ValueError as error:
            raise BadOptions([f"input size: {error}"]) from error
        if not (min(height, width) >= LEAST and max(height, width) <= MOST):
            raise BadOptions([f"input size: {height} x {width} is outside {LEAST} .. {MOST} pixels"])
        return replace(self, height=height, width=width)

    def digest(self) -> str:
        """Hash of everything that decides the pixels (not mean and std, which the network applies)."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return digest_json(asdict(self))


@dataclass(frozen=True)
class BackboneCard:
    """Everything that is known of one set of weights.

    Attributes
    ----------
    name : str
        As given on the command line ("lite0", "timm:resnet18.a1_in1k", "hf-hub:owner/name", a path).
    architecture : str
        Name of the timm architecture.
    weights : str
        Where the weights come from: a package, a repository, a file.
    weights_digest : str
        Content hash of the weights file.
    licence, paper, trained_on : str
        As the publisher states them; "" where not known.
    n_parameters : int
    classes : int
        Classes of its own classifier (0 where the weights have none).
    layers : dict of str to str
        Alias (`stem`, `stage1` .. `stageN`, `pool`, `logits`) to module name, in the order of computation.
    """

    name: str
    architecture: str
    weights: str
    weights_digest: str
    preprocessing: Preprocessing
    licence: str = ""
    paper: str = ""
    trained_on: str = ""
    n_parameters: int = 0
    weights_bytes: int = 0
    classes: int = 1000
    layers: dict[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        return asdict(self)

    @staticmethod
    def from_dict(value: dict[str, Any]) -> BackboneCard:
        """The card that `to_dict` described."""
        given = dict(value)
        shape = dict(given.pop("preprocessing"))
        shape["mean"], shape["std"] = tuple(shape["mean"]), tuple(shape["std"])
        return BackboneCard(preprocessing=Preprocessing(**shape), **given)

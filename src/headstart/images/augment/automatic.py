"""Automatic policies as operators: RandAugment, TrivialAugment, AugMix.

Cubuk et al., CVPR Workshops 2020, section 3; Mueller and Hutter, ICCV 2021, section 3 ("wide"); Hendrycks et
al., ICLR 2020, section 3. torchvision has them too, but draws from torch's global state, which threads share;
here the same table of operators and magnitudes is drawn from the passed generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.images.augment.convert import floats_of, in_dress_of, run
from headstart.images.augment.operator import OPERATORS, Parameter, operator

Values = Mapping[str, Any]
Draw = np.random.Generator
MAGNITUDES = 31
LEVELS = Parameter("magnitude", 9, 0, MAGNITUDES - 1, "strength, 0..30", whole=True)


@dataclass(frozen=True)
class Move:
    """One entry of a table: at strength 0..1 the operator's value runs from `least` to `most`; `signed` draws +-."""

    name: str
    value: str = ""
    least: float = 0.0
    most: float = 0.0
    signed: bool = False
    around: float = 0.0
    whole: bool = False

    def values(self, strength: float, draw: Draw) -> dict[str, Any]:
        """The operator's values at a strength."""
        fixed: dict[str, Any] = {"y": 0} if self.name in ("shear", "shift") else {}
        value = self.value.removeprefix("-")
        if self.value in ("y", "-y"):
            fixed = {"x": 0}
        if not self.value:
            return fixed
        amount = self.least + strength * (self.most - self.least)
        if self.signed and draw.random() < 0.5:
            amount = -amount
        return {**fixed, value: round(self.around + amount) if self.whole else self.around + amount}


def _table(shear: float, shift: float, turn: float, enhance: float, fewest_bits: int) -> tuple[Move, ...]:
    factors = [
        Move(name, "factor", 0, enhance, signed=True, around=1.0)
        for name in ("brightness", "saturation", "contrast", "sharpen")
    ]
    return (
        Move(""),
        Move("shear", "x", 0, shear, signed=True),
        Move("shear", "y", 0, shear, signed=True),
        Move("shift", "x", 0, shift, signed=True),
        Move("shift", "y", 0, shift, signed=True),
        Move("rotate", "degrees", 0, turn, signed=True),
        *factors,
        Move("posterise", "bits", 8, fewest_bits, whole=True),
        Move("solarise", "threshold", 1.0, 0.0),
        Move("autocontrast"),
        Move("equalise"),
    )


RAND_TABLE = _table(shear=16.7, shift=150 / 331, turn=30, enhance=0.9, fewest_bits=4)
WIDE_TABLE = _table(shear=44.7, shift=32 / 224, turn=135, enhance=0.99, fewest_bits=2)
MIX_TABLE = tuple(
    move
    for move in _table(shear=16.7, shift=1 / 3, turn=30, enhance=0.0, fewest_bits=4)
    if move.name not in ("", "brightness", "saturation", "contrast", "sharpen")
)


def apply(name: str, image: Any, given: Mapping[str, Any], draw: Draw) -> Any:
    """One operator on an opened image, what is not given drawn."""
    if not name:
        return image
    chosen = OPERATORS[name]
    values = chosen.drawn(given, draw)
    return run(image, chosen.takes, lambda each: chosen.kernel(each, values, draw))


@operator(
    "rand_augment",
    "automatic",
    "RandAugment",
    Parameter("n", 2, 1, 20, "operators an image", whole=True),
    LEVELS,
)
def rand_augment(image: Any, values: Values, draw: Draw) -> Any:
    """`n` operators of the table, drawn evenly, all at one strength."""
    for _ in range(values["n"]):
        move = RAND_TABLE[int(draw.integers(len(RAND_TABLE)))]
        image = apply(move.name, image, move.values(values["magnitude"] / (MAGNITUDES - 1), draw), draw)
    return image


@operator("trivial_augment", "automatic", "TrivialAugment")
def trivial_augment(image: Any, values: Values, draw: Draw) -> Any:
    """One operator of the wide table at a drawn strength."""
    move = WIDE_TABLE[int(draw.integers(len(WIDE_TABLE)))]
    return apply(move.name, image, move.values(int(draw.integers(MAGNITUDES)) / (MAGNITUDES - 1), draw), draw)


@operator(
    "augmix", "automatic", "AugMix", Parameter("severity", 3, 1, 10, "strength", whole=True),
    Parameter("width", 3, 1, 10, "chains", whole=True), Parameter("depth", (1, 3), 1, 10, "operators a chain", whole=True),
    Parameter("alpha", 1.0, 0.01, 10, "of the Dirichlet and Beta distributions of the shares"),
)  # fmt: skip
def augmix(image: Any, values: Values, draw: Draw) -> Any:
    """Chains of operators, mixed with each other and with the image itself."""
    alpha = float(values["alpha"])
    weights = draw.dirichlet([alpha] * values["width"])
    own = float(draw.beta(alpha, alpha))
    total = own * floats_of(image)
    for weight in weights:
        chain = image
        for _ in range(values["depth"]):
            move = MIX_TABLE[int(draw.integers(len(MIX_TABLE)))]
            strength = float(draw.uniform(0, values["severity"])) / 10
            chain = apply(move.name, chain, move.values(strength, draw), draw)
        total = total + (1 - own) * float(weight) * floats_of(chain)
    return in_dress_of(total, image)

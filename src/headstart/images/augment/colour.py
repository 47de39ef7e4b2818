"""Operators on colours and levels: brightness, contrast, gamma, hue, spaces, histograms, inversion.

torchvision's functions where it has them, kornia's for Lab, HSV and CLAHE (Zuiderveld, Graphics Gems IV, 1994).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kornia
import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from headstart.base.errors import BadOptions
from headstart.images.augment.convert import n_channels, roomy
from headstart.images.augment.operator import Parameter, operator

Values = Mapping[str, Any]
Draw = np.random.Generator
FACTOR = Parameter("factor", (0.7, 1.3), 0, 10, "1: unchanged")
SPACES = ("hsv", "lab", "luv", "xyz", "ycbcr", "yuv", "hls")


def _coloured(image: Any, name: str) -> None:
    if n_channels(image) != 3:
        raise BadOptions([f"{name}: expected three channels, got {n_channels(image)}"])


@operator("brightness", "colour", "scale all levels", FACTOR)
def brightness(image: Any, values: Values, draw: Draw) -> Any:
    """Scale all levels."""
    return F.adjust_brightness(image, values["factor"])


@operator("contrast", "colour", "scale distances from the mean grey", FACTOR)
def contrast(image: Any, values: Values, draw: Draw) -> Any:
    """Scale distances from the mean grey."""
    return F.adjust_contrast(image, values["factor"])


@operator("saturation", "colour", "scale distances from grey", FACTOR)
def saturation(image: Any, values: Values, draw: Draw) -> Any:
    """Scale each pixel's distance from its grey; grey images stay as they are."""
    return F.adjust_saturation(image, values["factor"])


@operator(
    "hue", "colour", "turn the colour circle", Parameter("turn", (-0.05, 0.05), -0.5, 0.5, "of a full turn")
)
def hue(image: Any, values: Values, draw: Draw) -> Any:
    """Turn the colour circle; grey images stay as they are."""
    return image if n_channels(image) == 1 else F.adjust_hue(image, values["turn"])


@operator(
    "gamma", "colour", "bend the curve of levels", Parameter("gamma", (0.7, 1.4), 0.05, 20, "above 1: darker")
)
def gamma(image: Any, values: Values, draw: Draw) -> Any:
    """Raise levels in 0..1 to a power."""
    return F.adjust_gamma(image, values["gamma"])


@operator(
    "colour_jitter", "colour", "brightness, contrast, saturation and hue, in drawn order",
    Parameter("brightness", 0.3, 0, 1, "factors in 1 - b .. 1 + b"),
    Parameter("contrast", 0.3, 0, 1, "factors in 1 - c .. 1 + c"),
    Parameter("saturation", 0.3, 0, 1, "factors in 1 - s .. 1 + s"),
    Parameter("hue", 0.0, 0, 0.5, "turns in -h .. h"),
)  # fmt: skip
def colour_jitter(image: Any, values: Values, draw: Draw) -> Any:
    """As torchvision's ColorJitter, drawn from the passed generator."""
    steps = {
        "brightness": F.adjust_brightness,
        "contrast": F.adjust_contrast,
        "saturation": F.adjust_saturation,
    }
    for at in draw.permutation(4):
        name = ("brightness", "contrast", "saturation", "hue")[at]
        strength = float(values[name])
        amount = float(draw.uniform(-strength, strength))
        if strength and name == "hue":
            image = hue(image, {"turn": amount}, draw)
        elif strength:
            image = steps[name](image, 1 + amount)
    return image


@operator("grey", "colour", "take the colour away")
def grey(image: Any, values: Values, draw: Draw) -> Any:
    """Luma in every channel."""
    return image if n_channels(image) == 1 else F.rgb_to_grayscale(image, num_output_channels=3)


@operator("invert", "colour", "exchange dark and bright")
def invert(image: Any, values: Values, draw: Draw) -> Any:
    """Exchange dark and bright."""
    return F.invert(image)


@operator(
    "hsv", "colour", "move in hue, saturation and value",
    Parameter("hue", (-0.05, 0.05), -0.5, 0.5, "of a full turn"),
    Parameter("saturation", (-0.1, 0.1), -1, 1, "added, in 0..1"),
    Parameter("value", (-0.1, 0.1), -1, 1, "added, in 0..1"), takes="floats",
)  # fmt: skip
def hsv(image: Any, values: Values, draw: Draw) -> Any:
    """Add to the three coordinates of HSV."""
    _coloured(image, "hsv")
    turned = kornia.color.rgb_to_hsv(image.clamp(0, 1))
    circle = 2 * np.pi
    return kornia.color.hsv_to_rgb(
        torch.stack(
            [
                (turned[:, 0] + values["hue"] * circle) % circle,
                (turned[:, 1] + values["saturation"]).clamp(0, 1),
                (turned[:, 2] + values["value"]).clamp(0, 1),
            ],
            dim=1,
        )
    )


@operator(
    "lab", "colour", "move in lightness and the two colour axes of CIE Lab",
    Parameter("lightness", (-8, 8), -100, 100, "added, in 0..100"),
    Parameter("a", (-8, 8), -128, 128, "added; green to red"),
    Parameter("b", (-8, 8), -128, 128, "added; blue to yellow"), takes="floats",
)  # fmt: skip
def lab(image: Any, values: Values, draw: Draw) -> Any:
    """Add to the three coordinates of CIE Lab."""
    _coloured(image, "lab")
    moved = kornia.color.rgb_to_lab(image.clamp(0, 1)).clone()
    for at, name in enumerate(("lightness", "a", "b")):
        moved[:, at] += values[name]
    moved[:, 0].clamp_(0, 100)
    return kornia.color.lab_to_rgb(moved).clamp(0, 1)


@operator(
    "colour_space", "colour", "keep the image as the coordinates of another colour space",
    Parameter("to", "hsv", choices=SPACES, help="coordinates, each brought to 0..1"), takes="floats",
)  # fmt: skip
def colour_space(image: Any, values: Values, draw: Draw) -> Any:
    """Coordinates as channels, each brought to 0..1 by the range that the space has."""
    _coloured(image, "colour_space")
    to = values["to"]
    found = getattr(kornia.color, f"rgb_to_{to}")(image.clamp(0, 1))
    low, high = _RANGES[to]
    least, most = (torch.tensor(each, device=found.device).reshape(1, 3, 1, 1) for each in (low, high))
    return ((found - least) / (most - least)).clamp(0, 1)


_TURN = 2 * np.pi
_RANGES: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "hsv": ((0, 0, 0), (_TURN, 1, 1)),
    "hls": ((0, 0, 0), (_TURN, 1, 1)),
    "lab": ((0, -128, -128), (100, 128, 128)),
    "luv": ((0, -134, -140), (100, 220, 122)),
    "xyz": ((0, 0, 0), (0.9505, 1, 1.089)),
    "ycbcr": ((0, 0, 0), (1, 1, 1)),
    "yuv": ((0, -0.436, -0.615), (1, 0.436, 0.615)),
}


@operator("equalise", "colour", "spread levels evenly (histogram equalisation)")
def equalise(image: Any, values: Values, draw: Draw) -> Any:
    """Histogram equalisation, a channel at a time."""
    return F.equalize(image)


@operator("autocontrast", "colour", "stretch levels from black to white")
def autocontrast(image: Any, values: Values, draw: Draw) -> Any:
    """Stretch levels, a channel at a time."""
    return F.autocontrast(image)


@operator(
    "clahe", "colour", "equalise parts of the image, contrast limited",
    Parameter("clip", (1.0, 4.0), 0.1, 100, "limit of contrast"),
    Parameter("grid", 8, 1, 64, "parts along each side", whole=True), takes="floats",
)  # fmt: skip
def clahe(image: Any, values: Values, draw: Draw) -> Any:
    """Contrast-limited adaptive histogram equalisation; the grid is no finer than the image allows."""
    parts, clip = min(values["grid"], max(1, min(image.shape[-2:]) // 4)), float(values["clip"])

    def equalised(given: Any) -> Any:
        return kornia.enhance.equalize_clahe(given, clip, (parts, parts))

    return roomy(image.clamp(0, 1), 2 * parts, equalised).clamp(0, 1)


@operator(
    "posterise", "colour", "keep few levels", Parameter("bits", (3, 6), 1, 8, "kept of eight", whole=True)
)
def posterise(image: Any, values: Values, draw: Draw) -> Any:
    """Keep the leading bits of each level."""
    return F.posterize(image, values["bits"])


@operator(
    "solarise", "colour", "invert bright pixels",
    Parameter("threshold", (0.5, 0.9), 0, 1, "level in 0..1 from which on"),
)  # fmt: skip
def solarise(image: Any, values: Values, draw: Draw) -> Any:
    """Invert levels from a threshold on."""
    floats = isinstance(image, torch.Tensor) and image.is_floating_point()
    return F.solarize(image, values["threshold"] * (1 if floats else 255))

"""Operators that blur, sharpen and find edges.

torchvision for the Gaussian and for sharpness, kornia for the others (Canny, IEEE PAMI 1986).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import kornia
import numpy as np
from torchvision.transforms.v2 import functional as F

from headstart.images.augment.convert import roomy, size_of
from headstart.images.augment.operator import Parameter, operator

Values = Mapping[str, Any]
Draw = np.random.Generator
BLEND = Parameter("blend", (0.3, 1.0), 0, 1, "share of the edges in the result; 1: the edges alone")


@operator("gaussian_blur", "filter", "blur evenly", Parameter("sigma", (0.3, 1.5), 0.05, 50, "in pixels"))
def gaussian_blur(image: Any, values: Values, draw: Draw) -> Any:
    """Blur by a Gaussian that reaches three sigma, or as far as the image does."""
    reach = 2 * math.ceil(3 * values["sigma"]) + 1
    fit = [min(reach, 2 * ((length - 1) // 2) + 1) for length in reversed(size_of(image))]
    return F.gaussian_blur(image, fit, [values["sigma"], values["sigma"]])


@operator(
    "motion_blur", "filter", "blur along a line",
    Parameter("length", (3, 9), 3, 101, "in pixels; made odd", whole=True),
    Parameter("degrees", (0, 360), -360, 360, "against the clock"), takes="floats",
)  # fmt: skip
def motion_blur(image: Any, values: Values, draw: Draw) -> Any:
    """As if camera or thing had moved evenly."""
    length, turn = values["length"] | 1, float(values["degrees"])
    return roomy(image, length, lambda x: kornia.filters.motion_blur(x, length, turn, 0.0, mode="bilinear"))


@operator(
    "median_blur", "filter", "the median of each neighbourhood",
    Parameter("size", (3, 5), 1, 31, "side of the neighbourhood in pixels; made odd", whole=True), takes="floats",
)  # fmt: skip
def median_blur(image: Any, values: Values, draw: Draw) -> Any:
    """Takes away specks, keeps edges."""
    size = values["size"] | 1
    return roomy(image, size, lambda x: kornia.filters.median_blur(x, size))


@operator(
    "sharpen", "filter", "sharpen or soften", Parameter("factor", (1.0, 3.0), 0, 20, "1: unchanged; 0: soft")
)
def sharpen(image: Any, values: Values, draw: Draw) -> Any:
    """Scale each pixel's distance from the mean of its neighbours."""
    return F.adjust_sharpness(image, values["factor"])


@operator("sobel", "filter", "edges: length of the gradient", BLEND, takes="floats")
def sobel(image: Any, values: Values, draw: Draw) -> Any:
    """Length of the gradient, each channel alone, scaled so that the strongest edge is white."""
    return _blended(image, _to_white(roomy(image, 3, kornia.filters.sobel)), values["blend"])


@operator(
    "laplacian", "filter", "edges: second derivative", BLEND,
    Parameter("size", 3, 3, 31, "of the kernel in pixels; made odd", whole=True), takes="floats",
)  # fmt: skip
def laplacian(image: Any, values: Values, draw: Draw) -> Any:
    """Size of the second derivative, scaled so that the strongest edge is white."""
    size = values["size"] | 1
    found = roomy(image, size, lambda x: kornia.filters.laplacian(x, size).abs())
    return _blended(image, _to_white(found), values["blend"])


@operator(
    "canny", "filter", "edges: thin lines", BLEND,
    Parameter("low", 0.1, 0.001, 1, "gradient of a line that goes on"),
    Parameter("high", 0.2, 0.001, 1, "gradient of a line that begins"), takes="floats",
)  # fmt: skip
def canny(image: Any, values: Values, draw: Draw) -> Any:
    """Lines one pixel wide, white on black."""
    low, high = min(values["low"], values["high"]), max(values["low"], values["high"])
    lines = roomy(image, 5, lambda x: kornia.filters.canny(x, low, high)[1])
    return _blended(image, lines.expand_as(image), values["blend"])


def _to_white(edges: Any) -> Any:
    return edges / edges.amax().clamp_min(1e-6)


def _blended(image: Any, edges: Any, share: float) -> Any:
    return share * edges.clamp(0, 1) + (1 - share) * image

"""Operators that move pixels: pad, crop, flip, rotate, shear, zoom, shift, perspective, elastic, resize.

torchvision's functions do the work, on PIL images and tensors alike. Where a border other than a colour is
wanted, the image is padded first and cut afterwards. Random resized crops: Szegedy et al., CVPR 2015, section
6; elastic deformation: Simard et al., ICDAR 2003, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from headstart.base.errors import BadOptions
from headstart.images.augment.convert import as_bytes, like, n_channels, size_of, to_picture, to_tensor
from headstart.images.augment.operator import Parameter, operator
from headstart.images.views import crop_box

BORDERS = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
FILTERS = {
    "nearest": Image.Resampling.NEAREST, "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR, "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS,
}  # fmt: skip
ON_TENSORS = ("nearest", "bilinear", "bicubic")
MOST_PIXELS = 4096

BORDER = Parameter("border", "reflect", choices=tuple(BORDERS), help="what fills what comes into view")
FILL = Parameter("fill", 0, 0, 255, "grey level of a constant border", whole=True)
HEIGHT = Parameter("height", 0, 0, MOST_PIXELS, "of the result in pixels (0: from the image)", whole=True)
WIDTH = Parameter("width", 0, 0, MOST_PIXELS, "of the result in pixels (0: from the image)", whole=True)
SHARE = Parameter("share", (0.7, 1.0), 0.01, 1.0, "of the image's sides, where no size is given")

Values = Mapping[str, Any]
Draw = np.random.Generator


def filled(image: Any, grey: int) -> list[float]:
    """A grey level as torchvision's `fill` for this image."""
    value = float(grey) if isinstance(image, Image.Image) or not image.is_floating_point() else grey / 255
    return [value] * n_channels(image)


def _padded(image: Any, left: int, top: int, right: int, bottom: int, border: str, grey: int) -> Any:
    """Reflection goes at most as far as the image; further out it is repeated."""
    while border == "reflect" and (left or top or right or bottom):
        high, wide = size_of(image)
        a, b, c, d = min(left, wide - 1), min(top, high - 1), min(right, wide - 1), min(bottom, high - 1)
        if not (a or b or c or d):
            border = "replicate"  # one pixel has no reflection
            break
        image = F.pad(image, [a, b, c, d], padding_mode="reflect")
        left, top, right, bottom = left - a, top - b, right - c, bottom - d
    if not (left or top or right or bottom):
        return image
    fill = filled(image, grey) if border == "constant" else None
    return F.pad(image, [left, top, right, bottom], fill=fill, padding_mode=BORDERS[border])


def _moved(
    image: Any, values: Values, reach: tuple[float, float], move: Callable[[Any, list[float]], Any]
) -> Any:
    """Warp an image whose surroundings, as far as they come into view (x, y), are of the border asked for."""
    if values["border"] == "constant":
        return move(image, filled(image, values["fill"]))
    high, wide = size_of(image)
    x, y = (min(4 * max(high, wide), math.ceil(each) + 2) for each in reach)
    wider = _padded(image, x, y, x, y, values["border"], 0)
    return F.crop(move(wider, filled(image, 0)), y, x, high, wide)


def _affine(
    image: Any, values: Values, angle: float = 0.0, shift: tuple[float, float] = (0, 0), scale: float = 1.0,
    shear: tuple[float, float] = (0, 0),
) -> Any:  # fmt: skip
    def move(given: Any, fill: list[float]) -> Any:
        return F.affine(
            given, angle, list(shift), scale, list(shear), interpolation=InterpolationMode.BILINEAR, fill=fill
        )

    return _moved(image, values, _reach(*size_of(image), angle, shift, scale, shear), move)


def _reach(
    high: int, wide: int, angle: float, shift: tuple[float, float], scale: float, shear: tuple[float, float]
) -> tuple[float, float]:
    """How far beyond the image (x, y, in pixels) the four corners of the result come from."""
    turn, sx, sy = (math.radians(each) for each in (angle, *shear))
    a = math.cos(turn - sy) / math.cos(sy)
    b = -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    back = np.linalg.inv(np.array([[a, b], [c, d]]) * scale)
    corners = np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]]) / 2 - np.array(shift)
    far = np.abs(corners @ back.T).max(axis=0) - np.array([wide, high]) / 2
    return float(max(0.0, far[0])), float(max(0.0, far[1]))


@operator(
    "pad", "geometry", "surround the image", Parameter("share", (0.05, 0.2), 0, 2, "of the sides, each side"),
    BORDER, FILL,
)  # fmt: skip
def pad(image: Any, values: Values, draw: Draw) -> Any:
    """Pad all four sides."""
    high, wide = (round(side * values["share"]) for side in size_of(image))
    return _padded(image, wide, high, wide, high, values["border"], values["fill"])


def _wanted(image: Any, values: Values) -> tuple[int, int]:
    """Size of a crop, which the image must hold."""
    high, wide = size_of(image)
    wanted = (
        values["height"] or max(1, round(high * values["share"])),
        values["width"] or max(1, round(wide * values["share"])),
    )
    if wanted[0] > high or wanted[1] > wide:
        raise BadOptions(
            [f"crop: {wanted[0]} x {wanted[1]} pixels do not fit in an image of {high} x {wide}"]
        )
    return wanted


@operator("center_crop", "geometry", "cut out the middle", SHARE, HEIGHT, WIDTH)
def center_crop(image: Any, values: Values, draw: Draw) -> Any:
    """Cut out the middle."""
    return F.center_crop(image, list(_wanted(image, values)))


@operator("random_crop", "geometry", "cut out a part, its size kept", SHARE, HEIGHT, WIDTH)
def random_crop(image: Any, values: Values, draw: Draw) -> Any:
    """Cut out a part whose place is drawn."""
    (high, wide), (tall, broad) = _wanted(image, values), size_of(image)
    top, left = int(draw.integers(tall - high + 1)), int(draw.integers(broad - wide + 1))
    return F.crop(image, top, left, high, wide)


@operator(
    "random_resized_crop", "geometry", "cut out a part and bring it to a size",
    Parameter("area", 0.35, 0.01, 1, "least share of the image's area"), HEIGHT, WIDTH,
)  # fmt: skip
def random_resized_crop(image: Any, values: Values, draw: Draw) -> Any:
    """Area, aspect (3/4 to 4/3 of the result's) and place are drawn."""
    high, wide = size_of(image)
    size = [values["height"] or high, values["width"] or wide]
    left, top, right, bottom = crop_box(high, wide, size[0] / size[1], float(values["area"]), draw)
    x, y = math.floor(left), math.floor(top)
    tall, broad = max(1, round(bottom - top)), max(1, round(right - left))
    return F.resized_crop(image, y, x, min(tall, high - y), min(broad, wide - x), size, antialias=True)


@operator("horizontal_flip", "geometry", "exchange left and right")
def horizontal_flip(image: Any, values: Values, draw: Draw) -> Any:
    """Exchange left and right."""
    return F.horizontal_flip(image)


@operator("vertical_flip", "geometry", "exchange top and bottom")
def vertical_flip(image: Any, values: Values, draw: Draw) -> Any:
    """Exchange top and bottom."""
    return F.vertical_flip(image)


@operator(
    "rotate", "geometry", "turn about the middle",
    Parameter("degrees", (-15, 15), -180, 180, "against the clock"), BORDER, FILL,
)  # fmt: skip
def rotate(image: Any, values: Values, draw: Draw) -> Any:
    """Turn about the middle, the size kept; whole half turns move pixels without interpolation."""
    if abs(values["degrees"]) == 180:
        return F.vertical_flip(F.horizontal_flip(image))
    return _affine(image, values, angle=-values["degrees"])


@operator(
    "shear", "geometry", "slant", Parameter("x", (-10, 10), -80, 80, "degrees along the width"),
    Parameter("y", 0, -80, 80, "degrees along the height"), BORDER, FILL,
)  # fmt: skip
def shear(image: Any, values: Values, draw: Draw) -> Any:
    """Slant along the width, the height or both."""
    return _affine(image, values, shear=(values["x"], values["y"]))


@operator(
    "zoom", "geometry", "enlarge or shrink about the middle",
    Parameter("factor", (0.8, 1.25), 0.05, 20, "above 1: things look larger"), BORDER, FILL,
)  # fmt: skip
def zoom(image: Any, values: Values, draw: Draw) -> Any:
    """Enlarge or shrink, the size kept."""
    return _affine(image, values, scale=values["factor"])


@operator(
    "shift", "geometry", "move sideways", Parameter("x", (-0.1, 0.1), -1, 1, "shares of the width, to the right"),
    Parameter("y", (-0.1, 0.1), -1, 1, "shares of the height, down"), BORDER, FILL,
)  # fmt: skip
def shift(image: Any, values: Values, draw: Draw) -> Any:
    """Move sideways by whole pixels."""
    high, wide = size_of(image)
    return _affine(image, values, shift=(round(values["x"] * wide), round(values["y"] * high)))


@operator(
    "perspective", "geometry", "see from another side",
    Parameter("distortion", (0.1, 0.4), 0, 0.5, "how far corners move, in half sides"), BORDER, FILL,
)  # fmt: skip
def perspective(image: Any, values: Values, draw: Draw) -> Any:
    """Each corner moves towards the middle by a drawn share of `distortion`."""
    inward = draw.uniform(0, values["distortion"], (4, 2)) / 2
    high, wide = size_of(image)
    if min(high, wide) < 2:
        return image  # a line has no perspective

    def move(given: Any, fill: list[float]) -> Any:
        tall, broad = size_of(given)
        x, y = (broad - wide) / 2, (tall - high) / 2
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        ends = np.abs(corners - inward) * [wide - 1, high - 1] + [x, y]
        starts = corners * [wide - 1, high - 1] + [x, y]
        return F.perspective(
            given, starts.tolist(), ends.tolist(), interpolation=InterpolationMode.BILINEAR, fill=fill
        )

    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    far = np.abs(_through(np.abs(square - inward), square) - 0.5).max(axis=0) - 0.5
    return _moved(image, values, (max(0.0, far[0] * wide), max(0.0, far[1] * high)), move)


def _through(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Where the unit square's corners go under the perspective that takes `starts` to `ends`, all (4, 2)."""
    rows = []
    for (x, y), (u, v) in zip(starts, ends, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    found = np.append(np.linalg.solve(np.array(rows), ends.astype(float).ravel()), 1.0).reshape(3, 3)
    corners = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]) @ found.T
    out: np.ndarray = corners[:, :2] / np.maximum(corners[:, 2:], 1e-3)
    return out


@operator(
    "elastic", "geometry", "bend as if drawn on rubber",
    Parameter("alpha", (0.02, 0.06), 0, 1, "how far, in shares of the side"),
    Parameter("sigma", 0.06, 0.005, 0.5, "how smoothly, in shares of the side"), BORDER, FILL,
)  # fmt: skip
def elastic(image: Any, values: Values, draw: Draw) -> Any:
    """Displacements are drawn, smoothed by a Gaussian and scaled so that the largest is `alpha`."""
    high, wide = size_of(image)
    side = max(high, wide)
    noise = draw.uniform(-1, 1, (2, high, wide)).astype(np.float32)
    sigma = values["sigma"] * side
    smooth = torch.from_numpy(ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="reflect", truncate=3))
    far = smooth * (2 * values["alpha"] / smooth.abs().amax().clamp_min(1e-12))

    def move(given: Any, fill: list[float]) -> Any:
        tall, broad = size_of(given)
        field = torch.zeros(2, tall, broad)
        y, x = (tall - high) // 2, (broad - wide) // 2
        field[:, y : y + high, x : x + wide] = far * torch.tensor([wide / broad, high / tall])[:, None, None]
        return F.elastic(given, field.permute(1, 2, 0)[None], fill=fill)

    far_pixels = values["alpha"] * side
    return _moved(image, values, (far_pixels, far_pixels), move)


@operator(
    "resize", "geometry", "bring to a size", Parameter("scale", 1.0, 0.01, 10, "where no size is given"), HEIGHT,
    WIDTH, Parameter("filter", "bilinear", choices=tuple(FILTERS), help="antialiased where it shrinks"),
)  # fmt: skip
def resize(image: Any, values: Values, draw: Draw) -> Any:
    """Bring to a size; the filters that torch lacks run in Pillow."""
    high, wide = size_of(image)
    size = [
        values["height"] or max(1, round(high * values["scale"])),
        values["width"] or max(1, round(wide * values["scale"])),
    ]
    return resized(image, size[0], size[1], values["filter"])


def resized(image: Any, height: int, width: int, by: str) -> Any:
    """A PIL image or tensor (c, h, w) at a new size, antialiased where it shrinks."""
    if isinstance(image, Image.Image):
        return image.resize((width, height), FILTERS[by])
    if by in ON_TENSORS:
        return F.resize(image, [height, width], interpolation=InterpolationMode(by), antialias=True)
    return like(to_tensor(to_picture(as_bytes(image)).resize((width, height), FILTERS[by])), image).to(
        image.device
    )

"""One resize for every image: a box of 8-bit RGB pixels to a size, by convolution, antialiased when it shrinks.

`cykooz-resizer` (fast_image_resize, AVX2 and NEON) does it in a sixth of Pillow's time, on three bytes a pixel
instead of four and without Pillow's copies; the filters are the same, and so are the pixels up to rounding
(0.14 grey levels of 255 in the mean over photos). Pillow serves where there is no such wheel, and where timm's
pixels are wanted exactly.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import PIL
from PIL import Image

from headstart.base.optional import installed

FAST = "cykooz_resizer"
PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
FILTERS = {
    "bilinear": "bilinear",
    "bicubic": "catmull_rom",
    "lanczos": "lanczos3",
    "box": "box",
    "hamming": "hamming",
}
REACH = {"nearest": 1, "bilinear": 1, "bicubic": 2, "lanczos": 3, "box": 1, "hamming": 1}
Box = tuple[float, float, float, float]


def resizer_name() -> str:
    """Which resizer serves, with its version: part of what decides a feature."""
    return f"cykooz{version('cykooz-resizer')}" if installed(FAST) else f"pillow{PIL.__version__}"


def resize(
    pixels: np.ndarray, box: Box, height: int, width: int, interpolation: str, *, exact: bool = False
) -> np.ndarray:
    """The box of an image at a new size.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
    box : (left, top, right, bottom)
        In pixels, inside the image; fractions count.
    height, width : int
        New size.
    interpolation : str
        One of `PILLOW`.
    exact : bool
        Whether Pillow must do it.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Read-only.
    """
    near, (left, top) = _near(pixels, box, height, width, REACH[interpolation])
    moved = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    if exact or _fast() is None or interpolation == "hamming":  # which the fast one lacks
        image = Image.fromarray(near).resize((width, height), PILLOW[interpolation], box=moved)
        return np.asarray(image)
    return _resize_fast(near, moved, height, width, interpolation)


def _near(
    pixels: np.ndarray, box: Box, height: int, width: int, reach: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """The pixels that the box and the filter around it touch, and where they start (left, top)."""
    x = math.ceil(reach * max(1.0, (box[2] - box[0]) / width)) + 1
    y = math.ceil(reach * max(1.0, (box[3] - box[1]) / height)) + 1
    left, top = max(0, math.floor(box[0]) - x), max(0, math.floor(box[1]) - y)
    return pixels[top : math.ceil(box[3]) + y, left : math.ceil(box[2]) + x], (left, top)


def _resize_fast(pixels: np.ndarray, box: Box, height: int, width: int, interpolation: str) -> np.ndarray:
    fast = _fast()
    (high, wide), (left, top, right, bottom) = pixels.shape[:2], box
    kind = fast.PixelType.U8x3
    given = fast.ImageData(wide, high, kind, pixels.tobytes())
    made = fast.ImageData(width, height, kind)
    crop = fast.CropBox(left, top, min(right, wide) - left, min(bottom, high) - top)
    fast.Resizer().resize(given, made, fast.ResizeOptions(_method(interpolation), crop_box=crop))
    return np.frombuffer(made.get_buffer(), np.uint8).reshape(height, width, 3)


@cache
def _method(interpolation: str) -> Any:
    method, name = _fast().ResizeAlg, FILTERS.get(interpolation)
    return method.nearest() if name is None else method.convolution(getattr(_fast().FilterType, name))


@cache
def _fast() -> Any:
    """The module of the fast resizer, or None where its wheel is not installed."""
    return import_module(FAST) if installed(FAST) else None

"""Where pixels go: EXIF orientations, and the part of an image that resize and crop keep.

Resizing only the region that the crop keeps gives the same pixels as resizing everything and cropping after,
for less work; an image lying on its side is cropped as stored and turned when it is small.
The rules are those of timm's evaluation transform, so weights see what they were tested with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from headstart.backbones.card import Preprocessing

ORIENTATIONS: dict[int, Image.Transpose | None] = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Fit:
    """How an upright image becomes the network's input.

    Attributes
    ----------
    box : tuple of float
        Left, top, right, bottom of the region that is kept, in pixels of the upright image.
    height, width : int
        Size that the region is resized to.
    top, left : int
        Where it is placed on the canvas (0, 0 unless the image is padded).
    short_side : int
        Length that the image's short side would have if all of it were resized.
    """

    box: Box
    height: int
    width: int
    top: int
    left: int
    short_side: int


def fit(height: int, width: int, how: Preprocessing) -> Fit:
    """The region and size for an upright image of `height` x `width` pixels."""
    tall, wide = _resized(height, width, how)
    top, high, pad_top = _centre(tall, how.height)
    left, broad, pad_left = _centre(wide, how.width)
    x, y = width / wide, height / tall
    box = (left * x, top * y, (left + broad) * x, (top + high) * y)
    return Fit(box, high, broad, pad_top, pad_left, min(tall, wide))


def _resized(height: int, width: int, how: Preprocessing) -> tuple[int, int]:
    goal_h, goal_w = math.floor(how.height / how.crop), math.floor(how.width / how.crop)
    if how.crop_mode == "squash":
        return goal_h, goal_w
    if how.crop_mode == "border" or goal_h != goal_w:
        pick = max if how.crop_mode == "border" else min
        ratio = pick(height / goal_h, width / goal_w)
        return max(1, round(height / ratio)), max(1, round(width / ratio))
    if width <= height:
        return max(1, int(goal_w * height / width)), goal_w
    return goal_h, max(1, int(goal_h * width / height))


def _centre(size: int, kept: int) -> tuple[int, int, int]:
    """Start and length of the centre of one side, and the padding before it."""
    if size >= kept:
        return round((size - kept) / 2), kept, 0
    return 0, size, (kept - size) // 2


def as_stored(box: Box, orientation: int, height: int, width: int) -> Box:
    """A box of the upright image in the pixels of the stored one (`height` x `width`)."""
    left, top, right, bottom = box
    if turned(orientation):
        left, top, right, bottom = top, left, bottom, right
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def turned(orientation: int) -> bool:
    """Whether upright height and width are the stored width and height."""
    return orientation >= 5


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The stored image (h, w, 3) turned and mirrored as its EXIF orientation says (a view)."""
    if turned(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def longest_side(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width with the same shape and a longer side of `side` pixels; each at least 1."""
    longest = max(height, width)
    return max(1, round(height * side / longest)), max(1, round(width * side / longest))

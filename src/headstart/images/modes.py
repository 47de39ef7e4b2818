"""Any pixels to 8-bit RGB: Pillow's modes and NumPy arrays, by stated rules.

Transparency is composited over white. 16-bit values are scaled by 255 / 65535 (Pillow itself keeps the high
byte of 16-bit colour PNGs, which differs by at most one level). Float values must lie in 0..1; 32-bit
integers must lie in 0..65535 and count as 16-bit. Colour profiles are not applied (as in torchvision).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

WHITE = (255, 255, 255, 255)


def to_rgb(image: Image.Image) -> Image.Image:
    """A loaded Pillow image of any mode as mode RGB.

    Raises
    ------
    ValueError
        Pixels for which there is no rule; the message says which.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _deep_to_rgb(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _over_white(image)
    return image.convert("RGB")


def array_to_rgb(array: np.ndarray) -> np.ndarray:
    """An array as 8-bit RGB pixels (h, w, 3); the array itself where it holds these.

    Parameters
    ----------
    array : ndarray, shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)
        uint8, uint16 (scaled to 8 bit) or float in 0..1. The fourth channel is opacity.

    Raises
    ------
    ValueError
        Another shape, type or range.
    """
    shape = array.shape
    if len(shape) == 3 and shape[2] == 1:
        array = array[:, :, 0]
    elif not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))):
        raise ValueError(f"an image array is (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), not {shape}")
    if 0 in shape:
        raise ValueError(f"an image array without pixels: {shape}")
    eight = np.ascontiguousarray(to_uint8(array))
    return eight if eight.shape[2:] == (3,) else np.asarray(to_rgb(Image.fromarray(eight)))


def to_uint8(array: np.ndarray) -> np.ndarray:
    """uint8, uint16 or float in 0..1 as uint8; ValueError for any other type or range."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "u" and size == 1:
        return array
    if kind == "u" and size == 2:
        return _sixteen_to_eight(array)
    if kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError("a float image array lies in 0..1; divide by its maximum first")
        return np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    raise ValueError(f"an image array is uint8, uint16 or float in 0..1, not {array.dtype}")


def _sixteen_to_eight(array: np.ndarray) -> np.ndarray:
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _deep_to_rgb(image: Image.Image) -> Image.Image:
    """Modes of more than 8 bits a channel: I;16 in its byte orders, I and F."""
    if image.mode == "I;16N":
        image = image.convert("I;16")
    values = np.asarray(image)
    if image.mode == "I":
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("32-bit pixels outside 0..65535")
        values = values.astype(np.uint16)
    elif image.mode == "F" and not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise ValueError("floating-point pixels outside 0..1")
    grey = to_uint8(values)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey = np.where(values == clear, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    elif image.mode == "La":
        image = image.convert("LA")
    layer: Any = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), layer).convert("RGB")

"""One image in any dress: PIL image, uint8 array or tensor; what a kernel takes, and back to what came.

Tensors stay tensors, on their device; arrays of one or three channels become PIL images without a copy of their
meaning, since torchvision's functions work on both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from headstart.base.errors import BadOptions

MODES = ("RGB", "L")


def run(image: Any, takes: str, kernel: Callable[[Any], Any]) -> Any:
    """Apply a kernel to a PIL image or a tensor (c, h, w), which it sees as it likes.

    Parameters
    ----------
    image : PIL.Image.Image or Tensor
    takes : {"any", "bytes", "floats"}
        See `Operator`.
    kernel : callable

    Returns
    -------
    PIL.Image.Image or Tensor
        As `image`.
    """
    if takes == "any":
        return kernel(image)
    import torch

    tensor = image if isinstance(image, torch.Tensor) else to_tensor(image)
    if takes == "bytes":
        out = like(kernel(as_bytes(tensor)), tensor)
    else:
        out = like(kernel(as_floats(tensor)[None])[0], tensor)
    return out if isinstance(image, torch.Tensor) else to_picture(out)


def to_tensor(picture: Image.Image) -> Any:
    """A PIL image as a uint8 tensor (c, h, w)."""
    import torch

    pixels = np.array(picture)
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def to_picture(tensor: Any) -> Image.Image:
    """A uint8 tensor (1 or 3, h, w) as a PIL image."""
    pixels = tensor.cpu().numpy()
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def as_floats(tensor: Any) -> Any:
    """Values in 0..1."""
    return tensor if tensor.is_floating_point() else tensor.float() / 255


def as_bytes(tensor: Any) -> Any:
    """Values in 0..255, rounded."""
    import torch

    return (tensor.clamp(0, 1) * 255).round().to(torch.uint8) if tensor.is_floating_point() else tensor


def like(tensor: Any, other: Any) -> Any:
    """Values in the type that `other` has."""
    if other.is_floating_point():
        return as_floats(tensor).to(other.dtype)
    return as_bytes(tensor)


def floats_of(image: Any) -> Any:
    """A PIL image or tensor as a float tensor (c, h, w) in 0..1."""
    return as_floats(to_tensor(image) if isinstance(image, Image.Image) else image)


def in_dress_of(tensor: Any, image: Any) -> Any:
    """A float tensor (c, h, w) as `image` is: a PIL image or a tensor of its type."""
    return to_picture(as_bytes(tensor)) if isinstance(image, Image.Image) else like(tensor, image)


def opened(image: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The image as kernels take it, and the way back.

    Parameters
    ----------
    image : PIL.Image.Image, ndarray of uint8 (h, w), (h, w, 1) or (h, w, 3), or Tensor (c, h, w)
        Tensors of uint8 in 0..255 or of floats in 0..1.

    Raises
    ------
    BadOptions
        Another type or shape.
    """
    if isinstance(image, Image.Image):
        if image.mode not in MODES:
            image = image.convert("RGB")
        return image, lambda out: out
    if isinstance(image, np.ndarray):
        return _opened_array(image)
    import torch

    if not isinstance(image, torch.Tensor):
        raise BadOptions(
            [f"image: expected a PIL image, a uint8 array or a tensor, got {type(image).__name__}"]
        )
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise BadOptions([f"image: expected a tensor (1 or 3, h, w), got shape {tuple(image.shape)}"])
    if not (image.dtype == torch.uint8 or image.is_floating_point()):
        raise BadOptions([f"image: expected uint8 or floats in 0..1, got {image.dtype}"])
    return image, lambda out: out


def _opened_array(image: np.ndarray) -> tuple[Image.Image, Callable[[Any], Any]]:
    flat = image.ndim == 3 and image.shape[2] == 1
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))):
        raise BadOptions(
            [f"image: expected uint8 (h, w), (h, w, 1) or (h, w, 3), got {image.dtype} {image.shape}"]
        )
    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if flat else image))

    def back(out: Image.Image) -> np.ndarray:
        pixels = np.asarray(out)
        return pixels[..., None] if flat else pixels

    return picture, back


def size_of(image: Any) -> tuple[int, int]:
    """Height and width of a PIL image or a tensor (..., h, w)."""
    if isinstance(image, Image.Image):
        return image.height, image.width
    return int(image.shape[-2]), int(image.shape[-1])


def n_channels(image: Any) -> int:
    """1 or 3."""
    return len(image.getbands()) if isinstance(image, Image.Image) else int(image.shape[-3])


def roomy(image: Any, size: int, work: Callable[[Any], Any]) -> Any:
    """Work on an image (1, c, h, w) that a kernel of that size fits in: a smaller one is continued at its edges."""
    import torch

    high, wide = size_of(image)
    y, x = max(0, size - high), max(0, size - wide)
    if not (x or y):
        return work(image)
    return work(torch.nn.functional.pad(image, (0, x, 0, y), mode="replicate"))[..., :high, :wide]

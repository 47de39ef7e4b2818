"""Operators that spoil pixels: noise, JPEG artefacts, holes.

The noise is drawn here, because torchvision's and kornia's draw from torch's global state, which threads
share; the codec is Pillow's (torchvision's is deprecated). Cutout: DeVries and Taylor, 2017 (arXiv 1708.04552), section 3.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from headstart.images.augment.convert import as_bytes, like, size_of, to_picture, to_tensor
from headstart.images.augment.operator import Parameter, operator

Values = Mapping[str, Any]
Draw = np.random.Generator


def _drawn(values: np.ndarray, image: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(image.device)


@operator(
    "gaussian_noise", "noise", "add normal noise", Parameter("sigma", (0.02, 0.08), 0, 1, "of levels in 0..1"),
    takes="floats",
)  # fmt: skip
def gaussian_noise(image: Any, values: Values, draw: Draw) -> Any:
    """Independent in every pixel and channel; cut off at black and white."""
    noise = draw.standard_normal(tuple(image.shape), dtype=np.float32) * values["sigma"]
    return (image + _drawn(noise, image)).clamp(0, 1)


@operator(
    "salt_and_pepper", "noise", "set some pixels to white or black",
    Parameter("share", (0.01, 0.05), 0, 1, "of the pixels"),
    Parameter("salt", 0.5, 0, 1, "share of white among them"), takes="floats",
)  # fmt: skip
def salt_and_pepper(image: Any, values: Values, draw: Draw) -> Any:
    """All channels of a pixel together."""
    fate = _drawn(draw.random(image.shape[-2:], dtype=np.float32), image)
    white = fate < values["share"] * values["salt"]
    black = ~white & (fate < values["share"])
    return image.masked_fill(white, 1.0).masked_fill(black, 0.0)


@operator(
    "poisson_noise", "noise", "count photons",
    Parameter("photons", (50, 400), 1, 100000, "that a white pixel counts; fewer: noisier"), takes="floats",
)  # fmt: skip
def poisson_noise(image: Any, values: Values, draw: Draw) -> Any:
    """Shot noise: a pixel counts photons, so dark parts are noisier for their level."""
    photons = float(values["photons"])
    counts = draw.poisson(image.clamp(0, 1).cpu().numpy().astype(np.float64) * photons)
    return _drawn(counts / photons, image).clamp(0, 1)


@operator(
    "jpeg", "noise", "save as a JPEG and read again",
    Parameter("quality", (20, 80), 1, 100, "of the codec", whole=True),
)  # fmt: skip
def jpeg(image: Any, values: Values, draw: Draw) -> Any:
    """Artefacts of compression."""
    picture = image if isinstance(image, Image.Image) else to_picture(as_bytes(image))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=values["quality"])
    spoilt = Image.open(file).convert(picture.mode)
    return spoilt if picture is image else like(to_tensor(spoilt), image).to(image.device)


@operator(
    "cutout", "noise", "blank out rectangles", Parameter("share", (0.1, 0.3), 0, 1, "of the sides"),
    Parameter("count", 1, 1, 64, "how many", whole=True),
    Parameter("fill", 127, 0, 255, "grey level", whole=True),
)  # fmt: skip
def cutout(image: Any, values: Values, draw: Draw) -> Any:
    """Rectangles whose middles lie anywhere in the image, so that some reach over its edge."""
    high, wide = size_of(image)
    tall, broad = round(high * values["share"]), round(wide * values["share"])
    if not tall or not broad:
        return image
    tensor = to_tensor(image) if isinstance(image, Image.Image) else image.clone()
    grey = values["fill"] / 255 if tensor.is_floating_point() else values["fill"]
    for _ in range(values["count"]):
        top, left = int(draw.integers(high)) - tall // 2, int(draw.integers(wide)) - broad // 2
        tensor[..., max(0, top) : max(0, top + tall), max(0, left) : max(0, left + broad)] = grey
    if not isinstance(image, Image.Image):
        return tensor
    return to_picture(tensor)

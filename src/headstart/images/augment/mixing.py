"""Operators on a batch and its labels: mixup, cutmix, mosaic.

Mixup: Zhang et al., ICLR 2018, section 2. Cutmix: Yun et al., ICCV 2019, section 3. Mosaic: Bochkovskiy et al.,
2020 (arXiv 2004.10934), section 3.3; for whole-image labels, each label counts by the area of its image.
Arrays and tensors are worked on alike; only the labels decide what is drawn beside the generator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.images.augment.operator import Parameter, operator

Values = Mapping[str, Any]
Draw = np.random.Generator
Mixed = tuple[Any, Any]
ALPHA = Parameter("alpha", 0.2, 0.01, 10, "of the Beta distribution of the shares; smaller: mixed less")


def rows_of(batch: Any) -> tuple[int, int]:
    """Axes of height and width: arrays are (n, h, w, c), tensors (n, c, h, w)."""
    return (1, 2) if isinstance(batch, np.ndarray) else (2, 3)


def blend(batch: Any, other: np.ndarray, share: float) -> Any:
    """`share` of each image and the rest of its partner, in the type that came."""
    if isinstance(batch, np.ndarray):
        mixed = share * batch.astype(np.float32) + (1 - share) * batch[other].astype(np.float32)
        return np.rint(mixed).astype(np.uint8) if batch.dtype == np.uint8 else mixed.astype(batch.dtype)
    mixed = share * batch.float() + (1 - share) * _partner(batch, other).float()
    return (mixed if batch.is_floating_point() else mixed.round()).to(batch.dtype)


@operator("mixup", "mix", "blend images and their labels", ALPHA, takes="batch")
def mixup(given: Mixed, values: Values, draw: Draw) -> Mixed:
    """Blend a batch with a permutation of itself, all by one share."""
    batch, labels = given
    other, share = draw.permutation(len(batch)), float(draw.beta(values["alpha"], values["alpha"]))
    return blend(batch, other, share), blend(labels, other, share)


def cut_box(height: int, width: int, share: float, draw: Draw) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of a rectangle that leaves about `share` of the image; whole inside it."""
    high, wide = round(height * math.sqrt(1 - share)), round(width * math.sqrt(1 - share))
    top, left = int(draw.integers(0, height - high + 1)), int(draw.integers(0, width - wide + 1))
    return top, left, top + high, left + wide


@operator(
    "cutmix", "mix", "paste a rectangle of another image",
    Parameter("alpha", 1.0, 0.01, 10, "of the Beta distribution of the shares"), takes="batch",
)  # fmt: skip
def cutmix(given: Mixed, values: Values, draw: Draw) -> Mixed:
    """Labels by the area that is left, as it really is after rounding."""
    batch, labels = given
    other, share = draw.permutation(len(batch)), float(draw.beta(values["alpha"], values["alpha"]))
    height, width = (batch.shape[axis] for axis in rows_of(batch))
    out, left = pasted(batch, other, cut_box(height, width, share, draw))
    return out, blend(labels, other, left)


def pasted(batch: Any, other: np.ndarray, box: tuple[int, int, int, int]) -> tuple[Any, float]:
    """A rectangle of each image's partner pasted over it, and the share of the image that is left."""
    height, width = (batch.shape[axis] for axis in rows_of(batch))
    out = batch.copy() if isinstance(batch, np.ndarray) else batch.clone()
    out[_window(batch, *box)] = _partner(batch, other)[_window(batch, *box)]
    return out, 1 - (box[2] - box[0]) * (box[3] - box[1]) / (height * width)


@operator(
    "mosaic", "mix", "four images in one", Parameter("middle", (0.3, 0.7), 0.05, 0.95, "where they meet, x and y"),
    takes="batch",
)  # fmt: skip
def mosaic(given: Mixed, values: Values, draw: Draw) -> Mixed:
    """Each image keeps one corner; the three other parts come from partners' same places."""
    batch, labels = given
    height, width = (batch.shape[axis] for axis in rows_of(batch))
    # the place that `values` holds serves both ways; the second is its mirror, so that all shapes come up
    y = min(height - 1, max(1, round(height * values["middle"])))
    x = min(width - 1, max(1, round(width * (1 - values["middle"]))))
    parts = [(0, 0, y, x), (0, x, y, width), (y, 0, height, x), (y, x, height, width)]
    out = batch.copy() if isinstance(batch, np.ndarray) else batch.clone()
    soft = labels * 0
    own = int(draw.integers(4))
    for at, part in enumerate(parts):
        other = np.arange(len(batch)) if at == own else draw.permutation(len(batch))
        share = (part[2] - part[0]) * (part[3] - part[1]) / (height * width)
        out[_window(batch, *part)] = _partner(batch, other)[_window(batch, *part)]
        soft = soft + share * _partner(labels, other)
    return out, soft.astype(labels.dtype) if isinstance(soft, np.ndarray) else soft


def _partner(batch: Any, other: np.ndarray) -> Any:
    if isinstance(batch, np.ndarray):
        return batch[other]
    import torch

    return batch[torch.from_numpy(other).to(batch.device)]


def _window(batch: Any, top: int, left: int, bottom: int, right: int) -> Any:
    box = (slice(top, bottom), slice(left, right))
    return (slice(None), *box) if isinstance(batch, np.ndarray) else (slice(None), slice(None), *box)

"""Tiny generated images that a classifier can tell apart: a shape and a colour a class, on noise, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("disc", "square", "stripes")
COLOURS = ((220, 60, 50), (60, 190, 80), (70, 90, 220), (220, 200, 60), (180, 80, 200))


def tiny_image(kind: int, rng: np.random.Generator, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """One image of class number `kind`; `size` is width, height in pixels."""
    wide, high = size
    noise = rng.integers(60, 130, (high, wide, 3)).astype(np.uint8)
    image = Image.fromarray(noise)
    draw = ImageDraw.Draw(image)
    colour = COLOURS[kind % len(COLOURS)]
    x, y = int(rng.integers(4, wide // 3)), int(rng.integers(4, high // 3))
    box = (x, y, x + wide // 2, y + high // 2)
    if kind % 3 == 0:
        draw.ellipse(box, fill=colour)
    elif kind % 3 == 1:
        draw.rectangle(box, fill=colour)
    else:
        for row in range(y, y + high // 2, 4):
            draw.line((x, row, x + wide // 2, row), fill=colour, width=2)
    return image


def class_folders(
    folder: str | Path,
    *,
    classes: Sequence[str] = CLASSES,
    n_per_class: int = 6,
    seed: int = 0,
    suffix: str = ".jpg",
    size: tuple[int, int] = (48, 40),
) -> Path:
    """Write `n_per_class` distinct images a class as `folder/CLASS/NNN.jpg` (or .png); return the folder."""
    rng = np.random.default_rng(seed)
    root = Path(folder)
    for kind, name in enumerate(classes):
        place = root / name
        place.mkdir(parents=True, exist_ok=True)
        for number in range(n_per_class):
            tiny_image(kind, rng, size).save(place / f"{number:03d}{suffix}")
    return root


def split_folders(
    folder: str | Path,
    *,
    classes: Sequence[str] = CLASSES,
    counts: dict[str, int] | None = None,
    seed: int = 0,
    suffix: str = ".jpg",
    size: tuple[int, int] = (48, 40),
) -> Path:
    """Class folders under train/, validation/ and test/ (`counts`: images a class in each)."""
    chosen = counts or {"train": 6, "validation": 2, "test": 3}
    root = Path(folder)
    for number, (split, count) in enumerate(chosen.items()):
        class_folders(
            root / split,
            classes=classes,
            n_per_class=count,
            seed=seed * 100 + number,
            suffix=suffix,
            size=size,
        )
    return root

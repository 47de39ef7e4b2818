"""Drawn scenes with detail of their own, and tables of them, for the tests of the audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from headstart.images.scan import scan
from headstart.images.table import ImageTable


def scene(rng: np.random.Generator, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Some thirty shapes of any colour and place on a ground of any colour, with a little noise."""
    wide, high = size
    image = Image.new("RGB", size, tuple(int(each) for each in rng.integers(40, 215, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(30):
        x, y = int(rng.integers(0, wide)), int(rng.integers(0, high))
        w, h = int(rng.integers(6, wide // 3)), int(rng.integers(6, high // 3))
        colour = tuple(int(each) for each in rng.integers(0, 255, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + w, y + h), fill=colour)
    noisy = np.asarray(image).astype(np.int16) + rng.integers(-6, 7, (high, wide, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def write_scenes(folder: Path, n: int, *, classes: Sequence[str] = ("a", "b"), seed: int = 0) -> Path:
    """`folder/SPLIT/CLASS/NNN.jpg`: two of three to train, the others to test."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        split = "test" if number % 3 == 2 else "train"
        place = folder / split / classes[number % len(classes)] / f"{number:03d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        scene(rng).save(place, quality=92)
    return folder


def scenes_table(folder: Path, n: int = 90, **options: Any) -> ImageTable:
    """The table of `write_scenes`."""
    return scan(write_scenes(folder, n, **options))


def named_table(
    labels: Sequence[str], splits: Sequence[str] | None = None, groups: Sequence[str] | None = None
) -> ImageTable:
    """A table of labels alone: its files are not there."""
    n = len(labels)
    return ImageTable(
        name="named", root="/nowhere", paths=tuple(f"{row}.jpg" for row in range(n)),
        digests=tuple(f"{row:032x}" for row in range(n)), labels={"label": tuple(labels)},
        splits=None if splits is None else tuple(splits), groups=None if groups is None else tuple(groups),
    )  # fmt: skip

"""Tiny images with several labels each, one column of every kind, for tests of models with several outputs."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = {"size": "ordinal", "light": "number"}
"""What has to be said of the columns; the others are found."""


def marked_squares(n: int = 60, seed: int = 0) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Squares: red or blue; left, right, both or neither side marked; four sizes; brightness as a number."""
    draw = np.random.default_rng(seed)
    images = draw.integers(60, 90, (n, 32, 32, 3)).astype(np.uint8)
    columns: dict[str, list[str]] = {"colour": [], "marks": [], "size": [], "light": []}
    for row in range(n):
        red, left, right, size = row % 2, draw.random() < 0.5, draw.random() < 0.5, int(draw.integers(4))
        light = int(draw.integers(0, 100))
        images[row] += np.uint8(light)
        images[row, 12 : 14 + 4 * size, 10:22] = (250, 20, 20) if red else (20, 20, 250)
        if left:
            images[row, :, :4] = 255
        if right:
            images[row, :, -4:] = 0
        columns["colour"].append("red" if red else "blue")
        columns["marks"].append(" ; ".join(["left"] * left + ["right"] * right) or ";")
        columns["size"].append(str(size))
        columns["light"].append(f"{light}.5")
    return images, columns


def labelled_files(
    folder: str | Path, images: np.ndarray, columns: Mapping[str, Sequence[str | None]]
) -> Path:
    """Write images and `labels.csv` with their columns (None for an empty cell); the path of that file."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *columns])
        for row, image in enumerate(images):
            name = f"{row:03d}.png"
            Image.fromarray(image).save(root / name)
            writer.writerow([name, *(columns[each][row] or "" for each in columns)])
    return root / "labels.csv"

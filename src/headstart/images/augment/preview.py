"""A sheet of pictures that shows what a policy, or every operator, does to one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from headstart.base.errors import BadOptions
from headstart.images.augment.apply import augment, augment_batch
from headstart.images.augment.operator import OPERATORS
from headstart.images.augment.policy import Policy, Step
from headstart.images.decode import ImageItem, decode
from headstart.images.geometry import longest_side

GAP, LINE = 6, 16
MOST_TILES = 400
TRIES = 12
PAPER, INK = (255, 255, 255), (20, 20, 20)


def policy_sheet(
    item: ImageItem, policy: Policy, rows: int, columns: int, *, side: int = 160, seed: int = 0
) -> np.ndarray:
    """The image as it is, then `rows * columns - 1` draws of a policy.

    Parameters
    ----------
    item : path, bytes, ndarray or PIL.Image.Image
    policy : Policy
        Where it mixes a batch, the draws of the sheet are the batch.
    rows, columns : int
        At most 400 tiles.
    side : int
        Longer side of the image before the policy, in pixels.
    seed : int

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    BadImage, BadOptions
    """
    if rows < 1 or columns < 1 or rows * columns > MOST_TILES:
        raise BadOptions([f"grid: {rows} x {columns}: expected 1 to {MOST_TILES} tiles"])
    plain = at_side(item, side)
    draws = [np.random.default_rng([seed, number]) for number in range(rows * columns - 1)]
    if policy.mixes and draws:
        batch = np.stack([plain] * len(draws))
        changed = list(augment_batch(batch, policy, draws, np.eye(len(draws), dtype=np.float32))[0])
    else:
        changed = [augment(plain, policy, draw) for draw in draws]
    return sheet([plain, *changed], ["as it is", *[""] * len(changed)], columns, side)


def operator_sheet(item: ImageItem, *, columns: int = 8, side: int = 160, seed: int = 0) -> np.ndarray:
    """Every operator by itself, with its own ranges, under its name; mixing ones mix the image with its mirror.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    plain = at_side(item, side)
    tiles, names = [plain], ["as it is"]
    for name in OPERATORS:
        policy = Policy(name, (Step(name),))
        tiles.append(_typical(plain, policy, OPERATORS[name].takes == "batch", seed))
        names.append(name)
    return sheet(tiles, names, columns, side)


def _typical(plain: np.ndarray, policy: Policy, mixes: bool, seed: int) -> np.ndarray:
    """A draw that changes something."""
    for at in range(TRIES):
        draws = [np.random.default_rng([seed, at, each]) for each in range(2)]
        if mixes:
            pair = np.stack([plain, 255 - plain[:, ::-1]])
            found = augment_batch(pair, policy, draws, np.eye(2, dtype=np.float32))[0][0]
        else:
            found = augment(plain, policy, draws[0])
        if found.shape != plain.shape or np.abs(found.astype(int) - plain).mean() > 2:
            break
    return np.asarray(found)


def at_side(item: ImageItem, side: int) -> np.ndarray:
    """An image decoded, its longer side at most that long, uint8 (h, w, 3)."""
    image = Image.fromarray(decode(item, min_side=side))
    height, width = longest_side(image.height, image.width, side)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def sheet(tiles: Sequence[Any], names: Sequence[str], columns: int, side: int) -> np.ndarray:
    """Tiles in rows, each with its name above it, in cells as large as the plain image."""
    named = any(names)
    cell = side + (LINE if named else 0)
    rows = -(-len(tiles) // columns)
    paper = Image.new("RGB", (columns * (side + GAP) + GAP, rows * (cell + GAP) + GAP), PAPER)
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(11)
    for at, (tile, name) in enumerate(zip(tiles, names, strict=True)):
        x, y = GAP + (at % columns) * (side + GAP), GAP + (at // columns) * (cell + GAP)
        if named:
            pen.text((x, y), name, fill=INK, font=font)
        image = Image.fromarray(tile)
        height, width = longest_side(image.height, image.width, side)
        place = (x + (side - width) // 2, y + cell - side + (side - height) // 2)
        paper.paste(image.resize((width, height), Image.Resampling.BICUBIC), place)
    return np.asarray(paper)

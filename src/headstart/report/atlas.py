"""Many small pictures in a few JPEGs: each has its own square tile, in which it keeps its shape."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import HeadstartError
from headstart.base.events import Progress, emit
from headstart.base.runtime import n_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.images.table import ImageTable

SHEET, QUALITY, GREY = 2048, 80, 128
EDGE = 2
"""Pixels of a tile that a picture leaves free, half on each side: JPEG smears colours across borders."""


@dataclass(frozen=True)
class Sheet:
    """One JPEG of tiles, row by row.

    Attributes
    ----------
    jpeg : bytes
    sizes : tuple of (int, int)
        Width and height in pixels of each picture, one pixel off the top left of its tile; (0, 0) where it cannot be read.
    """

    jpeg: bytes
    sizes: tuple[tuple[int, int], ...]


def tiles_per_row(tile: int) -> int:
    """Tiles side by side in a full sheet."""
    return SHEET // tile


def sheets(table: ImageTable, rows: Sequence[int], tile: int) -> Iterator[Sheet]:
    """The pictures of some rows, in order, re-encoded without metadata.

    Parameters
    ----------
    table : ImageTable
    rows : sequence of int
    tile : int
        Side of a tile in pixels, a multiple of 16 up to 2,048.

    Yields
    ------
    Sheet
        Of at most `tiles_per_row(tile) ** 2` pictures.
    """
    side = tiles_per_row(tile)
    with ThreadPoolExecutor(n_threads()) as pool:
        for at in range(0, len(rows), side * side):
            part = rows[at : at + side * side]
            made = list(pool.map(lambda row: shrunk(table, row, tile - EDGE), part))
            yield _sheet(made, tile, min(side, len(part)))
            emit(Progress("pictures", at + len(part), len(rows)))


def shrunk(table: ImageTable, row: int, side: int) -> NDArray[np.uint8] | None:
    """The pixels of one image, its longer side at most `side`; None where it can no longer be read."""
    from PIL import Image

    from headstart.images.decode import decode

    try:
        image = Image.fromarray(decode(table.item(row), min_side=side))
    except (HeadstartError, OSError):
        return None
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image if size == image.size else image.resize(size, Image.Resampling.BICUBIC))


def _sheet(pictures: Sequence[NDArray[np.uint8] | None], tile: int, wide: int) -> Sheet:
    from PIL import Image

    high = -(-len(pictures) // wide)
    whole = np.full((high * tile, wide * tile, 3), GREY, np.uint8)
    sizes = []
    for at, picture in enumerate(pictures):
        if picture is None:
            sizes.append((0, 0))
            continue
        h, w = picture.shape[:2]
        y, x = at // wide * tile, at % wide * tile
        around = ((EDGE // 2, tile - h - EDGE // 2), (EDGE // 2, tile - w - EDGE // 2), (0, 0))
        whole[y : y + tile, x : x + tile] = np.pad(picture, around, "edge")
        sizes.append((w, h))
    buffer = io.BytesIO()
    Image.fromarray(whole).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return Sheet(buffer.getvalue(), tuple(sizes))

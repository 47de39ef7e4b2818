"""Small pictures for the report under a byte budget, so that the file stays small however large the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from headstart.base.errors import HeadstartError
from headstart.images.table import ImageTable
from headstart.report.document import Picture

MAP_SIDE = 144


class PictureBook:
    """Makes thumbnails until its budget is spent; counts what could not be shown and why.

    Parameters
    ----------
    budget_bytes : int
        Most bytes of data addresses in all.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.left_bytes = budget_bytes
        self.n_unreadable = 0
        self.n_over_budget = 0

    def picture(
        self, table: ImageTable, row: int, *, side: int, lines: tuple[str, ...] = ()
    ) -> Picture | None:
        """The picture of one row, re-encoded (no EXIF), or None where it cannot be shown."""
        from headstart.images.thumbnail import data_uri, thumbnail

        if self.left_bytes <= 0:
            self.n_over_budget += 1
            return None
        try:
            uri = data_uri(thumbnail(table.item(row), side))
        except (HeadstartError, OSError):
            self.n_unreadable += 1
            return None
        return self._kept(uri, table.paths[row], lines)

    def small(self, pixels: np.ndarray, alt: str) -> Picture | None:
        """Pixels (h, w, 3), uint8, as a picture of that size."""
        from headstart.images.thumbnail import data_uri, thumbnail

        return self._kept(data_uri(thumbnail(pixels, max(pixels.shape[:2]))), alt, ())

    def mapped(
        self, table: ImageTable, row: int, how: Mapping[str, Any], grid: np.ndarray
    ) -> tuple[Picture, ...]:
        """An image as a network sees it, and under a coarse map (uint8); () where it cannot be shown.

        Parameters
        ----------
        table : ImageTable
        row : int
        how : mapping
            A card's preprocessing.
        grid : ndarray of uint8, shape (rows, columns)
        """
        from PIL import Image

        from headstart.backbones.card import Preprocessing
        from headstart.images.prepare import prepare
        from headstart.report.explain_figures import overlay

        known = {field.name for field in fields(Preprocessing)}
        try:
            given: dict[str, Any] = {
                name: tuple(each) if isinstance(each, list) else each
                for name, each in how.items()
                if name in known
            }
            pixels = prepare(table.item(row), Preprocessing(**given))
        except (HeadstartError, OSError):
            self.n_unreadable += 1
            return ()
        size = (pixels.shape[1], pixels.shape[0])
        values = np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BILINEAR), np.float32) / 255
        made = [
            self.small(_shrunk(each), f"{table.paths[row]}, {what}")
            for each, what in ((pixels, "as the network sees it"), (overlay(pixels, values), "under its map"))
        ]
        return tuple(each for each in made if each is not None)

    def _kept(self, uri: str, alt: str, lines: tuple[str, ...]) -> Picture | None:
        if len(uri) > self.left_bytes:
            self.n_over_budget += 1
            return None
        self.left_bytes -= len(uri)
        return Picture(uri, alt, lines)

    def remark(self) -> str:
        """What is not shown, as a sentence; "" where everything is."""
        said = []
        if self.n_unreadable:
            said.append(f"{self.n_unreadable} of the pictures can no longer be read and are not shown.")
        if self.n_over_budget:
            said.append(f"{self.n_over_budget} more are left out to keep this file small.")
        return " ".join(said)


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """The pixels with a longer side of at most `MAP_SIDE`."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((MAP_SIDE, MAP_SIDE))
    return np.asarray(picture)

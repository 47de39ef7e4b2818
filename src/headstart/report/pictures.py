"""Small pictures for the report under a byte budget, so that the file stays small however large the data."""

from __future__ import annotations

import numpy as np

from headstart.base.errors import HeadstartError
from headstart.images.table import ImageTable
from headstart.report.document import Picture


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

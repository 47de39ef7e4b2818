"""Where a network looked when it was wrong, as a record keeps it: a coarse map, a byte a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class ErrorMap:
    """Where a network looked when it named a wrong class: a coarse class-activation map of one image.

    Attributes
    ----------
    path : str
        Of the image.
    said : str
        The class that it named, which the map is of.
    rows, columns : int
    values : str
        Base64 of uint8, row by row; the largest value is 255.
    """

    path: str
    said: str
    rows: int
    columns: int
    values: str

    def grid(self) -> np.ndarray:
        """The map as uint8, shape (rows, columns)."""
        import base64

        import numpy as np

        flat = np.frombuffer(base64.b64decode(self.values), dtype=np.uint8)
        return flat.reshape(self.rows, self.columns)

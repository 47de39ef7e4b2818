"""Where a network looked when it was wrong, as a record keeps it: a coarse map, a byte a place, and its sanity figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from headstart.explain.checked import Sanity


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
    checked : bool
        Whether it was compared with the map of random weights (of older records it was not).
    randomised, other : float or None
        Rank correlation with the random network's map of this image, and of another one; None where it cannot be told.
    output : str
        Of a network with several outputs the one that erred.
    """

    path: str
    said: str
    rows: int
    columns: int
    values: str
    checked: bool = False
    randomised: float | None = None
    other: float | None = None
    output: str = ""

    def grid(self) -> np.ndarray:
        """The map as uint8, shape (rows, columns)."""
        import base64

        import numpy as np

        flat = np.frombuffer(base64.b64decode(self.values), dtype=np.uint8)
        return flat.reshape(self.rows, self.columns)

    def words(self) -> str:
        """Its correlation with random weights, or why there is none; "" where it was not compared."""
        from headstart.explain.checked import told

        return told(_number(self.randomised), self.grid()) if self.checked else ""


def sanity_of(maps: Sequence[ErrorMap]) -> Sanity | None:
    """What the comparison with random weights says of the maps of a run; None where none was made."""
    import numpy as np

    from headstart.explain.checked import Sanity

    if not maps or not all(each.checked for each in maps):
        return None
    own, others = (
        [_number(each) for each in column]
        for column in zip(*((m.randomised, m.other) for m in maps), strict=True)
    )
    return Sanity("gradcam", np.array([own]), np.array([others]))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

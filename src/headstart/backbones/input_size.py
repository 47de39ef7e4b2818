"""The size of a network's input as people write it: `224` or `100x200` (height x width); the one place that reads it.

A size is kept as it is compared: a whole number where it is square, else the text `HEIGHTxWIDTH`. Needs no torch.
"""

from __future__ import annotations

import re
from typing import Any

LEAST, MOST = 16, 2048
"""Sides that Headstart takes, in pixels; what a network takes is for the network to say (`sizes`)."""

Size = int | str
Given = int | str | tuple[int, int]
_TEXT = re.compile(r"\s*(\d{1,9})\s*(?:[x×]\s*(\d{1,9})\s*)?", re.IGNORECASE)
HOW = "write 224, or 100x200 (height x width, in pixels)"


def sides(given: Given | list[int]) -> tuple[int, int]:
    """Height and width of a size, whatever they are.

    Parameters
    ----------
    given : int, str or (height, width)

    Raises
    ------
    ValueError
        It is no size.

    Examples
    --------
    >>> sides(224), sides("100x200"), sides((100, 200))
    ((224, 224), (100, 200), (100, 200))
    """
    if isinstance(given, str):
        found = _TEXT.fullmatch(given)
        if found is None:
            raise ValueError(f"{given!r} is no size; {HOW}")
        return int(found[1]), int(found[2] or found[1])
    pair: Any = list(given) if isinstance(given, tuple | list) else [given, given]
    if len(pair) != 2 or not all(_whole(each) for each in pair):
        raise ValueError(f"{given!r} is no size; {HOW}")
    return int(pair[0]), int(pair[1])


def _whole(value: Any) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__index__")


def read_size(given: Given) -> Size:
    """A size that Headstart takes, as it is kept.

    Raises
    ------
    ValueError
        It is no size, or a side is below `LEAST` or above `MOST` pixels.

    Examples
    --------
    >>> read_size("96"), read_size("96x96"), read_size("100 x 200")
    (96, 96, '100x200')
    """
    height, width = sides(given)
    shown = str(height) if height == width else written(height, width)
    if min(height, width) < LEAST:
        raise ValueError(f"{shown} is below {LEAST}")
    if max(height, width) > MOST:
        raise ValueError(f"{shown} is above {MOST}")
    return height if height == width else shown


def written(height: int, width: int) -> str:
    """`224x224`, `100x200`: a size as text.

    Examples
    --------
    >>> written(100, 200)
    '100x200'
    """
    return f"{height}x{width}"

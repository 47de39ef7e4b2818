"""Conditions for Milvus: evaluated here, on the cells of the index; what is passed on is made of whole numbers alone.

Every cell of a column with few different ones has a number (its tag); a comparison becomes the list of tags for
which it holds. A column with many different cells is read, and becomes a list of rows. So a condition means in
Milvus exactly what it means elsewhere, and no text of the user's reaches its expression parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from headstart.features.stores.contract import Cells
from headstart.features.stores.where import Both, Compare, Where, cell_test

MOST_TAGS = 1000
ROWS_ALIKE = "id >= 0"
Vocabulary = dict[str, dict[str, int] | None]
"""By column: the tag of each cell, or None where there are too many."""


def grown(vocabulary: Mapping[str, Any], columns: Mapping[str, Cells], most: int = MOST_TAGS) -> Vocabulary:
    """The vocabulary with the cells of these columns; tags are never given twice.

    Examples
    --------
    >>> grown({}, {"label": ("hat", "dress", "hat", None)})
    {'label': {'hat': 0, 'dress': 1}}
    """
    made: Vocabulary = {name: None if tags is None else dict(tags) for name, tags in vocabulary.items()}
    following = 1 + max((tag for tags in made.values() if tags for tag in tags.values()), default=-1)
    for name, column in columns.items():
        tags = made.setdefault(name, {})
        new = [] if tags is None else [cell for cell in dict.fromkeys(column) if cell not in {None, *tags}]
        if tags is not None and len(tags) + len(new) > most:
            made[name] = None
        elif tags is not None:
            tags.update((str(cell), following + at) for at, cell in enumerate(new))
            following += len(new)
    return made


def tags_of(vocabulary: Vocabulary, columns: Mapping[str, Cells], row: int) -> list[int]:
    """Tags of a row's cells."""
    found = []
    for name, column in columns.items():
        tags, cell = vocabulary.get(name), column[row]
        if tags is not None and cell is not None:
            found.append(tags[cell])
    return found


def expression(
    where: Where, vocabulary: Vocabulary, read: Callable[[str], tuple[Sequence[int], Cells]]
) -> str:
    """A condition as Milvus takes it: lists of whole numbers, `and`, `or`.

    Parameters
    ----------
    read : callable
        Rows of the index and their cells of a column, by its name.

    Examples
    --------
    >>> from headstart.features.stores.where import parse_where
    >>> expression(parse_where('label != "hat"'), {"label": {"hat": 0, "dress": 1}}, lambda name: ((), ()))
    'array_contains_any(tags, [1])'
    """
    if not isinstance(where, Compare):
        joint = " and " if isinstance(where, Both) else " or "
        return "(" + joint.join(expression(part, vocabulary, read) for part in where.parts) + ")"
    holds, tags = cell_test(where), vocabulary.get(where.column, {})
    if tags is not None:
        found = [tag for cell, tag in tags.items() if holds(cell)]
        return f"array_contains_any(tags, {_whole(found)})" if found else "id in [-1]"
    rows, column = read(where.column)
    known = {cell: holds(cell) for cell in set(column) if cell is not None}
    hit = np.fromiter((cell is not None and known[cell] for cell in column), bool, len(column))
    numbers = np.asarray(rows, np.int64)
    if hit.sum() * 2 <= len(hit):
        return f"id in {_whole(numbers[hit])}" if hit.any() else "id in [-1]"
    return f"id not in {_whole(numbers[~hit])}" if not hit.all() else ROWS_ALIKE


def _whole(numbers: Iterable[Any]) -> str:
    return "[" + ", ".join(str(int(number)) for number in numbers) + "]"

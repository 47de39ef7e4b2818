"""What a map can be coloured by: label columns, split, group, cluster, prediction, right or wrong, numbers.

A column is classes (numbered values, the commonest of very many first) or numbers on a scale.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UnknownName
from headstart.images.collect import clean
from headstart.images.table import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.features.map_found import ImageMap
    from headstart.images.table import ImageTable

MOST_DRAWN, FEW_NUMBERS = 40, 12
ERRORS, KEPT = "right or wrong", "neighbours kept"
OWN = ("cluster", "split", "group", "prediction", "error", ERRORS, KEPT)
"""Columns beside the labels; "error" is another name of "right or wrong"."""
NOTHING = -1
RIGHT, WRONG = "right", "wrong"


@dataclass(frozen=True, eq=False)
class MapColumn:
    """One thing that is known of every image.

    Attributes
    ----------
    name : str
        Unique on the map.
    values : tuple of str
        The classes; empty for numbers.
    codes : int array (n,), or float array (n,) for numbers
        -1 or NaN where nothing is known.
    """

    name: str
    values: tuple[str, ...]
    codes: NDArray[np.int32] | NDArray[np.float32]

    @property
    def numeric(self) -> bool:
        """Whether it is numbers on a scale."""
        return self.codes.dtype.kind == "f"


def check_colour(colour: str, table: ImageTable) -> None:
    """Refuse a column that no map of this table could have, before anything is drawn.

    Raises
    ------
    UnknownName
    """
    known = {*map(clean, table.labels), *OWN}
    if colour and clean(colour) not in known:
        raise UnknownName("column of the map", colour, known)


def map_columns(found: ImageMap) -> tuple[MapColumn, ...]:
    """The columns of a map, the one to begin with first: the target, else the clusters, else what there is."""
    table, labels = found.table, found.labels
    made: list[MapColumn] = []
    shared = _predicted_too(found)
    if labels is not None and found.target is not None:
        made.append(_labels(clean(found.target), labels, shared))
    if found.errors is not None:
        said = [None if each is None else WRONG if each else RIGHT for each in found.errors]
        made.append(_classes(ERRORS, said, (RIGHT, WRONG)))
    if found.predictions is not None:
        made.append(_classes("prediction", found.predictions, shared))
    if found.clusters is not None:
        names = [None if each < 0 else str(each) for each in found.clusters.tolist()]
        made.append(_classes("cluster", names, tuple(map(str, range(int(found.clusters.max()) + 1)))))
    made += [_labels(clean(name), table.labels[name], ()) for name in table.labels if name != found.target]
    if table.splits is not None:
        present = set(table.splits)
        made.append(_classes("split", table.splits, tuple(each for each in SPLITS if each in present)))
    if table.groups is not None:
        made.append(_classes("group", table.groups))
    kept = np.full(len(table), np.nan, np.float32)
    kept[found.trust.queries] = found.trust.kept
    made.append(MapColumn(KEPT, (), kept))
    return _named_apart(made)


def _predicted_too(found: ImageMap) -> tuple[str, ...]:
    """Labels and predictions take one list of classes, so that a class has one colour in both."""
    if found.predictions is None:
        return ()
    both = (*found.predictions, *(found.labels or ()))
    return _ordered([clean(each) for each in both if each is not None])


def _labels(name: str, labels: Sequence[str | None], values: tuple[str, ...]) -> MapColumn:
    numbers = _numbers(labels)
    return _classes(name, labels, values) if numbers is None else MapColumn(name, (), numbers)


def _numbers(labels: Sequence[str | None]) -> NDArray[np.float32] | None:
    """Labels that are all numbers, more of them than a legend should list."""
    try:
        made = np.array([math.nan if each is None else float(each) for each in labels], np.float32)
    except (ValueError, OverflowError):
        return None
    real = made[np.isfinite(made)]
    known = sum(each is not None for each in labels)
    return made if len(real) == known and len(np.unique(real)) > FEW_NUMBERS else None


def _classes(name: str, said: Iterable[str | None], values: tuple[str, ...] = ()) -> MapColumn:
    cells = [None if each is None else clean(each) for each in said]
    order = values or _ordered([each for each in cells if each is not None])
    at = {value: number for number, value in enumerate(order)}
    codes = np.array([NOTHING if each is None else at[each] for each in cells], np.int32)
    return MapColumn(name, order, codes)


def _ordered(cells: list[str]) -> tuple[str, ...]:
    """By name; where there are more classes than styles, the commonest first."""
    times = Counter(cells)
    if len(times) <= MOST_DRAWN:
        return tuple(sorted(times))
    return tuple(sorted(times, key=lambda each: (-times[each], each)))


def _named_apart(columns: list[MapColumn]) -> tuple[MapColumn, ...]:
    """A label column that is called as one of ours gets a sign that it is a label."""
    taken: set[str] = set()
    made = []
    for column in columns:
        name, number = column.name, 1
        while name in taken:
            number += 1
            name = f"{column.name} ({number})"
        taken.add(name)
        made.append(MapColumn(name, column.values, column.codes))
    return tuple(made)

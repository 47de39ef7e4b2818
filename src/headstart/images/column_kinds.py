"""What a label column holds: one of some classes, any of some labels (`a;b`), or a number; and strata of it.

A split, an audit and a model ask here, so that all of them take a column for the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import BadOptions, UnknownName

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kinds = Mapping[str, str] | None
"""What is said of label columns, by name."""
KINDS = ("classes", "labels", "ordinal", "number")
"""What can be said of a label column; ordered levels are classes wherever their order plays no part."""
SEPARATOR = ";"
MEASURED = 20
"""More different fractions than so many are taken for measurements; fewer for classes."""
N_BINS = 5
SHOWN = 3


def column_kind(cells: Sequence[str | None], separator: str = SEPARATOR) -> str:
    """ "labels" where a cell holds the separator, "number" where cells are many different fractions, else "classes".

    Parameters
    ----------
    cells : sequence of str or None
        None where the label is missing.

    Examples
    --------
    >>> column_kind(["cat", "dog", None]), column_kind(["dirt;scratch", "dirt"])
    ('classes', 'labels')
    >>> column_kind([f"{number / 7}" for number in range(30)])
    'number'
    """
    known = {cell for cell in cells if cell is not None}
    if any(separator in cell for cell in known):
        return "labels"
    if len(known) <= MEASURED:
        return "classes"
    values = [to_number(cell) for cell in known]
    measured = all(value is not None for value in values)
    return "number" if measured and any(value and not value.is_integer() for value in values) else "classes"


def kind_of(name: str, cells: Sequence[str | None], kinds: Kinds = None) -> str:
    """The kind that is said of a label column ("ordinal" is "classes" here), else what `column_kind` finds.

    Examples
    --------
    >>> kind_of("age", ["31", "32"], {"age": "number"}), kind_of("age", ["31", "32"])
    ('number', 'classes')
    """
    kind = (kinds or {}).get(name) or column_kind(cells)
    return "classes" if kind == "ordinal" else kind


def check_kind(name: str, kind: str, cells: Sequence[str | None]) -> None:
    """Refuse a kind that there is not, and numbers where cells hold none.

    Raises
    ------
    BadOptions
    """
    if kind not in KINDS:
        raise BadOptions([f"kind of {name}: {UnknownName('kind', kind, KINDS)}"])
    if kind == "number" and (odd := [cell for cell in cells if cell is not None and to_number(cell) is None]):
        raise BadOptions([f"{name}: numbers are expected; got {some_of(odd)}; leave such cells empty"])


def some_of(cells: Sequence[str]) -> str:
    """The first cells, for messages."""
    shown = ", ".join(repr(cell[:60]) for cell in cells[:SHOWN])
    return shown + (f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else "")


def split_labels(cell: str, separator: str = SEPARATOR) -> tuple[str, ...]:
    """Labels of a cell, each once: spaces about them and empty parts do not count.

    Examples
    --------
    >>> split_labels(" dirt;scratch ;; dirt")
    ('dirt', 'scratch')
    >>> split_labels(";")  # said to have none of the labels, which is not the same as missing
    ()
    """
    parts = [" ".join(part.split()) for part in cell.split(separator)]
    return tuple(dict.fromkeys(part for part in parts if part))


def to_number(cell: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def quantile_bins(y: NDArray[Any], n_bins: int = N_BINS) -> NDArray[np.int64]:
    """Numbers in bins of about equal size (int64, (n,))."""
    edges = np.quantile(y, np.linspace(0, 1, n_bins + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, y, side="right"), np.int64)


def stratum_names(cells: Sequence[str | None], kind: str) -> list[str | None]:
    """One stratum a cell: the class; the rarest label of a cell of several; a fifth of the numbers; None where missing.

    Parameters
    ----------
    cells : sequence of str or None
    kind : str
        What `column_kind` says of the whole column.
    """
    if kind == "number":
        at = [row for row, cell in enumerate(cells) if cell is not None]
        named: list[str | None] = [None] * len(cells)
        if at:
            for row, part in zip(
                at, quantile_bins(np.array([float(cells[row] or 0) for row in at])), strict=True
            ):
                named[row] = f"fifth {int(part) + 1} of the numbers"
        return named
    if kind == "labels":
        sets = [None if cell is None else split_labels(cell) for cell in cells]
        counts = Counter(label for each in sets if each for label in each)
        return [
            None if each is None else min(each, key=lambda label: (counts[label], label), default="")
            for each in sets
        ]
    return list(cells)

"""Which outputs some label columns make: their kinds, classes and scales, as said or as found in training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import BadOptions, UnknownName
from headstart.images.column_kinds import (
    SEPARATOR,
    check_kind,
    column_kind,
    some_of,
    split_labels,
    to_number,
)
from headstart.methods.output import (
    Output,
    decide,
    decode,
    encode,
    is_missing,
    place_of,
    places_of,
    probabilities,
)

if TYPE_CHECKING:
    from headstart.images.table import ImageTable

__all__ = [
    "SEPARATOR",
    "Output",
    "decide",
    "decode",
    "encode",
    "is_missing",
    "outputs_of_columns",
    "probabilities",
    "read_outputs",
    "split_labels",
]


def read_outputs(
    table: ImageTable,
    targets: Sequence[str],
    kinds: Mapping[str, str] | None = None,
    *,
    levels: Mapping[str, Sequence[str]] | None = None,
    separators: Mapping[str, str] | None = None,
) -> tuple[Output, ...]:
    """The outputs of some label columns; classes and scales are read off the training images alone.

    Parameters
    ----------
    table : ImageTable
    targets : sequence of str
        Label columns.
    kinds, levels, separators : dict by target, optional
        What is said of a target; found from its cells where nothing is.

    Returns
    -------
    tuple of Output

    Raises
    ------
    UnknownName
        No such label column.
    BadOptions
        Every other mistake at once: a column given twice, something said of no target, an unknown kind, a
        column without labels or with one class only, an ordinal level that is not named.

    Examples
    --------
    >>> from headstart.images.table import ImageTable
    >>> cells = ("a; b", "b", None, "c")
    >>> table = ImageTable("t", "", tuple("1234"), tuple("1234"), {"what": cells})
    >>> read_outputs(table, ["what"])[0].levels
    ('a', 'b', 'c')
    """
    names = [table.target(name) for name in targets]
    rows = table.rows("train") if table.splits is not None else table.rows("all")
    columns = {name: [table.labels[name][row] for row in rows] for name in names}
    return outputs_of_columns(columns, kinds, levels=levels, separators=separators, given=names)


def outputs_of_columns(
    columns: Mapping[str, Sequence[str | None]],
    kinds: Mapping[str, str] | None = None,
    *,
    levels: Mapping[str, Sequence[str]] | None = None,
    separators: Mapping[str, str] | None = None,
    given: Sequence[str] | None = None,
) -> tuple[Output, ...]:
    """The outputs of columns of cells (None where a label is missing); see `read_outputs`."""
    kinds, levels, separators = dict(kinds or {}), dict(levels or {}), dict(separators or {})
    names = list(columns if given is None else given)
    found = [f"target: {name!r} is given twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for option, said in (("kind", kinds), ("levels", levels), ("separator", separators)):
        for name in said:
            if name not in columns:
                found.append(f"{option}: {UnknownName('target', name, columns)}")
    made = []
    for name, cells in columns.items():
        try:
            made.append(_output(name, cells, kinds.get(name), levels.get(name), separators.get(name)))
        except BadOptions as error:
            found += error.mistakes
    if found:
        raise BadOptions(found)
    return tuple(made)


def _output(
    name: str, cells: Sequence[str | None], kind: str | None, levels: Sequence[str] | None, parted: str | None
) -> Output:
    if kind is not None:
        check_kind(name, kind, cells)
    if parted is not None and not parted.strip():
        raise BadOptions([f"separator of {name}: a sign is expected, such as ';' or ','; got {parted!r}"])
    known = [cell for cell in cells if cell is not None]
    if not known:
        raise BadOptions([f"{name}: every label is missing in the training images; leave this target out"])
    separator = (parted or SEPARATOR).strip()
    kind = kind or _kind(known, levels, parted, separator)
    if kind == "number":
        return _number(name, known, levels, separator)
    names = _levels(name, known, kind, separator, levels)
    if len(names) < 2:
        raise BadOptions([_one_class(name, kind, names)])
    return Output(name, kind, names, separator)


def _kind(known: Sequence[str], levels: Sequence[str] | None, parted: str | None, separator: str) -> str:
    """Cells with a separator, or levels that are said, or measured numbers; else classes."""
    if parted is not None or any(separator in cell for cell in known):
        return "labels"
    if levels is not None:
        return "ordinal"
    return column_kind(known, separator)


def _number(name: str, known: Sequence[str], levels: Sequence[str] | None, separator: str) -> Output:
    if levels is not None:
        raise BadOptions([f"levels of {name}: a number has none; leave them out, or say kind {name}=ordinal"])
    numbers = np.asarray([to_number(cell) for cell in known], np.float64)
    scale = float(numbers.std())
    if scale <= 1e-12 * max(1.0, float(np.abs(numbers).max())):
        raise BadOptions([f"{name}: all training images have the same number, {known[0]}; nothing to learn"])
    return Output(name, "number", (), separator, float(numbers.mean()), scale)


def _levels(
    name: str, known: Sequence[str], kind: str, separator: str, said: Sequence[str] | None
) -> tuple[str, ...]:
    if kind == "labels":
        found = sorted({label for cell in known for label in split_labels(cell, separator)})
    else:
        found = sorted(set(known))
    if said is None:
        return _in_order(name, found) if kind == "ordinal" else tuple(found)
    levels = [str(level).strip() for level in said]
    wrong = [
        f"levels of {name}: {level!r} is named twice"
        for level in sorted(set(levels))
        if levels.count(level) > 1
    ]
    if "" in levels:
        wrong.append(f"levels of {name}: an empty level is named")
    places = places_of(Output(name, kind, tuple(levels), separator))
    if odd := [level for level in found if place_of(level, places, kind) < 0]:
        wrong.append(f"levels of {name}: {some_of(odd)} not named; named are {', '.join(levels)}")
    if wrong:
        raise BadOptions(wrong)
    return tuple(levels)


def _in_order(name: str, found: Sequence[str]) -> tuple[str, ...]:
    """Levels in the order of their numbers (or fractions: 1/3)."""
    values = [_place(level) for level in found]
    if any(value is None for value in values):
        raise BadOptions([
            f"levels of {name}: their order cannot be read off {some_of(found)}; say it, lowest first: "
            f"{name}=LOWEST,...,HIGHEST"
        ])  # fmt: skip
    first: dict[float, str] = {}
    for value, level in zip(values, found, strict=True):
        first.setdefault(float(value or 0.0), level)
    return tuple(first[value] for value in sorted(first))


def _place(level: str) -> float | None:
    """The number or fraction that a level is."""
    try:
        return float(Fraction(level)) if "/" in level else to_number(level)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def _one_class(name: str, kind: str, names: Sequence[str]) -> str:
    if not names:
        return f"{name}: no label is ever given in the training images"
    what = {"labels": "one label", "ordinal": "one level"}.get(kind, "one class")
    return (
        f"{name}: {what} only in the training images, {names[0]!r}; two or more are needed, or leave it out"
    )

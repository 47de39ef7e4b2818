"""What splits and folds are balanced by where images have several labels: their combination, if it is not rare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from headstart.images.column_kinds import quantile_bins
from headstart.images.split import split_table
from headstart.images.table import ImageTable
from headstart.methods.heads_outputs import rarest_label
from headstart.methods.output import Output, encode, is_missing
from headstart.methods.outputs import outputs_of_columns

FEWEST = 5
"""A combination that fewer images have joins the others of its first label."""
COLUMN = "strata of several outputs"


def strata(outputs: Sequence[Output], coded: Sequence[np.ndarray]) -> np.ndarray:
    """A stratum for each image (int64, (n,)).

    Classes and levels count as they are, labels by the rarest that an image has, numbers by fifths; missing is a
    stratum too. Combinations of fewer than five images are told apart by ever fewer outputs, the last ones first.
    """
    keys = _keys(outputs, coded)
    number = _numbers(keys)
    return np.array([number[key] for key in keys], np.int64)


def strata_column(outputs: Sequence[Output], coded: Sequence[np.ndarray]) -> tuple[str, ...]:
    """The stratum of each image as a cell that a person can read, in the order of the numbers of `strata` as text.

    Examples
    --------
    >>> two = Output("worn", "classes", ("no", "yes")), Output("age", "number", ())
    >>> strata_column(two, [np.array([0] * 5), np.array([np.nan] * 5)])[0]
    '0 (worn no, age missing)'
    """
    keys = _keys(outputs, coded)
    names = {
        key: f"{number} ({', '.join(map(_said, outputs[: len(key)], key))})"
        for key, number in _numbers(keys).items()
    }
    return tuple(names[key] for key in keys)


def _keys(outputs: Sequence[Output], coded: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    """What each image is told apart by: a code an output, of the first ones alone where a combination is rare."""
    parts = [_codes(output, column) for output, column in zip(outputs, coded, strict=True)]
    keys = [tuple(int(part[row]) for part in parts) for row in range(len(parts[0]))]
    for length in range(len(parts) - 1, 0, -1):
        counts = Counter(keys)
        keys = [key if counts[key] >= FEWEST else key[:length] for key in keys]
    return keys


def _numbers(keys: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], int]:
    return {key: at for at, key in enumerate(sorted(set(keys)))}


def _said(output: Output, code: int) -> str:
    """An output with what an image has of it."""
    if code < 0:
        return f"{output.name} missing"
    if output.kind == "number":
        return f"{output.name} in fifth {code + 1}"
    return f"{output.name} {output.levels[code] if code < len(output.levels) else 'without labels'}"


def _codes(output: Output, coded: np.ndarray) -> np.ndarray:
    missing = is_missing(output, coded)
    found = np.full(len(coded), -1, np.int64)
    if output.kind == "labels":
        found[~missing] = rarest_label(coded[~missing])
    elif output.kind == "number":
        found[~missing] = quantile_bins(coded[~missing]) if (~missing).any() else 0
    else:
        found = np.asarray(coded, np.int64)
    return found


def split_outputs(
    table: ImageTable,
    targets: Sequence[str],
    kinds: Mapping[str, str] | None = None,
    *,
    levels: Mapping[str, Sequence[str]] | None = None,
    separators: Mapping[str, str] | None = None,
    seed: int = 0,
) -> ImageTable:
    """The table with splits, the given ones or a draw that is balanced over all targets at once.

    See `headstart.images.split.split_table`; the first target alone is balanced exactly as there.

    Raises
    ------
    BadOptions, UnknownName
        As `read_outputs`, before anything is divided.
    """
    names = [table.target(name) for name in targets]
    columns = {name: table.labels[name] for name in names}
    outputs = outputs_of_columns(columns, kinds, levels=levels, separators=separators, given=names)
    if table.splits is not None:
        return table
    coded = [encode(output, columns[output.name]) for output in outputs]
    labels: dict[str, tuple[str | None, ...]] = {COLUMN: strata_column(outputs, coded)}
    drawn = split_table(replace(table, labels=labels), seed=seed, target=COLUMN)
    return table.with_splits(drawn.splits or ())

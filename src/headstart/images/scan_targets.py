"""The table of a source with the label columns that were asked for: a column is one of labels because it is named."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import emit, notices_held
from headstart.images.scan import scan
from headstart.images.table import ImageTable


def scan_targets(
    source: str | Path, targets: str | Sequence[str], *, label_columns: Sequence[str] = (), also: Sequence[str] = (),
    **options: Any,
) -> tuple[ImageTable, tuple[str, ...]]:  # fmt: skip
    """Scan a source; where it lacks a target, once more with the targets among its label columns.

    So a column of numbers, which does not look like one of labels, is found too.

    Parameters
    ----------
    source : str or Path
    targets : str or sequence of str
        Names of label columns; as one text parted at commas, unless a column has that very name. None: the first.
    label_columns : sequence of str
        Where they are given, targets are among them.
    also : sequence of str
        Further columns that are read as labels, whatever they look like.
    **options
        Of `headstart.images.scan.scan`.

    Returns
    -------
    ImageTable
    tuple of str
        The targets; of none the first label column.

    Raises
    ------
    DataError
        As `scan`; without labels.
    UnknownName
        No such column.
    """
    named = targets if isinstance(targets, str) else ""
    parts = named.split(",") if named else targets
    asked = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if (asked or also) and not label_columns:
        table = _with_columns(source, named, asked, tuple(also), options)
    else:
        table = scan(source, label_columns=label_columns, **options)
    if named and named in table.labels:
        return table, (named,)
    return table, tuple(table.target(name) for name in asked) or (table.target(),)


def _with_columns(
    source: str | Path, named: str, asked: tuple[str, ...], also: tuple[str, ...], options: dict[str, Any]
) -> ImageTable:
    """The table of one scan, or of a second one where the first lacks a column; what the first said is of no use then."""
    with notices_held() as said:
        table = _scanned(source, options)
    if table is None:
        return scan(source, label_columns=tuple(dict.fromkeys((*asked, *also))), **options)
    wanted = (*(() if named in table.labels else asked), *also)
    if any(name not in table.labels for name in wanted):
        # no table, so no further columns: the caller names those that are there
        with suppress(BadOptions):
            return scan(source, label_columns=tuple(dict.fromkeys((*table.targets, *wanted))), **options)
    for notice in said:
        emit(notice)
    return table


def _scanned(source: str | Path, options: dict[str, Any]) -> ImageTable | None:
    """None where no column looks like one of labels."""
    try:
        return scan(source, **options)
    except DataError:
        return None

"""The table of a source with the label columns that were asked for: a column is one of labels because it is named."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from headstart.base.errors import BadOptions, DataError
from headstart.images.scan import scan
from headstart.images.table import ImageTable


def scan_targets(
    source: str | Path, targets: str | Sequence[str], *, label_columns: Sequence[str] = (), **options: Any
) -> tuple[ImageTable, tuple[str, ...]]:
    """Scan a source; where it lacks a target, once more with the targets among its label columns.

    So a column of numbers, which does not look like one of labels, is found too.

    Parameters
    ----------
    source : str or Path
    targets : str or sequence of str
        Names of label columns; as one text parted at commas, unless a column has that very name. None: the first.
    label_columns : sequence of str
        Where they are given, targets are among them.
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
    try:
        table = scan(source, label_columns=label_columns, **options)
    except DataError:
        if not asked or label_columns:
            raise
        return scan(source, label_columns=asked, **options), asked
    if named and named in table.labels:
        return table, (named,)
    if not label_columns and any(name not in table.labels for name in asked):
        with suppress(
            BadOptions
        ):  # no table, so no further columns: the next line names those that are there
            table = scan(source, label_columns=tuple(dict.fromkeys((*table.targets, *asked))), **options)
    return table, tuple(table.target(name) for name in asked) or (table.target(),)

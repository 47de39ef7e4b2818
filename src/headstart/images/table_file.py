"""CSV, TSV and Parquet files as columns of text; the delimiter and a missing header line are noticed."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError
from headstart.images.table import Problem
from headstart.images.whereabouts import Whereabouts

TABLE_EXTENSIONS = (".csv", ".tsv", ".parquet")
MAX_TABLE_BYTES = 1 << 30
DELIMITERS = ",;\t|"
HEAD, SAMPLED = 1 << 16, 50
"""Characters and lines by which the delimiter is found."""
Column = tuple[str | None, ...]


@dataclass(frozen=True)
class TableFile:
    """Columns by name, all of one length; None stands for an empty cell.

    `spaced` holds the cells of each column that stood with spaces about them, and how often; `columns` are without.
    """

    columns: dict[str, Column]
    problems: tuple[Problem, ...] = ()
    spaced: dict[str, dict[str, int]] = field(default_factory=dict)


def read_table_file(path: Path, where: Whereabouts) -> TableFile:
    """Read a ground-truth file.

    Raises
    ------
    DataError
        Not such a file, not UTF-8, without rows, or with two columns of one name.
    """
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise DataError(f"{path}: a ground-truth file above {MAX_TABLE_BYTES >> 20} MiB")
    table = _parquet(path) if path.suffix.lower() == ".parquet" else _text(path, where)
    if not table.columns or not next(iter(table.columns.values())):
        raise DataError(f"{path}: no rows")
    return table


def _text(path: Path, where: Whereabouts) -> TableFile:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text, where)
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(line)]
    except csv.Error as error:
        raise DataError(f"{path}: {error}") from error
    if not lines:
        raise DataError(f"{path}: empty file")
    if _is_data(lines[0], where):
        n = len(lines[0])
        lines.insert(0, ["path", "label", *(f"column{at}" for at in range(3, n + 1))][:n])
    header = [cell.strip() for cell in lines[0]]
    if len(set(header)) < len(header):
        raise DataError(f"{path}: two columns have the same name in its first line: {', '.join(header)}")
    good, problems = [], []
    for number, line in enumerate(lines[1:], 2):
        if len(line) > len(header):
            problems.append(
                Problem(f"{path.name} row {number}", f"{len(line)} cells for {len(header)} columns")
            )
            good.append([""] * len(header))
        else:
            good.append(line + [""] * (len(header) - len(line)))
    return _made({name: [_unguarded(row[at]) for row in good] for at, name in enumerate(header)}, problems)


def _made(columns: Mapping[str, Sequence[Any]], problems: Sequence[Problem] = ()) -> TableFile:
    return TableFile(
        {name: tuple(cell_text(value) for value in values) for name, values in columns.items()},
        tuple(problems),
        {name: found for name, values in columns.items() if (found := _spaced(values))},
    )


def _spaced(values: Sequence[Any]) -> dict[str, int]:
    """Cells with spaces about them and how often; where all begin with one it is a style (`a.jpg, cat`) and no spelling."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    if all(text[0].isspace() for text in texts):
        texts = [text.lstrip() for text in texts]
    return dict(Counter(text for text in texts if text != text.strip()))


def _unguarded(cell: str) -> str:
    """An apostrophe that keeps a spreadsheet from running a cell (`'=...`) is no part of its text."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell


def _delimiter(text: str, where: Whereabouts) -> str:
    """What parts the first lines into equally many cells, two or more, most of them with an image among these."""
    worth = {mark: _worth(text, mark, where) for mark in DELIMITERS}
    return max(DELIMITERS, key=lambda mark: worth[mark])


def _worth(text: str, mark: str, where: Whereabouts) -> float:
    """Share of the first lines that are of one width, and share that name an image; 0 where the mark parts nothing."""
    try:
        reader = csv.reader(io.StringIO(text[:HEAD], newline=""), delimiter=mark)
        lines = [line for line in reader if any(line)]
    except csv.Error:
        return 0.0
    lines = (lines[:-1] if len(text) > HEAD and len(lines) > 1 else lines)[:SAMPLED]
    widths = Counter(len(line) for line in lines)
    width, n = max(widths.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
    if width < 2:
        return 0.0
    return (n + sum(_is_data(line, where) for line in lines)) / len(lines)


def _is_data(line: Sequence[str], where: Whereabouts) -> bool:
    """Whether a first line names an image, so that the file has no header."""
    return any("." in cell and isinstance(where.find(cell), str) for cell in line if cell.strip())


def _parquet(path: Path) -> TableFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({' '.join(str(error).split())[:120]})"
        ) from error
    plain = {
        name: column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
        if not pa.types.is_nested(column.type) and not pa.types.is_binary(column.type)
    }
    return _made(plain)


def cell_text(value: Any) -> str | None:
    """The text of a stored value: whole numbers without a point, None where nothing is said.

    Examples
    --------
    >>> cell_text(3.0), cell_text(" a "), cell_text(float("nan"))
    ('3', 'a', None)
    """
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None

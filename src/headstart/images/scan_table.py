"""Images with a ground-truth file: CSV, TSV or Parquet, its columns found by content and name, or named.

The file is not trusted: a path in it must stay inside the image folder, and a row is either used whole or a
`Problem`. Paths may be relative, plain file names, or names without extension as long as they are unique; folders that
a cell names must be those of the file, as far as both have some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.base.errors import DataError
from headstart.base.events import Notice, emit
from headstart.images.collect import SPLIT_NAMES, Row, build_table, clean, each_once
from headstart.images.columns import Columns, choose_columns
from headstart.images.table import ImageTable, Problem, Spaced, added
from headstart.images.table_file import Column, read_table_file
from headstart.images.whereabouts import Whereabouts, below


@dataclass(frozen=True)
class Wanted:
    """Columns and folder that the caller named (None and () where they are to be found)."""

    path_column: str | None = None
    label_columns: tuple[str, ...] = ()
    image_root: Path | None = None
    group_column: str | None = None
    split_column: str | None = None


def scan_table(
    files: Mapping[Path, str | None], wanted: Wanted, *, on_bad: str, name: str, all_images: bool
) -> ImageTable:
    """The image table that ground-truth files describe.

    Parameters
    ----------
    files : dict of Path to str or None
        Ground-truth files, each with the split that its name gives.
    wanted : Wanted
    on_bad : str
    name : str
    all_images : bool
        Whether images that no row names are problems (they are when a folder was given, not when a file was).

    Raises
    ------
    DataError
        A column that is absent or cannot be found.
    """
    first = next(iter(files))
    root = (wanted.image_root or first.parent).absolute()
    where = Whereabouts(root, below(root))
    problems: list[Problem] = []
    drafts: list[Row] = []
    targets: tuple[str, ...] | None = None
    spaced: Spaced = {}
    for file, split in files.items():
        table = read_table_file(file, where)
        problems.extend(table.problems)
        columns = choose_columns(table.columns, where, wanted, file=file.name)
        if targets is not None and columns.labels != targets:
            raise DataError(
                f"{file.name} has labels {columns.labels}, {first.name} has {targets}; name them alike"
            )
        targets = columns.labels
        own = {clean(name): table.spaced[name] for name in columns.labels if name in table.spaced}
        spaced = added([spaced, own])
        _say(file, columns, own)
        drafts.extend(_rows(table.columns, columns, where, split, file.name, problems))
    rows = each_once(drafts, problems)
    if all_images:
        known = {row.path for row in drafts} | {problem.path for problem in problems}
        listed = " or ".join(file.name for file in files)
        problems.extend(Problem(path, f"not named in {listed}") for path in where.paths if path not in known)
    made = build_table(root, rows, problems, name=name, targets=targets or (), on_bad=on_bad)
    return replace(made, spaced=spaced)


def _rows(
    table: Mapping[str, Column],
    columns: Columns,
    where: Whereabouts,
    split: str | None,
    file: str,
    problems: list[Problem],
) -> list[Row]:
    rows = []
    for number, given in enumerate(table[columns.path], 2):
        place = f"{file} row {number}"
        if all(column[number - 2] is None for column in table.values()):
            continue  # an empty row, or one of the wrong length, which is a problem already
        if given is None:
            problems.append(Problem(place, "no image path"))
            continue
        found = where.find(given)
        if isinstance(found, Problem):
            problems.append(Problem(given, f"{found.reason} ({place})"))
            continue
        labels = tuple(_label(table[name][number - 2]) for name in columns.labels)
        if all(label is None for label in labels):
            problems.append(Problem(found, f"no label ({place})"))
            continue
        said = None if columns.split is None else table[columns.split][number - 2]
        part = split if said is None else SPLIT_NAMES.get(said.casefold())
        if columns.split is not None and part is None:
            problems.append(Problem(found, f"no split called {said!r} ({place})"))
            continue
        group = None if columns.group is None else table[columns.group][number - 2]
        rows.append(Row(found, labels, None if group is None else clean(group), part))
    return rows


def _label(value: str | None) -> str | None:
    return None if value is None else clean(value)


def _say(file: Path, columns: Columns, spaced: Spaced) -> None:
    labels = ", ".join(map(repr, columns.labels))
    said = f"{clean(file.name)}: images from column {columns.path!r}, labels from {labels}"
    said += f", groups from {columns.group!r}" if columns.group else ""
    said += f", splits from {columns.split!r}" if columns.split else ""
    if spaced:
        n = sum(sum(cells.values()) for cells in spaced.values())
        said += f"; {n:,} labels have spaces about them, which are left out"
    emit(Notice(said))

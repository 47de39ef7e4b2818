"""Which columns of a ground-truth file hold paths, labels, groups and splits: as told, else found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from headstart.base.errors import DataError, UnknownName
from headstart.images.collect import SPLIT_NAMES
from headstart.images.decode import EXTENSIONS
from headstart.images.table_file import Column
from headstart.images.whereabouts import Whereabouts

if TYPE_CHECKING:
    from headstart.images.scan_table import Wanted

PATH_NAMES = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name"),
    *("image_file", "img", "img_path", "image_id", "id", "name"),
)
LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "classes",
    "class_name",
    "category",
    "target",
    "species",
    "diagnosis",
    "y",
)
GROUP_NAMES = ("group", "group_id", "patient", "patient_id", "subject", "subject_id", "lesion_id")
SPLIT_COLUMN_NAMES = ("split", "subset", "partition", "set", "fold", "phase")
SAMPLE = 200
BARE_NAME = 0.7
LEAST = 0.35


class NoColumns(DataError):
    """A table in which no column names images, or none labels them."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are used."""

    path: str
    labels: tuple[str, ...]
    group: str | None
    split: str | None


def choose_columns(table: Mapping[str, Column], where: Whereabouts, wanted: Wanted, *, file: str) -> Columns:
    """Find the columns that the caller did not name; a column that is named for labels is taken for nothing else.

    Raises
    ------
    UnknownName
        A named column is absent.
    DataError
        No column of paths, or none of labels.
    """
    named = (wanted.path_column, *wanted.label_columns, wanted.group_column, wanted.split_column)
    for name in named:
        if name is not None and name not in table:
            raise UnknownName("column", name, table, f"in {file}")
    free = {name: column for name, column in table.items() if name not in wanted.label_columns}
    path = wanted.path_column or _path_column(free, where, file)
    split = wanted.split_column or _split_column(free)
    group = wanted.group_column or _named(free, GROUP_NAMES, but={path, split})
    labels = wanted.label_columns or _label_columns(table, {path, split, group}, file)
    return Columns(path, tuple(labels), group, split)


def _path_column(table: Mapping[str, Column], where: Whereabouts, file: str) -> str:
    shares = {name: _share_found(column, where) for name, column in table.items()}
    best = max(shares.values(), default=0.0)
    if best < LEAST:
        known = _named(table, PATH_NAMES, but=set())
        if known is not None and best == 0 and any("." in (cell or "") for cell in table[known][:SAMPLE]):
            return known  # every row then says that its image is missing
        raise NoColumns(
            f"{file}: no column names images below {where.root} (columns: {', '.join(table)}); "
            "name it with path_column, or the folder with image_root"
        )
    nearly = [name for name, share in shares.items() if share >= best - 0.1]
    return _named({name: table[name] for name in nearly}, PATH_NAMES, but=set()) or nearly[0]


def _share_found(column: Column, where: Whereabouts) -> float:
    """How well a sample of cells names images, 0..1: a bare name counts less than one with an extension,
    and cells that repeat are hardly paths (a class "1" is not the image 1.png)."""
    step = max(1, len(column) // SAMPLE)
    cells = [cell for cell in column[::step] if cell is not None]
    if not cells:
        return 0.0
    found = [cell for cell in cells if isinstance(where.find(cell), str)]
    worth = sum(1.0 if PurePosixPath(cell).suffix.lower() in EXTENSIONS else BARE_NAME for cell in found)
    return worth / len(cells) * len(set(cells)) / len(cells)


def _named(table: Mapping[str, Column], names: Sequence[str], *, but: set[str | None]) -> str | None:
    folded = {name.casefold().replace(" ", "_"): name for name in table if name not in but}
    return next((folded[name] for name in names if name in folded), None)


def _split_column(table: Mapping[str, Column]) -> str | None:
    """A column of that name whose every cell is a split; numbers of folds are none."""
    name = _named(table, SPLIT_COLUMN_NAMES, but=set())
    if name is None:
        return None
    cells = {(cell or "").casefold() for cell in table[name]}
    return name if cells <= set(SPLIT_NAMES) else None


def _label_columns(table: Mapping[str, Column], used: set[str | None], file: str) -> tuple[str, ...]:
    free = [name for name in table if name not in used]
    by_name = [name for name in free if _is_label_name(name)]
    if by_name:
        return tuple(by_name)
    by_content = [name for name in free if _few_values(table[name])]
    if not by_content:
        raise NoColumns(
            f"{file}: no column of labels found (columns: {', '.join(table)}); name them with label_columns"
        )
    return tuple(by_content)


def _is_label_name(name: str) -> bool:
    plain = name.casefold().replace(" ", "_")
    return (
        plain in LABEL_NAMES or plain.endswith(("_label", "_class")) or plain.startswith(("label_", "class_"))
    )


def _few_values(column: Column) -> bool:
    """At least two values, each on average used twice; measured numbers (0.734) are no labels."""
    values = {cell for cell in column if cell is not None}
    measured = all(_is_fraction(value) for value in values)
    return 2 <= len(values) <= max(2, len(column) // 2) and not (measured and len(values) > 20)


def _is_fraction(value: str) -> bool:
    try:
        return not float(value).is_integer()
    except (ValueError, OverflowError):
        return False

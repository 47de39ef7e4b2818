"""Predictions that another program made: a CSV with `path` and `prediction`, matched to the images of a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from headstart.base.errors import DataError
from headstart.base.events import warn
from headstart.images.collect import clean
from headstart.images.table import ImageTable

COLUMNS = ("path", "prediction")


def read_predictions(path: str | Path, table: ImageTable) -> dict[str, str]:
    """The predicted class of each image that the file names.

    Parameters
    ----------
    path : path
        CSV in UTF-8 with the columns `path` and `prediction`; others are passed over. A path is one under the
        folder of the images, or leads to one of them from the working folder or from the root.
    table : ImageTable

    Returns
    -------
    dict of str to str
        By the path of the table; an empty prediction is none.

    Raises
    ------
    DataError
        No such file or columns, one image with two predictions, or no path that names an image.
    """
    known = {clean(each): each for each in table.paths}
    found: dict[str, str] = {}
    strangers: list[str] = []
    for line, name, said in _rows(Path(path)):
        own = _own_path(name, known, table.root)
        if own is None:
            strangers.append(name)
        elif found.setdefault(own, said) != said:
            raise DataError(f"{path}: line {line}: {name} has two predictions, {found[own]!r} and {said!r}")
    if not found:
        example = f"{table.paths[0]!r}, not {strangers[0]!r}" if strangers else f"{table.paths[0]!r}"
        raise DataError(f"{path}: names no image of {table.name}; expected paths like {example}")
    if strangers:
        warn(f"{path}: {len(strangers)} rows name no image of {table.name} ({strangers[0]!r}, ...)")
    return {name: said for name, said in found.items() if said}


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, path and prediction of each row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if absent := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise DataError(
                    f"{path}: has no column {' and no column '.join(map(repr, absent))}; expected the columns "
                    f"path and prediction, got {', '.join(reader.fieldnames or ()) or 'none'}"
                )
            for row in reader:
                yield reader.line_num, clean(row["path"] or ""), clean((row["prediction"] or "").strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error


def _own_path(name: str, known: dict[str, str], root: str) -> str | None:
    if name in known:
        return known[name]
    if not root or not name:
        return None
    try:
        inside = Path(name).resolve().relative_to(Path(root).resolve())
    except (ValueError, OSError):
        return None
    return known.get(clean(inside.as_posix()))

"""A new table without what an audit found wrong; the images and the old table stay as they are."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.audit.finding import Audit
from headstart.base.errors import DataError
from headstart.base.events import warn
from headstart.base.files import write_text
from headstart.images.column_kinds import SEPARATOR, kind_of, split_labels
from headstart.images.file_names import is_text
from headstart.images.table import ImageTable


@dataclass(frozen=True)
class Mended:
    """A table that was written.

    Attributes
    ----------
    path : str
    n_rows, n_left_out, n_suggested, n_renamed : int
    command : str
        How it is used.
    """

    path: str
    n_rows: int
    n_left_out: int
    n_suggested: int
    n_renamed: int
    command: str


def check_new_table(path: str | Path, table: ImageTable) -> Path:
    """Where a new table may be written, absolute.

    Raises
    ------
    DataError
        No .csv, there already, among the images (where the next scan would take it for their ground truth), or
        a set without image files.
    """
    place = Path(path).expanduser().absolute()
    if table.pixels is not None:
        raise DataError(
            f"{table.name} is one array without image files, so that no table can name its images"
        )
    if place.suffix.lower() != ".csv":
        raise DataError(f"{path}: expected a name that ends with .csv")
    if place.exists():
        raise DataError(f"{path}: there already; name a new file")
    if place.resolve().is_relative_to(Path(table.root).resolve()):
        raise DataError(
            f"{path}: lies among the images, where it would be read as their ground truth; name another folder"
        )
    return place


def write_mended(found: Audit, path: str | Path) -> Mended:
    """Write the table that the findings ask for: `path`, labels, group, split, and a suggestion where there is one.

    Raises
    ------
    DataError
        See `check_new_table`.
    """
    place = check_new_table(path, found.table)
    left_out = {row for each in found.findings for row in each.leave_out}
    table = found.table
    kept = [row for row in range(len(table)) if row not in left_out]
    labels: dict[str, list[str]] = {}
    more: dict[str, list[str]] = {}
    renamed: set[int] = set()
    for name in table.targets:
        given = [table.labels[name][row] or "" for row in kept]
        several = kind_of(name, table.labels[name], found.kinds) == "labels"
        labels[name] = _spelt(given, _of(found, name, "rename"), several=several)
        renamed.update(
            at for at, (old, new) in enumerate(zip(given, labels[name], strict=True)) if old != new
        )
    suggest = {name: said for name in table.targets if (said := _of(found, name, "suggest"))}
    for name, said in suggest.items():
        title = "suggestion" if len(suggest) == 1 else f"suggestion for {name}"
        more[title] = [said.get(row, "") for row in kept]
    wanted = found.named or found.targets[:1]
    command = write_table(table, kept, labels, more, place, targets=wanted, kinds=found.kinds)
    suggested = sum(any(row in said for said in suggest.values()) for row in kept)
    return Mended(str(path), len(kept), len(left_out), suggested, len(renamed), command)


def _of(found: Audit, column: str, what: str) -> dict[Any, str]:
    """All that the findings on a label column rename or suggest."""
    told: dict[Any, str] = {}
    for each in found.findings:
        if each.column == column:
            told.update(getattr(each, what))
    return told


def _spelt(cells: list[str], rename: dict[str, str], *, several: bool) -> list[str]:
    """Cells with labels renamed, also those among several of a cell."""
    if not rename:
        return cells

    def one(cell: str) -> str:
        labels = split_labels(cell) if several else (cell,)
        if rename.keys().isdisjoint(labels):
            return cell
        return SEPARATOR.join(dict.fromkeys(rename.get(label, label) for label in labels))

    return [one(cell) for cell in cells]


def write_table(
    table: ImageTable, rows: list[int], labels: dict[str, list[str]], more: dict[str, list[str]], place: Path, *,
    targets: Sequence[str] = (), kinds: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Write rows of a table with these columns beside path, group and split; gives the command that reads it.

    Parameters
    ----------
    labels : dict of str to list of str
        The label columns, as they shall be; one value for each of `rows`.
    more : dict of str to list of str
        Other columns; those called "group" and "split" go before what the table has of them. A column that is
        called like one of labels gets another name, with a warning.
    targets : sequence of str
        Label columns that the command is about; named in it where something is said of them.
    kinds : dict of str to str, optional
        What was said of label columns.
    """
    other = {"path": [table.paths[row] for row in rows], **more}
    for name, column in (("group", table.groups), ("split", table.splits)):
        if column is not None:
            other.setdefault(name, [column[row] for row in rows])
    titles = _titles(list(other), labels)
    columns = {titles["path"]: other.pop("path"), **labels}
    columns.update({titles[name]: column for name, column in other.items()})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    lines = [line for line in zip(*columns.values(), strict=True) if is_text("".join(line))]
    if len(lines) < len(rows):
        warn(f"{len(rows) - len(lines)} names are no valid Unicode; the table lacks them")
    writer.writerows(lines)
    write_text(place, buffer.getvalue())
    return _command(table, titles, place, targets, kinds or {})


def _titles(names: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """A name for each column that no label column has, its own where it can be."""
    titles: dict[str, str] = {}
    used = {*taken, *names}
    for name in names:
        number, title = 2, name
        while title in taken or (title != name and title in used):
            title, number = f"{name}_{number}", number + 1
        if title != name:
            warn(f"a label column is called {name!r}; what the new table calls so otherwise is {title!r}")
        used.add(title)
        titles[name] = title
    return titles


def _command(
    table: ImageTable, titles: Mapping[str, str], place: Path, targets: Sequence[str], kinds: Mapping[str, str]
) -> str:  # fmt: skip
    parts = ["headstart", "study", str(place), "--image-root", table.root, "--path-column", titles["path"]]
    for target in table.targets:
        parts += ["--label-columns", target]
    for name in ("group", "split", "fold"):
        parts += [f"--{name}-column", titles[name]] if name in titles else []
    said = [f"{name}={kinds[name]}" for name in targets if name in kinds]
    for flag, values in (("--target", targets if said else ()), ("--kind", said)):
        for value in values:
            parts += [flag, value]
    return shlex.join(parts)

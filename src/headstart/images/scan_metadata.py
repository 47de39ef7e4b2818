"""Images with metadata.jsonl, .csv or .parquet beside them, in a folder or a split folder, as `datasets` reads them.

A record names its image in `file_name`, relative to the metadata; other columns are labels. Nothing in the file is
trusted: an image must lie inside the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError, UnknownName
from headstart.images.collect import SPLIT_NAMES, Row, build_table, clean, each_once, subfolders
from headstart.images.columns import LABEL_NAMES, NoColumns
from headstart.images.scan_table import Wanted
from headstart.images.table import ImageTable, Problem, Spaced, added
from headstart.images.table_file import MAX_TABLE_BYTES, cell_text, read_table_file
from headstart.images.whereabouts import Whereabouts, below

LINES = ".jsonl"
METADATA = (f"metadata{LINES}", "metadata.csv", "metadata.parquet")
NAME, SPLIT, GROUP = "file_name", "split", "group"


def metadata_files(folder: Path) -> dict[Path, str | None]:
    """Metadata files with the split that their folder gives; metadata.csv in the folder itself is a plain table."""
    if (folder / METADATA[0]).is_file():
        return {folder / METADATA[0]: None}
    found: dict[Path, str | None] = {}
    for place in subfolders(folder):
        split = SPLIT_NAMES.get(place.name.casefold())
        there = [place / name for name in METADATA if (place / name).is_file()] if split is not None else []
        if len(there) > 1:
            raise DataError(f"{place} holds {there[0].name} and {there[1].name}; leave one")
        found.update(dict.fromkeys(there, split))
    return found


def scan_metadata(
    root: Path, files: Mapping[Path, str | None], wanted: Wanted, *, on_bad: str = "skip"
) -> ImageTable:
    """The image table of metadata files.

    Parameters
    ----------
    root : Path
        Folder that all files lie in.
    files : dict of Path to str or None
        Each with its split.
    wanted : Wanted
    on_bad : {"skip", "fail"}

    Raises
    ------
    NoColumns
        A metadata file has no column `file_name`, or none of labels.
    DataError, UnknownName
        Not readable, other labels in another split, or a column that was named and is absent.
    """
    drafts: list[Row] = []
    problems: list[Problem] = []
    listed: list[str] = []
    targets: tuple[str, ...] | None = None
    spaced: Spaced = {}
    for file, split in files.items():
        home = (wanted.image_root or file.parent).absolute()
        inside = "" if wanted.image_root or home == root else f"{home.relative_to(root).as_posix()}/"
        where = Whereabouts(home, below(home))
        listed += [inside + path for path in where.paths]
        records, found = _records(file, where, wanted)
        names = _label_names(records, file, wanted)
        spaced = added([spaced, {clean(name): found[name] for name in names if name in found}])
        if targets is not None and names != targets:
            raise DataError(f"{file}: labels {', '.join(names)}, other splits have {', '.join(targets)}")
        targets = names
        drafts += _rows(records, names, wanted, where, inside, split, file.name, problems)
    rows = each_once(drafts, problems)
    known = {row.path for row in drafts} | {problem.path for problem in problems}
    problems += [Problem(path, "not named in the metadata") for path in listed if path not in known]
    made = build_table(
        wanted.image_root or root, rows, problems, name=root.name, targets=targets or (),
        on_bad=on_bad,
    )  # fmt: skip
    return replace(made, spaced=spaced)


def _rows(
    records: list[dict[str, Any]], names: tuple[str, ...], wanted: Wanted, where: Whereabouts, inside: str,
    split: str | None, file: str, problems: list[Problem],
) -> list[Row]:  # fmt: skip
    made = []
    split_name = wanted.split_column or (SPLIT if SPLIT not in names else None)
    group_name = wanted.group_column or (GROUP if GROUP not in names else None)
    for number, record in enumerate(records, 1):
        said = str(record.get(wanted.path_column or NAME) or "")
        found = where.find(said)
        if isinstance(found, Problem):
            problems.append(Problem(clean(said), f"{found.reason} ({file} row {number})"))
            continue
        labels = tuple(_text(record.get(name)) for name in names)
        if names and all(label is None for label in labels):
            problems.append(Problem(inside + found, f"no label ({file} row {number})"))
            continue
        told = str(_of(record, split_name) or "")
        part = split or SPLIT_NAMES.get(told.casefold())
        if told and part is None and wanted.split_column:
            problems.append(Problem(inside + found, f"no split called {told!r} ({file} row {number})"))
            continue
        made.append(Row(inside + found, labels, _text(_of(record, group_name)), part))
    return made


def _of(record: dict[str, Any], name: str | None) -> Any:
    return None if name is None else record.get(name)


def _text(value: Any) -> str | None:
    text = cell_text(value)
    return None if text is None else clean(text)


def _records(file: Path, where: Whereabouts, wanted: Wanted) -> tuple[list[dict[str, Any]], Spaced]:
    name = wanted.path_column or NAME
    if file.suffix.lower() != LINES:
        table = read_table_file(file, where)
        columns = table.columns
        if name not in columns:
            raise NoColumns(f"{file}: no column {name!r}")
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(columns, values, strict=True)) for values in rows], table.spaced
    if file.stat().st_size > MAX_TABLE_BYTES:
        raise DataError(f"{file}: a metadata file above {MAX_TABLE_BYTES >> 20} MiB")
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    return [_record(line, name, file, at) for at, line in enumerate(lines, 1) if line.strip()], {}


def _record(line: str, name: str, file: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} line {number}: not JSON ({error})") from error
    if not isinstance(record, dict) or name not in record:
        raise DataError(f"{file} line {number}: expected an object with {name!r}")
    return record


def _label_names(records: list[dict[str, Any]], file: Path, wanted: Wanted) -> tuple[str, ...]:
    """The wanted columns, else those that are labels by name, else every plain column."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    for name in (*wanted.label_columns, wanted.group_column, wanted.split_column):
        if name is not None and name not in keys:
            raise UnknownName("column", name, keys, f"in {file.name}")
    if wanted.label_columns:
        return wanted.label_columns
    used = {NAME, SPLIT, GROUP, wanted.path_column, wanted.group_column, wanted.split_column}
    free = [key for key in keys if key not in used]
    by_name = [
        key for key in free if key.casefold() in LABEL_NAMES or key.casefold().endswith(("_label", "_class"))
    ]
    plain = [key for key in free if all(isinstance(record.get(key), str | int | None) for record in records)]
    names = tuple(by_name or plain)
    if not names and free:
        raise NoColumns(f"{file}: no column of labels (columns: {', '.join(keys)})")
    return names

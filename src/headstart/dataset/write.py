"""An image table as files, in any of five layouts that other programs read; originals are copied or linked.

`folders`: a folder a class, under train/, validation/, test/ where there are splits. `csv`: images/ and
labels.csv. `imagefolder`: images with metadata.jsonl under each split, as Hugging Face `datasets` reads them.
`parquet`: images inside Parquet files, as `datasets` writes them. `coco`: images/ and COCO annotations.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import Progress, emit
from headstart.base.findings import Finding
from headstart.dataset.names import class_folders, path_cell
from headstart.images.collect import clean
from headstart.images.file_names import cell, placed
from headstart.images.table import ImageTable

WAYS = ("copy", "symlink")
SPLIT, GROUP = "split", "group"
OWN = {"csv": ("path", SPLIT, GROUP), "imagefolder": ("file_name", SPLIT, GROUP), "parquet": ("image", GROUP)}
"""Columns that a layout has of its own."""
OF_ONE = ("folders", "coco")
"""Layouts that hold the first label column alone, so that no image may lack it."""
Writer = Callable[[ImageTable, Path, str], list[Finding]]


def write_files(table: ImageTable, out: Path, layout: str, ways: str = "copy") -> list[Finding]:
    """Write a table into a folder of its own.

    Parameters
    ----------
    table : ImageTable
        For the layouts `OF_ONE` every image has a label of the first target, or there are no targets; labels of
        others may be missing.
    out : Path
        Exists and is empty.
    layout : str
        One of `LAYOUTS`.
    ways : {"copy", "symlink"}
        Images that are an array rather than files are written as PNG, and cannot be linked.

    Returns
    -------
    list of Finding
        What the layout cannot hold.

    Raises
    ------
    UnknownName, BadOptions
    DataError
        An original can no longer be read, or a label column has the name of one of the layout's own.
    """
    check_layout(layout, ways, linkable=table.pixels is None)
    if taken := [name for name in table.targets if name in OWN.get(layout, ())]:
        raise DataError(
            f"a label column is called {taken[0]!r}, which the layout {layout} has for something else; rename it "
            "in the source, or choose others with --label-columns"
        )
    found = LAYOUTS[layout](table, out, ways)
    return [*found, *_lost(table, layout)]


def check_layout(layout: str, ways: str, *, linkable: bool = True) -> None:
    """Refuse a layout or a way that there is not, and links where there can be none.

    Raises
    ------
    UnknownName, BadOptions
    """
    if layout not in LAYOUTS:
        raise UnknownName("layout", layout, LAYOUTS)
    if ways not in WAYS:
        raise UnknownName("way to place images", ways, WAYS)
    if ways == "symlink" and layout == "parquet":
        raise BadOptions(["ways: the images lie inside Parquet files, so nothing can be linked; use copy"])
    if ways == "symlink" and not linkable:
        raise BadOptions(["ways: these images are no files to link to; use copy"])


def _folders(table: ImageTable, out: Path, ways: str) -> list[Finding]:
    if not table.targets:
        _put_all(table, out, placed(table, ["."] * len(table)), ways)
        return []
    column = table.labels[table.targets[0]]
    names = class_folders(str(label) for label in column)
    folders = [names[str(label)] for label in column]
    if table.splits:
        folders = [f"{split}/{folder}" for split, folder in zip(table.splits, folders, strict=True)]
    _put_all(table, out, placed(table, folders), ways)
    return _renamed_folders(names)


def _renamed_folders(names: dict[str, str]) -> list[Finding]:
    other = [(name, folder) for name, folder in names.items() if name != folder]
    if not other:
        return []
    first = ", ".join(f"{name!r} is {folder!r}" for name, folder in other[:5])
    more = f", and {len(other) - 5} more" if len(other) > 5 else ""
    said = f"{len(other)} classes have names that no folder can safely have: {first}{more}"
    return [Finding("folder_names", said, "use --layout csv to keep the names as they are")]


def _csv(table: ImageTable, out: Path, ways: str) -> list[Finding]:
    paths = placed(table, ["images"] * len(table))
    _put_all(table, out, paths, ways)
    header = ["path", *table.targets]
    header += [SPLIT] if table.splits else []
    header += [GROUP] if table.groups else []
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([cell(name) for name in header])
        for row, path in enumerate(paths):
            writer.writerow([path_cell(path), *(cell(value or "") for value in _values(table, row).values())])
    return []


def _imagefolder(table: ImageTable, out: Path, ways: str) -> list[Finding]:
    splits = table.splits or ("train",) * len(table)
    paths = placed(table, [f"{split}/images" for split in splits])
    _put_all(table, out, paths, ways)
    for split in dict.fromkeys(splits):
        with (out / split / "metadata.jsonl").open("w", encoding="utf-8") as file:
            for row, path in enumerate(paths):
                if splits[row] == split:
                    values = _values(table, row)
                    values.pop(SPLIT, None)  # the folder says it
                    line = {"file_name": path.removeprefix(f"{split}/"), **values}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return []


def _coco(table: ImageTable, out: Path, ways: str) -> list[Finding]:
    from PIL import Image

    if not table.targets:
        raise DataError(f"{table.name} has no labels, which COCO is about; use --layout folders")
    paths = placed(table, ["images"] * len(table))
    _put_all(table, out, paths, ways)
    classes = table.classes()
    number = {name: at for at, name in enumerate(classes, 1)}
    categories = [{"id": at, "name": name, "supercategory": ""} for name, at in number.items()]
    for split in dict.fromkeys(table.splits or ("",)):
        images: list[dict[str, Any]] = []
        notes: list[dict[str, Any]] = []
        for row in table.rows(split) if split else range(len(table)):
            with Image.open(out / paths[row]) as image:
                width, height = image.size
            file = {
                "id": row + 1,
                "file_name": paths[row].removeprefix("images/"),
                "width": width,
                "height": height,
            }
            images.append({**file, **({GROUP: table.groups[row]} if table.groups else {})})
            label = str(table.labels[table.targets[0]][row])
            notes.append(
                {"id": row + 1, "image_id": row + 1, "category_id": number[label],
                 "bbox": [0, 0, width, height], "area": width * height, "iscrowd": 0, "segmentation": []}
            )  # fmt: skip
        whole: dict[str, Any] = {"info": {"description": clean(table.name)}, "licenses": []}
        whole = {**whole, "images": images, "annotations": notes, "categories": categories}
        place = out / "annotations" / f"{split or 'instances'}.json"
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    return []


def _parquet(table: ImageTable, out: Path, ways: str) -> list[Finding]:
    from headstart.dataset.write_parquet import write_parquet

    write_parquet(table, out)
    return []


LAYOUTS: dict[str, Writer] = {
    "folders": _folders,
    "csv": _csv,
    "imagefolder": _imagefolder,
    "parquet": _parquet,
    "coco": _coco,
}


def _values(table: ImageTable, row: int) -> dict[str, str | None]:
    """Labels, split and group of an image by column; None where a label is missing."""
    values = {name: table.labels[name][row] for name in table.targets}
    if table.splits:
        values[SPLIT] = table.splits[row]
    if table.groups:
        values[GROUP] = table.groups[row]
    return values


def _lost(table: ImageTable, layout: str) -> list[Finding]:
    lost = []
    if layout in OF_ONE and len(table.targets) > 1:
        lost.append("label columns " + ", ".join(map(repr, table.targets[1:])))
    if layout == "folders" and table.groups:
        lost.append("groups")
    if not lost:
        return []
    return [
        Finding(
            "not_held",
            f"the layout {layout} does not hold {' or '.join(lost)}",
            "use --layout csv to keep them",
        )
    ]


def _put_all(table: ImageTable, out: Path, paths: Sequence[str], ways: str) -> None:
    for row, path in enumerate(paths):
        place = out / path
        place.parent.mkdir(parents=True, exist_ok=True)
        put(table, row, place, ways)
        if (row + 1) % 200 == 0 or row + 1 == len(paths):
            emit(Progress("write", row + 1, len(paths)))


def put(table: ImageTable, row: int, place: Path, ways: str) -> None:
    """Copy or link one image to a place that is not there yet.

    Raises
    ------
    DataError
        The original can no longer be read.
    """
    item = table.item(row)
    try:
        if not isinstance(item, Path):
            from PIL import Image

            Image.fromarray(item).save(place, "PNG")
        elif ways == "symlink":
            place.symlink_to(item.resolve(strict=True))
        else:
            with item.open("rb") as source, place.open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    except FileNotFoundError as error:
        raise DataError(f"{clean(table.paths[row])}: no longer there") from error

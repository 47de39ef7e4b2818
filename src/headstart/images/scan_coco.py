"""COCO annotations as labels of whole images: the category that all boxes of an image agree on.

Lin et al. 2014, "Microsoft COCO: common objects in context". Nothing in the file is trusted: types are checked,
and an image must lie inside the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError
from headstart.images.collect import SPLIT_NAMES, Row, build_table, clean, each_once, is_system, subfolders
from headstart.images.table import ImageTable, Problem
from headstart.images.table_file import MAX_TABLE_BYTES
from headstart.images.whereabouts import Whereabouts, below

KEYS = ("images", "annotations", "categories")
ENDING, NOTES = ".json", "annotations"
OBJECTS = "instances"
"""How the annotations of objects are called where captions and key points lie beside them."""
TARGET = "label"
MOST_FILES = 50
"""JSON files in a folder above which they are notes on single images, not annotations of a data set."""


def coco_files(folder: Path) -> dict[Path, str | None]:
    """COCO files of a folder, by split; {} where there are none.

    They lie in the folder itself, in its annotations/, or one in each of its split folders.

    Raises
    ------
    DataError
        Several files whose names give no split each.
    """
    found = {path: _split_of(path.stem) for place in (folder, folder / NOTES) for path in _coco_in(place)}
    if not found:
        return _by_folder(folder)
    objects = {path: split for path, split in found.items() if path.stem.casefold().startswith(OBJECTS)}
    found = objects or found
    splits = list(found.values())
    if len(found) > 1 and (None in splits or len(set(splits)) < len(splits)):
        raise _several(folder, found)
    return found


def scan_coco(
    files: Mapping[Path, str | None], root: Path | None = None, *, on_bad: str = "skip", name: str = ""
) -> ImageTable:
    """The image table of COCO files; `label` is the category.

    Parameters
    ----------
    files : dict of Path to str or None
        Each with its split.
    root : Path, optional
        Folder of the images; by default that of each file, or the one above annotations/.
    on_bad : {"skip", "fail"}
    name : str
        By default that of the folder.

    Raises
    ------
    DataError
        No COCO file, or one without an image that can be read.
    """
    homes = {
        file: root or (file.parent.parent if file.parent.name == NOTES else file.parent) for file in files
    }
    place = _common(list(homes.values()))
    if not place.is_dir():
        raise DataError(f"image folder {place}: no such folder")
    known = {home: Whereabouts(home, below(home)) for home in dict.fromkeys(homes.values())}
    drafts: list[Row] = []
    problems: list[Problem] = []
    for file, split in files.items():
        home = homes[file]
        inside = home.relative_to(place).as_posix()
        place_in = "" if inside == "." else f"{inside}/"
        drafts += _rows(_held(file), file, known[home], place_in, split, problems)
    rows = each_once(drafts, problems)
    named = {problem.path for problem in problems} | {row.path for row in drafts}
    problems += [
        Problem(path, "not named in the annotations")
        for home, where in known.items()
        for path in ((home / each).relative_to(place).as_posix() for each in where.paths)
        if path not in named
    ]
    return build_table(place, rows, problems, name=name or place.name, targets=(TARGET,), on_bad=on_bad)


def _coco_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.glob(f"*{ENDING}") if path.is_file() and not is_system(path.name))
    return [] if len(files) > MOST_FILES else [path for path in files if _is_coco(path)]


def _by_folder(folder: Path) -> dict[Path, str | None]:
    """One COCO file in each of the split folders."""
    found: dict[Path, str | None] = {}
    for place in subfolders(folder):
        split = SPLIT_NAMES.get(place.name.casefold())
        there = _coco_in(place) if split is not None else []
        if len(there) > 1:
            raise _several(place, there)
        found.update(dict.fromkeys(there, split))
    return found


def _several(folder: Path, files: Iterable[Path]) -> DataError:
    return DataError(
        f"{folder} holds several COCO files ({', '.join(path.name for path in files)}); "
        "name them train, validation and test, or give one of them"
    )


def _common(folders: list[Path]) -> Path:
    first = folders[0]
    return first if all(each == first for each in folders) else first.parent


def _rows(
    held: dict[str, Any],
    file: Path,
    where: Whereabouts,
    inside: str,
    split: str | None,
    problems: list[Problem],
) -> Iterable[Row]:
    names = {each.get("id"): str(each.get("name")) for each in held["categories"] if _is_id(each.get("id"))}
    labels: dict[Any, set[str]] = {}
    for note in held["annotations"]:
        image, category = note.get("image_id"), note.get("category_id")
        if _is_id(image) and _is_id(category) and category in names:
            labels.setdefault(image, set()).add(names[category])
    for image in held["images"]:
        said = str(image.get("file_name") or "")
        found = where.find(said)
        number = image.get("id")
        seen = sorted(labels.get(number, ())) if _is_id(number) else []
        if isinstance(found, Problem):
            problems.append(Problem(clean(said), f"{found.reason} ({file.name})"))
        elif len(seen) != 1:
            why = "no category" if not seen else f"several categories: {', '.join(seen[:4])}"
            problems.append(Problem(inside + found, f"{why} ({file.name})"))
        else:
            group = image.get("group")
            yield Row(inside + found, (clean(seen[0]),), None if group is None else clean(str(group)), split)


def _held(file: Path) -> dict[str, Any]:
    if file.stat().st_size > MAX_TABLE_BYTES:
        raise DataError(f"{file}: a COCO file above {MAX_TABLE_BYTES >> 20} MiB")
    try:
        held = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(held, dict) or not all(_is_list(held.get(key)) for key in KEYS):
        raise DataError(f"{file}: no COCO file; expected the lists {', '.join(KEYS)}")
    return held


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_coco(path: Path) -> bool:
    """By its first megabyte: a file that names the three lists."""
    with path.open("rb") as file:
        start = file.read(1 << 20)
    if len(start) < 1 << 20:
        return all(f'"{key}"'.encode() in start for key in KEYS)
    return any(f'"{key}"'.encode() in start for key in KEYS)


def _split_of(stem: str) -> str | None:
    """`instances_train2017` is train."""
    words = "".join(sign if sign.isalpha() else " " for sign in stem.casefold()).split()
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)

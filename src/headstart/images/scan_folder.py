"""Class folders, class folders under train/, validation/ and test/, or a plain folder of images.

Whatever lies below a class folder belongs to the class, however deep. A folder whose subfolders are all named
like splits, one of them holding folders itself, gives the splits.
"""

from __future__ import annotations

from pathlib import Path

from headstart.base.errors import DataError
from headstart.images.collect import (
    SPLIT_NAMES,
    Row,
    build_table,
    clean,
    is_system,
    looks_like_image,
    named_as_image,
    subfolders,
    walk,
)
from headstart.images.table import ImageTable, Problem

TARGET = "label"


def scan_folder(root: Path, *, on_bad: str = "skip") -> ImageTable:
    """The image table of a folder; `label` is the name of the class folder.

    Raises
    ------
    DataError
        No image, two folders for one split, or a single folder that wraps the real one.
    """
    folders = subfolders(root)
    problems: list[Problem] = []
    targets: tuple[str, ...] = (TARGET,)
    if not folders:
        rows, targets = [Row(path) for path in _candidates(root, root, problems)], ()
    elif is_split_layout(folders):
        rows = _split_rows(root, folders, problems)
    else:
        _refuse_wrapper(root, folders)
        rows = _class_rows(root, root, None, problems)
    return build_table(root, rows, problems, name=root.name, targets=targets, on_bad=on_bad)


def is_split_layout(folders: list[Path]) -> bool:
    """Whether folders are splits: all named so, and class folders in at least one."""
    named = all(folder.name.casefold() in SPLIT_NAMES for folder in folders)
    return bool(folders) and named and any(subfolders(folder) for folder in folders)


def split_names(root: Path, folders: list[Path]) -> dict[str, str]:
    """The split of each of the folders of a split layout, by the folder's name.

    Raises
    ------
    DataError
        Two folders for one split.
    """
    taken: dict[str, str] = {}
    for folder in folders:
        split = SPLIT_NAMES[folder.name.casefold()]
        if split in taken:
            raise DataError(
                f"{root}: both {taken[split]}/ and {folder.name}/ mean the {split} split; keep or merge one"
            )
        taken[split] = folder.name
    return {name: split for split, name in taken.items()}


def _split_rows(root: Path, folders: list[Path], problems: list[Problem]) -> list[Row]:
    rows: list[Row] = []
    splits = split_names(root, folders)
    problems.extend(_outside(root, root))
    for folder in folders:
        split = splits[folder.name]
        inside = _class_rows(root, folder, split, problems)
        if not inside and subfolders(folder):
            problems.append(Problem(folder.name, f"no image in the {split} split"))
        rows.extend(inside)
    return rows


def _class_rows(root: Path, folder: Path, split: str | None, problems: list[Problem]) -> list[Row]:
    """Rows of the class folders directly below `folder`."""
    rows: list[Row] = []
    if folder != root or split is None:
        problems.extend(_outside(folder, root))
    for place in subfolders(folder):
        paths = _candidates(place, root, problems)
        if not paths:
            problems.append(Problem(place.relative_to(root).as_posix(), "class folder without images"))
        rows.extend(Row(path, (clean(place.name),), split=split) for path in paths)
    return rows


def _candidates(place: Path, root: Path, problems: list[Problem]) -> list[str]:
    """Files that should be images; every other file is a problem."""
    found = []
    for path in walk(place, relative_to=root):
        if named_as_image(path) or looks_like_image(root / path):
            found.append(path)
        elif (root / path).is_symlink() and not (root / path).exists():
            problems.append(Problem(path, "a link that leads nowhere"))
        else:
            problems.append(Problem(path, "not an image file"))
    return found


def _outside(folder: Path, root: Path) -> list[Problem]:
    """Images beside the class folders (notes such as README.md beside them are no data)."""
    files = sorted(path for path in folder.iterdir() if not path.is_dir() and not is_system(path.name))
    return [
        Problem(path.relative_to(root).as_posix(), "image outside any class folder")
        for path in files
        if looks_like_image(path)
    ]


def _refuse_wrapper(root: Path, folders: list[Path]) -> None:
    """A single folder that holds only folders is the real root, not a class."""
    if len(folders) != 1 or not (below := subfolders(folders[0])):
        return
    has_images = any(looks_like_image(path) for path in folders[0].iterdir() if path.is_file())
    if not has_images and (len(below) > 1 or is_split_layout(below)):
        raise DataError(f"{root}: the class folders lie one level down; give {folders[0]} instead")

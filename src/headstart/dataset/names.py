"""Names for folders and files of a new data set: those of the old one where they are harmless, else made so."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from headstart.features.cluster_groups import LONGEST_NAME, RESERVED, cell, safe_name
from headstart.images.collect import SPLIT_NAMES, is_system
from headstart.images.table import ImageTable

FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def class_folders(classes: Iterable[str]) -> dict[str, str]:
    """A folder name for each class: its own name where every system can hold it, and no two alike but for case.

    Examples
    --------
    >>> class_folders(["t shirt", "../x"])
    {'t shirt': 't shirt', '../x': 'x'}
    """
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(set(classes), key=lambda each: (not _is_harmless(each), each)):
        wanted = name if _is_harmless(name) else safe_name(name) or "class"
        final, number = wanted, 1
        while final.casefold() in taken:
            number += 1
            final = f"{wanted}-{number}"
        taken.add(final.casefold())
        made[name] = final
    return {name: made[name] for name in sorted(made)}


def _is_harmless(name: str) -> bool:
    return bool(
        name
        and name == name.strip()
        and name.isprintable()
        and not FORBIDDEN.search(name)
        and not name.endswith(".")
        and not is_system(name)
        and name.casefold() not in SPLIT_NAMES
        and not RESERVED.fullmatch(name)
        and len(name.encode()) <= LONGEST_NAME
    )


def placed(table: ImageTable, folders: Sequence[str]) -> list[str]:
    """A path for every image, `folders[row]/NAME`; equal names get the digest as a suffix.

    Parameters
    ----------
    table : ImageTable
    folders : sequence of str, length n
        Folder of each image, harmless, with forward slashes.
    """
    wanted = [(folder, file_name(table, row)) for row, folder in enumerate(folders)]
    times = Counter((folder, name.casefold()) for folder, name in wanted)
    taken = {key for key, n in times.items() if n == 1}
    paths = []
    for row, (folder, name) in enumerate(wanted):
        if times[folder, name.casefold()] > 1:
            name = _suffixed(folder, name, table.digests[row][:8], taken)
            taken.add((folder, name.casefold()))
        paths.append(f"{folder}/{name}")
    return paths


def file_name(table: ImageTable, row: int) -> str:
    """A harmless file name for an image; one that is no file becomes a PNG."""
    last = re.split(r"[/\\]", table.paths[row])[-1]
    stem, ending = os.path.splitext(last)  # noqa: PTH122 (a name, not a path)
    if table.pixels is not None:
        stem, ending = last, ".png"
    if not re.fullmatch(r"\.[A-Za-z0-9]{1,8}", ending):
        stem, ending = stem + ending, ""
    return (safe_name(stem) or table.digests[row]) + ending


def _suffixed(folder: str, name: str, digest: str, taken: set[tuple[str, str]]) -> str:
    stem, ending = os.path.splitext(name)  # noqa: PTH122 (a name, not a path)
    made, number = f"{stem}-{digest}{ending}", 1
    while (folder, made.casefold()) in taken:
        number += 1
        made = f"{stem}-{digest}-{number}{ending}"
    return made


def path_cell(path: str) -> str:
    """A path that no spreadsheet takes for a formula, and that still is the same path: `=a.jpg` as `./=a.jpg`."""
    return path if cell(path) == path else f"./{path}"

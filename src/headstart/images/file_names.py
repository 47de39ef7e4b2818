"""Harmless names: of files and folders that are written, and of what stands in a cell of a spreadsheet."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence

from headstart.images.collect import clean
from headstart.images.table import ImageTable

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
LONGEST_NAME = 120
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(text: str) -> str:
    """One part of a path that can be nothing else: letters, digits, `_ . -`, no leading dot, not too long.

    Examples
    --------
    >>> safe_name("../../etc/a b"), safe_name("..")
    ('etc_a_b', '')
    """
    made = re.sub(r"[^\w.-]+", "_", clean(text)).lstrip("._-").rstrip("._")
    while len(made.encode()) > LONGEST_NAME:
        made = made[:-1]
    return f"_{made}" if RESERVED.fullmatch(made) else made


def file_name(table: ImageTable, row: int) -> str:
    """A harmless file name for an image; one that is no file becomes a PNG."""
    last = re.split(r"[/\\]", table.paths[row])[-1]
    stem, ending = os.path.splitext(last)  # noqa: PTH122 (a name, not a path)
    if table.pixels is not None:
        stem, ending = last, ".png"
    if not re.fullmatch(r"\.[A-Za-z0-9]{1,8}", ending):
        stem, ending = stem + ending, ""
    return (safe_name(stem) or table.digests[row]) + ending


def placed(table: ImageTable, folders: Sequence[str]) -> list[str]:
    """A path for every image, `folders[row]/NAME`; equal names in a folder get the digest as a suffix.

    Parameters
    ----------
    table : ImageTable
    folders : sequence of str, length n
        Folder of each image, harmless, with forward slashes.
    """
    wanted = [(folder, file_name(table, row)) for row, folder in enumerate(folders)]
    times = Counter((folder, name.casefold()) for folder, name in wanted)
    taken = {key for key, n in times.items() if n == 1}
    found = []
    for row, (folder, name) in enumerate(wanted):
        final = name
        if times[folder, name.casefold()] > 1:
            final = _suffixed(folder, name, table.digests[row][:8], taken)
            taken.add((folder, final.casefold()))
        found.append(f"{folder}/{final}")
    return found


def _suffixed(folder: str, name: str, digest: str, taken: set[tuple[str, str]]) -> str:
    stem, ending = os.path.splitext(name)  # noqa: PTH122 (a name, not a path)
    made, number = f"{stem}-{digest}{ending}", 1
    while (folder, made.casefold()) in taken:
        number += 1
        made = f"{stem}-{digest}-{number}{ending}"
    return made


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before what begins like one."""
    whole = clean(text)
    return f"'{whole}" if whole.startswith(FORMULA) else whole


def is_text(name: str) -> bool:
    """Whether a name is valid Unicode, so that a table can hold it; one in Latin-1 bytes on Linux is not."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True

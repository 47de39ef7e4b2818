"""Names for folders and files of a new data set: those of the old one where they are harmless, else made so."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headstart.images.collect import SPLIT_NAMES, is_system
from headstart.images.file_names import LONGEST_NAME, RESERVED, cell, safe_name

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


def path_cell(path: str) -> str:
    """A path that no spreadsheet takes for a formula, and that still is the same path: `=a.jpg` as `./=a.jpg`."""
    return path if cell(path) == path else f"./{path}"

"""Which image a cell of a ground-truth file means; none outside the image folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from headstart.base.errors import DataError
from headstart.images.collect import looks_like_image, walk
from headstart.images.table import Problem


def below(folder: Path) -> list[str]:
    """Paths of the images below a folder, relative, with forward slashes.

    Raises
    ------
    DataError
        No such folder.
    """
    if not folder.is_dir():
        raise DataError(f"image folder {folder}: no such folder")
    return [path for path in walk(folder, relative_to=folder) if looks_like_image(folder / path)]


class Whereabouts:
    """The images below a folder, found by relative path, by file name or by name without extension.

    Parameters
    ----------
    root : Path
        Absolute.
    paths : sequence of str
        Images below it, relative, with forward slashes.
    """

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = root, tuple(paths)
        self._known = frozenset(paths)
        self._named: dict[str, list[str]] = {}
        for path in paths:
            pure = PurePosixPath(path)
            for key in {pure.name.casefold(), pure.stem.casefold()}:
                self._named.setdefault(key, []).append(path)

    def find(self, cell: str) -> str | Problem:
        """The path of the image that a cell names, or why there is none."""
        text = cell.strip().replace("\\", "/")
        if "\0" in text:
            return Problem(cell, "a path with a zero byte")
        whole = text.startswith("/") or (len(text) > 2 and text[1:3] == ":/")
        if whole:
            inside = os.path.relpath(os.path.normpath(text), self.root)
            if inside.startswith("..") or text[1:3] == ":/":
                return Problem(cell, "a path outside the image folder")
            text = inside
        elif ".." in text.split("/"):
            return Problem(cell, "a path that leaves the image folder")
        path = PurePosixPath(text).as_posix()
        if path in self._known:
            return path
        if (self.root / path).is_file():
            return Problem(cell, "not an image file")
        return self._by_name(cell, path, whole=whole)

    def _by_name(self, cell: str, path: str, *, whole: bool) -> str | Problem:
        """By file name or stem, and by the folders as far as both have some; only where a single image answers."""
        answers = self._named.get(PurePosixPath(path).name.casefold(), [])
        if whole or "/" in path:
            answers = _agreeing(path, answers, whole=whole)
        if len(answers) == 1:
            return answers[0]
        return Problem(cell, f"{len(answers)} images are called so" if answers else "no such image file")


def _agreeing(path: str, answers: Sequence[str], *, whole: bool) -> list[str]:
    """Those whose folders do not contradict a path: one ends like the other; of several, those that share most of it.

    A `whole` path is under the root itself, and shares all of it or nothing.
    """
    said = PurePosixPath(path.casefold()).parts[:-1]
    shared: dict[str, int] = {}
    for each in answers:
        held = PurePosixPath(each.casefold()).parts[:-1]
        n = min(len(said), len(held))
        if said == held:
            shared[each] = n + 1
        elif not whole and said[len(said) - n :] == held[len(held) - n :]:
            shared[each] = n
    most = max(shared.values(), default=0)
    return [each for each, n in shared.items() if n == most]

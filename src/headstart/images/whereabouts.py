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
        if text.startswith("/") or (len(text) > 2 and text[1:3] == ":/"):
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
        return self._by_name(cell, path)

    def _by_name(self, cell: str, path: str) -> str | Problem:
        """By the end of the path, then by file name or stem; only where a single image answers."""
        name = PurePosixPath(path).name.casefold()
        answers = self._named.get(name, [])
        if len(answers) > 1 and "/" in path:
            ends = "/" + path.casefold()
            answers = [each for each in answers if ("/" + each.casefold()).endswith(ends)] or answers
        if len(answers) == 1:
            return answers[0]
        return Problem(cell, f"{len(answers)} images are called so" if answers else "no such image file")

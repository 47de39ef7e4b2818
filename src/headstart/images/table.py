"""The image table: one row an image, values only, no I/O.

Rows are columns of equal length. An image is a file (`paths` under `root`) or, for benchmark sets that come
as one array, a row of `pixels`; either way its digest is the hash of its content and `item(i)` is what
`decode` takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import DataError, UnknownName
from headstart.base.hashing import digest_bytes

if TYPE_CHECKING:
    import numpy as np

SPLITS = ("train", "validation", "test")
Spaced = dict[str, dict[str, int]]
"""By target, labels that a source wrote with spaces about them, and how often."""


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and why."""

    path: str
    reason: str


def added(several: Sequence[Spaced]) -> Spaced:
    """Labels with spaces about them of several sources."""
    made: dict[str, Counter[str]] = {}
    for spaced in several:
        for target, labels in spaced.items():
            made.setdefault(target, Counter()).update(labels)
    return {target: dict(labels) for target, labels in made.items()}


def told_spaced(labels: Mapping[str, int], most: int = 5) -> str:
    """The first labels with spaces about them and how often they are there, as one phrase."""
    first = ", ".join(f"{label!r} ({n:,})" for label, n in list(labels.items())[:most])
    return first + (f" and {len(labels) - most:,} more" if len(labels) > most else "")


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Images with their digests, labels, groups and splits.

    Parameters
    ----------
    name : str
        What the source is called in reports.
    root : str
        Folder that `paths` are relative to ("" where the images are `pixels`).
    paths : tuple of str
        Unique name of each image; for files the path under `root`, with forward slashes.
    digests : tuple of str
        Content hash of each image (32 hexadecimal digits).
    labels : dict of str to tuple
        One tuple of labels (str, or None where missing) a target; empty where nothing is labelled.
    groups : tuple of str, optional
        What must never be parted by a split (a patient, a camera, an object).
    splits : tuple of str, optional
        "train", "validation" or "test" for each image; None where the source gives none.
    pixels : ndarray of uint8, shape (n, height, width) or (n, height, width, 3), optional
        The images themselves, for sources that are one array.
    problems : tuple of Problem
        What was left out and why.
    source : str
        Where the data is from, licence and citation, as one sentence.
    spaced : Spaced
        `labels` are without these spaces.
    """

    name: str
    root: str
    paths: tuple[str, ...]
    digests: tuple[str, ...]
    labels: dict[str, tuple[str | None, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None
    splits: tuple[str, ...] | None = None
    pixels: np.ndarray | None = None
    problems: tuple[Problem, ...] = ()
    source: str = ""
    spaced: Spaced = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.paths)
        columns: list[tuple[str, Any]] = [("digests", self.digests), *self.labels.items()]
        columns += [("groups", self.groups), ("splits", self.splits), ("pixels", self.pixels)]
        for name, column in columns:
            if column is not None and len(column) != n:
                raise DataError(f"column {name!r} has {len(column)} rows, the table has {n}")
        if self.splits is not None and (odd := set(self.splits) - set(SPLITS)):
            raise DataError(f"splits are {', '.join(SPLITS)}; found {', '.join(sorted(map(repr, odd)))}")

    def __len__(self) -> int:
        return len(self.paths)

    def item(self, row: int) -> Path | np.ndarray:
        """The image as `decode` takes it: a path or an array."""
        if self.pixels is not None:
            row_pixels: np.ndarray = self.pixels[row]
            return row_pixels
        return Path(self.root) / self.paths[row]

    def items(self) -> list[Path | np.ndarray]:
        """Every image as `decode` takes it (paths and views, no copies)."""
        return [self.item(row) for row in range(len(self))]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the label columns; the first is the default."""
        return tuple(self.labels)

    def target(self, name: str | None = None) -> str:
        """`name`, checked, or the first label column."""
        if name is None:
            if not self.labels:
                raise DataError(f"{self.name} has no labels; give class folders or a ground-truth file")
            return self.targets[0]
        if name not in self.labels:
            raise UnknownName("label column", name, self.labels)
        return name

    def classes(self, target: str | None = None) -> tuple[str, ...]:
        """Sorted classes of a target."""
        return tuple(sorted({label for label in self.labels[self.target(target)] if label is not None}))

    def rows(self, split: str) -> list[int]:
        """Row numbers of one split; `all` gives every row."""
        if split == "all":
            return list(range(len(self)))
        if split not in SPLITS:
            raise UnknownName("split", split, (*SPLITS, "all"))
        return [row for row, at in enumerate(self.splits or ()) if at == split]

    def has_split(self, split: str) -> bool:
        """Whether the source gives a split of that name."""
        return self.splits is not None and split in self.splits

    def select(self, rows: Sequence[int]) -> ImageTable:
        """The table of these rows, in this order."""

        def take(column: tuple[Any, ...] | None) -> Any:
            return None if column is None else tuple(column[row] for row in rows)

        return replace(
            self,
            paths=take(self.paths),
            digests=take(self.digests),
            labels={name: take(column) for name, column in self.labels.items()},
            groups=take(self.groups),
            splits=take(self.splits),
            pixels=None if self.pixels is None else self.pixels[list(rows)],
        )

    def with_splits(self, splits: Sequence[str]) -> ImageTable:
        """The same images under other splits."""
        return replace(self, splits=tuple(splits))

    def without(self, bad: Sequence[Problem]) -> ImageTable:
        """The table less the images named in `bad`, which join `problems`."""
        names = {problem.path for problem in bad}
        kept = self.select([row for row, path in enumerate(self.paths) if path not in names])
        return replace(kept, problems=(*self.problems, *bad))

    def digest(self) -> str:
        """Content of the table: images, labels, groups and given splits, whatever the order of rows."""
        columns = [self.digests, self.paths, *(self.labels[name] for name in sorted(self.labels))]
        columns += [column for column in (self.groups, self.splits) if column is not None]
        lines = sorted(
            "\x1f".join("" if cell is None else cell for cell in row) for row in zip(*columns, strict=True)
        )
        header = "\x1f".join(sorted(self.labels)) + f"|{self.groups is not None}|{self.splits is not None}"
        return digest_bytes(header.encode(), *(line.encode(errors="surrogateescape") for line in lines))

"""Which images learn, choose and test while a method is tuned; what chooses is never what is tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import warn
from headstart.base.hashing import digest_json
from headstart.images.split import ensure_splits, k_folds
from headstart.images.table import ImageTable

Rows = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """Row numbers of one search: what is learned from, what chooses (may be empty), what is tested once.

    `inner` is the inner fold of each row of train where the folds are given; () where they are drawn.
    """

    train: Rows
    validation: Rows
    test: Rows
    inner: Rows = ()

    @property
    def seen(self) -> Rows:
        """Every row that the search may look at."""
        return (*self.train, *self.validation)

    @property
    def splits(self) -> tuple[str, ...]:
        """Of the rows `seen`, for what has one validation part: the first of given inner folds is it."""
        if self.inner:
            return tuple("train" if inner else "validation" for inner in self.inner)
        return ("train",) * len(self.train) + ("validation",) * len(self.validation)


def labelled(table: ImageTable, target: str) -> ImageTable:
    """The rows that have a label; how many have none is told.

    Raises
    ------
    DataError
        No row has one.
    """
    labels = table.labels[target]
    rows = [row for row, label in enumerate(labels) if label is not None]
    if not rows:
        raise DataError(f"{table.name}: no image has a label in {target!r}")
    if len(rows) == len(labels):
        return table
    warn(f"{table.name}: {len(labels) - len(rows)} images have no label in {target!r} and are left out")
    return table.select(rows)


def content(table: ImageTable, target: str, part: Part) -> str:
    """Images, labels and division of a part, as a hash."""
    rows, labels = (part.train, part.validation, part.test), table.labels[target]
    told: list[Any] = [[(table.digests[row], labels[row]) for row in each] for each in rows]
    return digest_json([*told, list(part.inner)] if part.inner else told)


def divide(table: ImageTable, target: str, *, folds: int = 0, seed: int = 0) -> tuple[Part, ...]:
    """One part for a split, or one for each outer fold (nested tuning).

    Parameters
    ----------
    table : ImageTable
        Every row labelled.
    folds : int
        0 for the given split (60/20/20 where there is none), else the number of outer folds; they set a given
        split aside.

    Raises
    ------
    DataError
        Fewer than two classes, a split that is empty, or images that would both choose and test.
    """
    if len(table.classes(target)) < 2:
        raise DataError(f"{table.name}: tuning needs two classes or more in {target!r}")
    order = sorted(range(len(table)), key=lambda row: (table.digests[row], table.paths[row]))
    parts = _folded(table, target, order, folds, seed) if folds else (_split(table, target, order, seed),)
    for part in parts:
        refuse_shared(table, part)
    return parts


def _split(table: ImageTable, target: str, order: list[int], seed: int) -> Part:
    splits = ensure_splits(table, seed=seed, target=target).splits or ()
    train, validation, test = (
        tuple(row for row in order if splits[row] == name) for name in ("train", "validation", "test")
    )
    if not train or not test:
        raise DataError(f"{table.name}: no images to {'test' if train else 'train'} on; give more images")
    return Part(train, validation, test)


def _folded(table: ImageTable, target: str, order: list[int], folds: int, seed: int) -> tuple[Part, ...]:
    labels = [str(table.labels[target][row]) for row in order]
    groups = None if table.groups is None else [table.groups[row] for row in order]
    place = np.array(order)
    return tuple(
        Part(tuple(place[train].tolist()), (), tuple(place[held].tolist()))
        for train, held in k_folds(labels, folds, seed=seed, groups=groups)
    )


def refuse_shared(table: ImageTable, part: Part) -> None:
    """Refuse images that are tested and looked at while tuning, known by their content.

    Raises
    ------
    DataError
        With how many there are and how to go on.
    """
    seen = {table.digests[row]: row for row in part.seen}
    shared = [row for row in part.test if table.digests[row] in seen]
    if shared:
        first, other = table.paths[shared[0]], table.paths[seen[table.digests[shared[0]]]]
        raise DataError(
            f"{table.name}: {len(shared)} of {len(part.test)} test images would also be tuned on "
            f"(first: {first} is the same image as {other}); what is tuned on cannot be the test: "
            "keep each image in one split, or give copies one --group-column"
        )

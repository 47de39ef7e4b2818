"""A teacher that cannot teach what is tuned: told before a network looks at an image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from headstart.base.errors import UsageError
from headstart.images.table import ImageTable
from headstart.methods.teacher import check_classes
from headstart.methods.tune.divide import Part


def refuse_other_classes(teacher: Any, table: ImageTable, target: str, parts: Sequence[Part]) -> None:
    """Refuse a teacher that is fitted already, of other classes than those that some part learns.

    Raises
    ------
    UsageError
        With what it lacks and what it has besides.
    """
    for part in parts:
        check_classes(teacher, {table.labels[target][row] for row in part.train})


def refuse_taught(teacher: Any, tested: Collection[str]) -> None:
    """Refuse a teacher that was fitted on images that are to test, known by their digests."""
    if shared := set(getattr(teacher, "seen_", ())) & set(tested):
        raise UsageError(
            f"teacher: it was fitted or chosen on {len(shared)} of the images that are to test; its student would be "
            "tested on what it was told: give a teacher that has not seen them, or divide the images as it did"
        )

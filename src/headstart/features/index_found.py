"""What a search of an index gives, and what a change of it did: values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import warn
from headstart.features.extract import Extraction
from headstart.images.table import Problem


@dataclass(frozen=True)
class Hit:
    """One image found.

    Attributes
    ----------
    score : float
        Cosine similarity, or distance (metric "l2").
    duplicate : bool
        The query itself (by content), or so alike that it is a copy.
    columns : dict of str to str or None
        The image's other columns in the index.
    """

    rank: int
    root: str
    path: str
    score: float
    duplicate: bool
    columns: dict[str, str | None]

    @property
    def file(self) -> Path:
        """Where the image lay when it was indexed."""
        return Path(self.root) / self.path


@dataclass(frozen=True)
class Found:
    """What was found for one query, nearest first."""

    query: str
    digest: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Changes:
    """What a change did: numbers of images; `n_computed` went through the network."""

    n_added: int = 0
    n_updated: int = 0
    n_removed: int = 0
    n_kept: int = 0
    n_computed: int = 0
    problems: tuple[Problem, ...] = ()


def readable(found: Extraction, at_least: int = 1) -> np.ndarray:
    """Rows of the images that could be read; the others are warned of.

    Raises
    ------
    DataError
        Fewer than `at_least`.
    """
    rows = np.flatnonzero(found.ok)
    first = "; ".join(f"{problem.path}: {problem.reason}" for problem in found.problems[:3])
    if len(rows) < at_least:
        raise DataError(f"none of the {len(found.ok)} images can be read ({first})")
    if found.problems:
        warn(f"left out {len(found.problems)} images that cannot be read ({first})")
    return rows

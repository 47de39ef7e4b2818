"""What a store of vectors does, whatever it is made of: an embedded one, or a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from headstart.features.stores.where import Where

Cells = tuple[str | None, ...]
KEY = ("root", "path")
"""The columns that name an image; `digest` is the hash of its content."""


@dataclass(frozen=True, eq=False)
class Records:
    """Images to be kept: columns of equal length (root, path and digest among them), float32 (n, d) vectors."""

    columns: dict[str, Cells]
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def keys(self) -> list[tuple[str | None, str | None]]:
        """Root and path of each."""
        return list(zip(self.columns["root"], self.columns["path"], strict=True))


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest rows of each query, nearest first.

    Attributes
    ----------
    rows : int64 array (q, k)
        -1 where there are fewer than k.
    scores : float32 array (q, k)
        Cosine similarity, or distance (metric "l2"); NaN beside -1.
    """

    rows: np.ndarray
    scores: np.ndarray


class VectorStore(Protocol):
    """A live handle to the vectors of one index; `change` is one transaction."""

    @property
    def card(self) -> dict[str, Any]:
        """What the index says of itself (see `headstart.features.index_card`)."""
        ...

    @property
    def columns(self) -> dict[str, Cells]:
        """Every column, in the order of rows."""
        ...

    def __len__(self) -> int: ...

    def vectors(self, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Vectors of these rows, float32 (n, d); None: of all."""
        ...

    def search(self, queries: np.ndarray, k: int, where: Where | None = None) -> Neighbours:
        """The k nearest rows in which `where` holds, for each query (float32 (q, d))."""
        ...

    def change(
        self,
        put: Records,
        gone: Sequence[tuple[str | None, str | None]],
        card: dict[str, Any],
        extra: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Add or replace images, remove others and keep the card: all of it, or nothing."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """The `extra` arrays of the last change (a whitening)."""
        ...

"""What a store of vectors does, whatever it is made of: an embedded one, or a database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from headstart.base.errors import DataError
from headstart.features.stores.where import Where

Cells = tuple[str | None, ...]
Key = tuple[str | None, str | None]
KEY = ("root", "path")
"""The columns that name an image; `digest` is the hash of its content."""
BASE = (*KEY, "digest")
EXACT_ROWS = 100_000


@dataclass(frozen=True, eq=False)
class Records:
    """Images to be kept: columns of equal length (root, path and digest among them), float32 (n, d) vectors."""

    columns: dict[str, Cells]
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def keys(self) -> list[Key]:
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
    """A live handle to the vectors of one index; `change` is one transaction.

    A row is the store's own number of an image, 0 or more, growing with the order in which images were put there;
    an image that is put again moves to the end.
    """

    @property
    def address(self) -> str:
        """How a person names this store; never holds a password."""
        ...

    @property
    def card(self) -> dict[str, Any]:
        """What the index says of itself (see `headstart.features.index_card`); {} where there is none yet."""
        ...

    @property
    def approximate(self) -> dict[str, Any] | None:
        """Kind, k and recall of an approximate index; None where search is exact."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        ...

    @property
    def rows(self) -> np.ndarray:
        """Every row, growing: int64 (n,)."""
        ...

    @property
    def columns(self) -> dict[str, Cells]:
        """Every column, in the order of `rows`. A database is read whole for it; `search` and `cells` are not."""
        ...

    def __len__(self) -> int: ...

    def cells(self, rows: Sequence[int] | np.ndarray) -> dict[str, Cells]:
        """Every column at these rows."""
        ...

    def vectors(self, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Vectors of these rows, float32 (n, d); None: of all, in the order of `rows`."""
        ...

    def search(self, queries: np.ndarray, k: int, where: Where | None = None) -> Neighbours:
        """The k nearest rows in which `where` holds, for each query (float32 (q, d)); of equal ones the earlier first.

        Raises
        ------
        UnknownName
            The condition names a column that there is not.
        """
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Be the one writer; what another one has written meanwhile is read first.

        Raises
        ------
        Busy
            Another one is writing.
        """
        ...

    def change(
        self,
        put: Records,
        gone: Sequence[Key],
        card: dict[str, Any],
        extra: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Add or replace images, remove others and keep the card: all of it, or nothing.

        Raises
        ------
        DataError
            A vector is not finite, or of another length.
        Busy
            Another writer was faster.
        """
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """The `extra` arrays of the last change (a whitening)."""
        ...


def check_records(put: Records, n: int, dimension: int) -> None:
    """Refuse vectors that a store of n vectors of this dimension must not take.

    Raises
    ------
    DataError
    """
    bad = np.flatnonzero(~np.isfinite(put.vectors).all(1)) if len(put) else ()
    if len(bad):
        names = ", ".join(str(put.columns["path"][row]) for row in bad[:3])
        raise DataError(f"the features of {len(bad)} images are not finite ({names}); nothing was changed")
    if len(put) and n and put.vectors.shape[1] != dimension:
        raise DataError(f"vectors of {put.vectors.shape[1]} values for an index of {dimension}")


def check_queries(queries: np.ndarray, dimension: int) -> None:
    """Refuse queries that cannot be compared with vectors of this dimension.

    Raises
    ------
    DataError
    """
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise DataError(f"queries of shape {queries.shape} for an index of {dimension} values")
    if not np.isfinite(queries).all():
        raise DataError("a query is not finite (NaN or infinity) and cannot be compared")


def padded(rows: np.ndarray, scores: np.ndarray, k: int) -> Neighbours:
    """Rows and scores (q, m) as neighbours (q, k), with -1 and NaN behind."""
    missing = ((0, 0), (0, k - rows.shape[1]))
    return Neighbours(
        np.pad(rows, missing, constant_values=-1), np.pad(scores, missing, constant_values=np.nan)
    )

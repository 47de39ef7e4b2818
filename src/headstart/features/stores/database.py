"""What stores in databases have alike: a document that says what the index is, and the columns once they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.features.stores.cells import columns_from
from headstart.features.stores.contract import BASE, Cells


class DatabaseStore:
    """A store whose `_body` is the document of the index; subclasses read rows (`_whole`, `_at`)."""

    _body: dict[str, Any]

    @property
    def address(self) -> str:
        """Where the index is; holds no password."""
        raise NotImplementedError

    def _whole(self) -> tuple[np.ndarray, dict[str, Cells]]:
        """Every row and every column."""
        raise NotImplementedError

    def _at(self, rows: Sequence[int] | np.ndarray, field: str) -> list[Any]:
        """One field of these rows."""
        raise NotImplementedError

    @property
    def card(self) -> dict[str, Any]:
        """What the index says of itself; {} where there is none yet."""
        return dict(self._body.get("index", {}))

    @property
    def approximate(self) -> dict[str, Any] | None:
        """Kind, recall and k of the vector index; None where search is exact."""
        found = self._body.get("approximate")
        return dict(found) if found else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._body.get("columns", BASE))

    @property
    def rows(self) -> np.ndarray:
        """Every row, growing."""
        return self._whole()[0]

    @property
    def columns(self) -> dict[str, Cells]:
        """Every column, in the order of `rows`; read whole when first asked for."""
        return self._whole()[1]

    def __len__(self) -> int:
        return int(self._body.get("n", 0))

    def cells(self, rows: Sequence[int] | np.ndarray) -> dict[str, Cells]:
        """Every column at these rows."""
        return columns_from(self.names, self._at(rows, "cells"))

    @property
    def _dimension(self) -> int:
        return int(self._body.get("dimension", 0))

    def _changed(self) -> DataError:
        return DataError(f"{self.address}: another run changed it meanwhile; open it again")

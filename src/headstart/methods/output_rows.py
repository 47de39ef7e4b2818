"""What an estimator with several outputs is fitted on: images with a column of cells an output, train and held out.

From a table, or from X and y as scikit-learn knows them (an array or data frame, a column an output). Images
without any label are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import warn
from headstart.features.extractor import item_digest, listed
from headstart.images.decode import ImageItem
from headstart.images.table import ImageTable

Cells = tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class Rows:
    """Images to fit and to choose on.

    Attributes
    ----------
    items, digests : sequence
    paths : sequence of str or None
    columns : dict of str to tuple
        Cells of each output; None where missing.
    held : ndarray of bool
        Which images choose.
    groups : sequence or None
        Of all images; what inner folds must not part.
    n_unlabelled : int
        Images without any label, left out.
    strict : bool
        Whether an image that cannot be read is an error.
    """

    items: Sequence[ImageItem]
    digests: Sequence[str]
    paths: Sequence[str] | None
    columns: dict[str, Cells]
    held: np.ndarray
    groups: Sequence[Any] | None
    n_unlabelled: int
    strict: bool

    def select(self, at: np.ndarray) -> Rows:
        """Some of the images."""
        rows = at.tolist()
        return replace(
            self,
            items=[self.items[row] for row in rows],
            digests=[self.digests[row] for row in rows],
            paths=None if self.paths is None else [self.paths[row] for row in rows],
            columns={name: tuple(cells[row] for row in rows) for name, cells in self.columns.items()},
            held=self.held[at],
            groups=None if self.groups is None else [self.groups[row] for row in rows],
        )


def rows_of_table(table: ImageTable, targets: Sequence[str]) -> Rows:
    """Train and validation rows of a table that have one of the labels; test is never read.

    Raises
    ------
    DataError
        No training images.
    """
    names = [table.target(name) for name in targets]
    fitting = table.rows("train") if table.splits is not None else table.rows("all")
    if not fitting:
        raise DataError(f"{table.name} has no training images")
    rows = [*fitting, *table.rows("validation")]
    kept = [row for row in rows if any(table.labels[name][row] is not None for name in names)]
    part = table.select(kept)
    held = np.array([split == "validation" for split in part.splits or [""] * len(part)], bool)
    told_unlabelled(len(rows) - len(kept), table.name)
    columns = {name: part.labels[name] for name in names}
    return Rows(
        part.items(), part.digests, part.paths, columns, held, part.groups, len(rows) - len(kept), False
    )


def rows_of_arrays(
    X: Any, y: Any, validation: tuple[Any, Any] | None, groups: Sequence[Any] | None, names: Sequence[str]
) -> Rows:
    """Images X with labels y (n, k), and those of `validation`.

    Parameters
    ----------
    names : sequence of str
        Names of the columns of y where y has none of its own.

    Raises
    ------
    DataError
        Lengths or numbers of columns that do not agree; y of one dimension.
    """
    items, columns = listed(X), columns_of(y, names)
    _agree(items, columns, "y")
    n = len(items)
    if groups is not None and len(groups) != n:
        raise DataError(f"groups: one an image is needed ({n}); got {len(groups)}")
    both, cells = list(items), dict(columns)
    if validation is not None:
        more, held_columns = listed(validation[0]), columns_of(validation[1], list(columns))
        _agree(more, held_columns, "validation")
        if list(held_columns) != list(columns):
            raise DataError(
                f"validation: columns {', '.join(held_columns)}; those of y are {', '.join(columns)}"
            )
        both += more
        cells = {name: (*columns[name], *held_columns[name]) for name in columns}
    held = np.arange(len(both)) >= n
    kept = [row for row in range(len(both)) if any(column[row] is not None for column in cells.values())]
    told_unlabelled(len(both) - len(kept), "X")
    full = None if groups is None else [*groups, *([None] * (len(both) - n))]
    chosen = [both[row] for row in kept]
    return Rows(
        chosen, [item_digest(item) for item in chosen], None,
        {name: tuple(column[row] for row in kept) for name, column in cells.items()}, held[kept],
        None if full is None else [full[row] for row in kept], len(both) - len(kept), True,
    )  # fmt: skip


def told_unlabelled(n: int, where: str) -> None:
    """Say how many images have no label at all."""
    if n:
        images = "1 image has" if n == 1 else f"{n} images have"
        warn(f"{where}: {images} no label of any output; left out")


def columns_of(y: Any, names: Sequence[str] = ()) -> dict[str, Cells]:
    """Columns of cells of y: an array (n, k), a list of rows, a data frame, or a dict of columns.

    Raises
    ------
    DataError
        y has one dimension, or columns and names do not agree.
    """
    if isinstance(y, Mapping):
        return {str(name): cells_of(column) for name, column in y.items()}
    if hasattr(y, "columns") and hasattr(y, "to_numpy"):
        own, array = [str(name) for name in y.columns], np.asarray(y.to_numpy(), dtype=object)
    else:
        own, array = [], np.asarray(y, dtype=object)
    if array.ndim != 2:
        raise DataError(
            f"y: several outputs are columns, shape (n, k); got shape {array.shape}: for one output of classes take "
            "the estimator itself, else give a column, y.reshape(-1, 1)"
        )
    given = own or list(names) or [f"output{at}" for at in range(array.shape[1])]
    if len(given) != array.shape[1]:
        raise DataError(f"y: {array.shape[1]} columns for {len(given)} outputs ({', '.join(given)})")
    return {name: cells_of(array[:, at]) for at, name in enumerate(given)}


def cells_of(column: Any) -> Cells:
    """Values as cells of text; None, NaN and NA are missing, whole numbers have no fraction."""
    return tuple(_cell(value) for value in column)


def _cell(value: Any) -> str | None:
    if value is None or str(value) == "<NA>" or (isinstance(value, float | np.floating) and value != value):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip() or None


def _agree(items: Sequence[Any], columns: Mapping[str, Cells], what: str) -> None:
    n = len(next(iter(columns.values()), ()))
    if len(items) != n:
        raise DataError(f"{what}: {len(items)} images with {n} rows of labels")

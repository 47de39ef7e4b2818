"""The columns that an index keeps of an image table."""

from __future__ import annotations

from headstart.features.stores.contract import Cells
from headstart.images.table import ImageTable

OWN = ("root", "path", "digest", "split", "group")


def filled(columns: dict[str, Cells]) -> dict[str, Cells]:
    """Columns that hold anything."""
    return {name: cells for name, cells in columns.items() if any(cell is not None for cell in cells)}


def root_of(table: ImageTable) -> str:
    """Folder of a table's files; empty where the images are arrays."""
    return table.root if table.pixels is None else ""


def columns_of(table: ImageTable) -> dict[str, Cells]:
    """The table's columns as the index keeps them; a label column whose name is taken is `label_NAME`."""
    made: dict[str, Cells] = {
        "root": (root_of(table),) * len(table), "path": table.paths, "digest": table.digests,
    }  # fmt: skip
    if table.splits is not None:
        made["split"] = table.splits
    if table.groups is not None:
        made["group"] = table.groups
    for target, cells in table.labels.items():
        made[f"label_{target}" if target in OWN else target] = tuple(cells)
    return made

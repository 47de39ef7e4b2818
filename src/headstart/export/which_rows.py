"""Which images a model may be tested on: those of a split, less those it was fitted or chosen on."""

from __future__ import annotations

from headstart.base.errors import DataError, UnknownName
from headstart.base.events import Notice, emit, warn
from headstart.export.bundle import Bundle, Prediction
from headstart.images.table import SPLITS, ImageTable


def rows_of(table: ImageTable, split: str) -> tuple[str, list[int]]:
    """Name and rows of the split that is tested: "" for test where there is one, else all.

    Raises
    ------
    UnknownName
        No such split.
    """
    name = split or ("test" if table.has_split("test") else "all")
    rows = table.rows(name)
    if not rows:
        given = [each for each in SPLITS if table.has_split(each)]
        raise UnknownName(f"split of {table.name}", name, [*given, "all"])
    return name, rows


def unseen(bundle: Bundle, table: ImageTable, rows: list[int], split: str, *, leave_out: bool) -> list[int]:
    """The rows less those that the model has seen; a named split is taken whole, with a warning.

    Raises
    ------
    DataError
        The model has seen all of them.
    """
    seen = bundle.seen()
    known = sum(table.digests[row] in seen for row in rows)
    if known and not leave_out:
        warn(
            f"{table.name}: the model was fitted or chosen on {known} of these {len(rows)} images ({split}); "
            "the scores are too good by that"
        )
        return rows
    kept = [row for row in rows if table.digests[row] not in seen] if known else rows
    if known:
        emit(Notice(f"{table.name}: {known} images that the model was fitted or chosen on are left out"))
    if not kept:
        raise DataError(
            f"{table.name}: the model has seen all {len(rows)} labelled images; "
            "give new ones, or --split all to count these"
        )
    return kept


def asked(bundle: Bundle, table: ImageTable, rows: list[int], views: int) -> Prediction:
    """What the model says of these rows; images that cannot be read are left out, aloud.

    Raises
    ------
    DataError
        None of them could be read.
    """
    found = bundle.predict_proba(
        [table.item(row) for row in rows], [table.paths[row] for row in rows], views=views
    )
    if found.problems:
        first = "; ".join(f"{each.path}: {each.reason}" for each in found.problems[:3])
        warn(f"{table.name}: {len(found.problems)} images cannot be read and are left out ({first})")
    if not found.rows:
        raise DataError(f"{table.name}: none of the {len(rows)} images could be read")
    return found

"""Where the division of a dataset's images comes from, in words: given with them or drawn, as the study's record has it.

Older records do not say it; then it is told from what their runs show, or that it cannot be told.
"""

from __future__ import annotations

from collections.abc import Sequence

from headstart.images.table import ImageTable
from headstart.report.wording import DASH, count
from headstart.study.partition import DRAWN, DRAWN_FOLDS, DRAWN_TEST, GIVEN, GIVEN_FOLDS
from headstart.study.records import Cell, StudyRecord

UNKNOWN = ""


def division_of(record: StudyRecord, dataset: str) -> str:
    """One of the origins of `headstart.study.partition`; `UNKNOWN` where an older record does not show it."""
    if dataset in record.divided:
        return record.divided[dataset]
    cells = [result.cell for result in record.results if result.cell.dataset == dataset]
    if any(cell.fold for cell in cells):
        return GIVEN_FOLDS
    if record.spec.get("folds"):
        return DRAWN_FOLDS
    audited = (record.audits.get(dataset) or {}).get("splits")
    if audited in (GIVEN, DRAWN):
        return str(audited)
    if any(cell.seed is None for cell in cells):  # the seed changes nothing only where the split is given
        return GIVEN
    whole = [cell for cell in cells if not cell.per_class]
    if len({cell.split_digest for cell in whole}) > 1:
        return DRAWN
    return GIVEN if len({cell.seed for cell in whole}) > 1 else UNKNOWN


def repeats(record: StudyRecord, dataset: str) -> str:
    """What the runs of a method differ by: "seed", or "fold" where the source gives folds in place of seeds."""
    return "fold" if division_of(record, dataset) == GIVEN_FOLDS else "seed"


def place_words(cell: Cell) -> str:
    """Which run of its method it is, for a column of seeds: `0`, `fold 1`; a dash where neither changes anything."""
    return f"fold {cell.fold}" if cell.fold else DASH if cell.seed is None else str(cell.seed)


def division_words(record: StudyRecord, dataset: str) -> str:
    """Where the division comes from, and what it did with groups, as a clause."""
    origin, table = division_of(record, dataset), record.tables.get(dataset)
    seeds = {result.cell.seed for result in record.results if result.cell.dataset == dataset}
    who = "each seed" if len(seeds) > 1 else "the seed"
    if origin == GIVEN:
        return f"the split came with the images, and every run keeps to it{_parted(table)}"
    if origin == GIVEN_FOLDS:
        return f"the folds came with the images, and each is a run{_without_groups(table)}"
    if origin == DRAWN_FOLDS:
        return f"{who} drew the folds, with the same share of each class{_kept(table)}"
    if origin == DRAWN_TEST:
        said = f"the images came without a test split, so {who} drew one out of train, with the same share of each class"
        return said + _kept(table)
    if origin == DRAWN:
        said = f"no split to learn from and to test on came with the images, so {who} drew one, with the same share of "
        return f"{said}each class{_kept(table)}"
    return "whether the split came with the images or was drawn is not in the record"


def groups_words(table: ImageTable) -> str:
    """How many groups there are and what splits do with them, as a clause; "" without groups."""
    if table.groups is None:
        return ""
    said = f"; {count(len(set(table.groups)), 'group')}"
    if table.splits is None:
        return f"{said} that no split parts"
    n = _n_parted(table.groups, table.splits)
    return (
        f"{said}, {n:,} of them parted by the given split"
        if n
        else f"{said} that the given split keeps whole"
    )


def _n_parted(groups: Sequence[str], splits: Sequence[str]) -> int:
    places: dict[str, set[str]] = {}
    for group, split in zip(groups, splits, strict=True):
        places.setdefault(group, set()).add(split)
    return sum(len(each) > 1 for each in places.values())


def _kept(table: ImageTable | None) -> str:
    if table is None or table.groups is None:
        return _without_groups(table)
    return "; groups were kept on one side"


def _without_groups(table: ImageTable | None) -> str:
    return "; no groups were given" if table is not None and table.groups is None else ""


def _parted(table: ImageTable | None) -> str:
    """Whether a given split, which is kept as it is, parts groups."""
    if table is None or table.groups is None or table.splits is None:
        return _without_groups(table)
    n = _n_parted(table.groups, table.splits)
    return f"; it parts {count(n, 'group')}" if n else "; it parts no group"

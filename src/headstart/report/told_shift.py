"""Every method of a dataset against its best on other test images, image by image: who is better there, and how sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.measure.paired_values import compare_all_values, compare_all_values_over_splits
from headstart.measure.verdicts import compare_all
from headstart.report.told import ToldApart
from headstart.report.told_tests import MCNEMAR
from headstart.report.told_values import VALUES
from headstart.report.verdict import best_of, ranked, results_of
from headstart.study.records import MethodSummary, StudyRecord
from headstart.study.shifted import FOLDER, unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Seen = tuple[str, int]


def rival_told(record: StudyRecord, dataset: str, kind: str) -> tuple[MethodSummary | None, ToldApart | None]:
    """The method that is highest on other test images where it is not the best, and the test of it and the best.

    (None, None) where the best has no such images or is the highest itself.
    """
    best = best_of(record, dataset)
    there = {
        row.method: each.accuracy.value
        for row in ranked(record, dataset)
        for each in row.shifts
        if each.kind == kind
    }
    if best is None or best.method not in there:
        return None, None
    top = max(there, key=lambda method: there[method])
    if top == best.method:
        return None, None
    row = next(each for each in ranked(record, dataset) if each.method == top)
    return row, shift_told(record, dataset, kind)


def shift_told(record: StudyRecord, dataset: str, kind: str) -> ToldApart | None:
    """The finished methods by the share of conditions (or fits) under which each image was right.

    Where every run saw the same images in one order, over images and seeds; where each seed drew images of its own, or
    folds put them in another order, seed by seed (`headstart.measure.paired_values`). Holm's correction is over all
    pairs of methods: which one is highest there was not known before. None where the best or all others have no such
    record.

    Parameters
    ----------
    record : StudyRecord
    dataset : str
    kind : {"folder", "corruptions"}
    """
    best = best_of(record, dataset)
    rows = [row for row in ranked(record, dataset) if row.status == "done"]
    shares = {row.method: found for row in rows if (found := _shares(record, row, kind))}
    if best is None or best.method not in shares or len(shares) < 2:
        return None
    names = [best.method, *(name for name in shares if name != best.method)]
    sizes = {seen: len(part) for each in shares.values() for seen, part in each.items()}
    if any(len(part) != sizes[seen] for each in shares.values() for seen, part in each.items()):
        return None
    if kind == FOLDER or _one_order(record, rows):
        if len(set(sizes.values())) > 1:
            return None
        stacked = [np.stack([*shares[name].values()]) for name in names]
        how, test = "on the same images, by a paired t-test over images and seeds", VALUES
        if all(np.isin(each, (0.0, 1.0)).all() for each in stacked):
            verdicts, test = compare_all(names, [each > 0 for each in stacked], against=0), MCNEMAR
            how = (
                how
                if any(len(each) > 1 for each in stacked)
                else "on the same images, by McNemar's test (mid-p)"
            )
        else:
            verdicts = compare_all_values(names, stacked, against=0)
    else:
        number = {seen: at for at, seen in enumerate(sizes)}
        parts = [{number[seen]: part for seen, part in shares[name].items()} for name in names]
        verdicts = compare_all_values_over_splits(names, parts, against=0)
        how, test = "on the same images of each seed, by a paired t-test over images and splits", VALUES
    cells = {row.method: row.cells for row in rows if row.method in shares}
    return ToldApart(best, verdicts, cells, how, test)


def _one_order(record: StudyRecord, rows: list[MethodSummary]) -> bool:
    """Whether all runs read one set of images, in one order."""
    runs = [run for row in rows for run in results_of(record, row)]
    return len({run.cell.shifted for run in runs}) == 1 and all(run.n_fits <= 1 for run in runs)


def _shares(record: StudyRecord, row: MethodSummary, kind: str) -> dict[Seen, Floats]:
    """Share of right answers of each image in every run, by which images they were and the seed; {} of older runs."""
    found = {}
    for run in results_of(record, row):
        shift = next((each for each in run.shifts if each.kind == kind), None)
        if shift is not None and shift.right and run.whole:
            n_times = max(1, len(shift.by) or run.n_fits)
            found[run.cell.shifted, run.cell.seed or 0] = unpacked(shift.right).astype(float) / n_times
    return found

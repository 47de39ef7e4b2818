"""Methods compared by what each test image scores in their runs, by the test that these runs allow.

| what the runs tested | right or wrong | any other score |
|---|---|---|
| the same images | McNemar's, or paired t over images and seeds | paired t over images and seeds |
| a split a seed, fewer than five | paired t over images and splits | the same |
| a split a seed, five or more; given folds | corrected resampled t | the same |
| drawn folds, once or repeated | corrected resampled t, fold by fold | the same |

The same rules as in `headstart.report.told_tests`, for scores that no single answer gives: outputs, searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.measure.paired_splits import compare_all_over_splits
from headstart.measure.paired_values import compare_all_values, compare_all_values_over_splits
from headstart.measure.verdicts import Verdicts, compare_all, compare_all_splits
from headstart.report.told_tests import CORRECTED_T, MCNEMAR, OVER_SPLITS
from headstart.report.verdict import LEAST_SPLITS
from headstart.report.wording import count
from headstart.study.records import CellResult, StudyRecord
from headstart.study.summarise import fold_ratio, split_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

VALUES = "values"
"""Name of the test of what each image scores (`headstart.measure.paired_values`)."""
IMAGES, SPLITS, FOLDS, CORRECTED = "images", "splits", "folds", "corrected"
BY = {
    IMAGES: "by a paired t-test over images",
    SPLITS: "by a paired t-test over images and splits",
    FOLDS: "by the corrected resampled t-test",
    CORRECTED: "by the corrected resampled t-test",
}


@dataclass(frozen=True, eq=False)
class Tested:
    """What the runs of every method were tested on, one entry a seed.

    Attributes
    ----------
    runs : tuple of CellResult
        Those of one method; the others' were tested on the same.
    images : tuple of ndarray of int, shape (n_s,)
        Rows of the test images in the dataset's table, sorted.
    folds : tuple of ndarray of float, shape (n_s,)
        The drawn fold that held each of them out; all 0 of one fit.
    test : {"images", "splits", "folds", "corrected"}
        What the methods are compared over.
    how : str
        The same as a clause.
    """

    runs: tuple[CellResult, ...]
    images: tuple[NDArray[np.int64], ...]
    folds: tuple[Floats, ...]
    test: str
    how: str

    @property
    def by(self) -> str:
        """The test of scores that are not right or wrong, as a clause."""
        return BY[self.test]


def tested_on(record: StudyRecord, runs: Sequence[CellResult]) -> Tested:
    """What these runs of one method were tested on; the record holds their test rows."""
    test, how = _test(runs)
    images = tuple(np.sort(np.asarray(record.test_rows[run.cell.id], dtype=np.int64)) for run in runs)
    return Tested(tuple(runs), images, tuple(_fold_numbers(record, run) for run in runs), test, how)


def _test(runs: Sequence[CellResult]) -> tuple[str, str]:
    one, n = runs[0], len(runs)
    if len(one.tested) > 1:
        often = f", {n} times over" if n > 1 else ""
        return FOLDS, f"over {len(one.tested)} folds{often}, fold by fold"
    if len({run.cell.split_digest for run in runs}) > 1:
        few = n < LEAST_SPLITS and not one.cell.fold
        return SPLITS if few else CORRECTED, f"over {n} {'given folds' if one.cell.fold else 'splits'}"
    return IMAGES, f"on the same {count(one.n_test, 'test image')}"


def in_order(record: StudyRecord, run: CellResult, scores: Floats) -> Floats:
    """What the test images of a run score, in the order of their rows: folds of two seeds stand in another order."""
    return scores[np.argsort(record.test_rows[run.cell.id], kind="stable")]


def _fold_numbers(record: StudyRecord, run: CellResult) -> Floats:
    numbers = np.zeros(len(record.test_rows[run.cell.id]))
    if len(run.tested) > 1:
        numbers = np.repeat(np.arange(len(run.tested), dtype=np.float64), run.tested)
    return in_order(record, run, numbers)


def compare_scores(
    names: Sequence[str], scores: Sequence[Sequence[Floats]], on: Tested, *, shares: bool = False,
    against: int | None = None,
) -> Verdicts | None:  # fmt: skip
    """Verdicts on methods by what their test images score; None where fewer than two images of a run do.

    Parameters
    ----------
    names : sequence of str
    scores : sequence of sequence of ndarray of float, shape (n_s,)
        By method, then by seed, in the order of `in_order`; NaN where an image has no score, the same for all methods.
    on : Tested
    shares : bool
        Whether the scores are 1 for right and 0 for wrong.
    against : int, optional
        Place of the one method whose pairs are wanted; Holm's correction is over all pairs either way.
    """
    known = [np.isfinite(part) for part in scores[0]]
    if min(int(part.sum()) for part in known) < 2:
        return None
    if on.test == FOLDS:
        return over_folds(names, scores, on.folds, against)
    kept = [[part[at] for part, at in zip(way, known, strict=True)] for way in scores]
    if on.test == CORRECTED:
        means = np.array([[part.mean() for part in way] for way in kept])
        ratio = fold_ratio(on.runs) if on.runs[0].cell.fold else split_ratio(on.runs)
        return compare_all_splits(names, means, test_over_train=ratio, against=against)
    if on.test == SPLITS:
        parts = [dict(enumerate(way)) for way in kept]
        if not shares:
            return compare_all_values_over_splits(names, parts, against=against)
        which = [rows[at] for rows, at in zip(on.images, known, strict=True)]
        return compare_all_over_splits(names, parts, dict(enumerate(which)), against=against)
    whole = [np.stack(way) for way in kept]
    return (compare_all if shares else compare_all_values)(names, whole, against=against)


def statistic(on: Tested, *, shares: bool = False) -> str:
    """The name of the test that `compare_scores` takes: one of `headstart.report.told_tests`, or "values"."""
    if on.test in (FOLDS, CORRECTED):
        return CORRECTED_T
    if not shares:
        return VALUES
    return OVER_SPLITS if on.test == SPLITS else MCNEMAR


def over_folds(
    names: Sequence[str], each: Sequence[Sequence[Floats]], folds: Sequence[Floats], against: int | None = None
) -> Verdicts:  # fmt: skip
    """The corrected resampled t-test over every fold of every repeat, n_test / n_train = 1 / (k - 1)."""
    places = [(number, at == fold) for number, at in enumerate(folds) for fold in np.unique(at)]
    # a fold may hold no label of an output that not every image has
    known = [(number, at) for number, at in places if np.isfinite(each[0][number][at]).any()]
    means = [[np.nanmean(way[number][at]) for number, at in known] for way in each]
    sizes = [np.unique(at, return_counts=True)[1] for at in folds]
    ratio = float(np.mean([n / (part.sum() - n) for part in sizes for n in part]))
    return compare_all_splits(names, np.array(means), test_over_train=ratio, against=against)

"""What every method said of every test image, from the store of a study: for paired tests and for looking at.

Methods are compared on the same images. Where each seed drew a split of its own, the answers on the images of the
first seed come first, with one run a method, and those of every other seed in `rest`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.report.division import division_of
from headstart.report.verdict import datasets, ranked
from headstart.study.partition import GIVEN
from headstart.study.records import CellResult, MethodSummary, StudyRecord
from headstart.study.store import FILE, StudyStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """The answers of all finished methods on one dataset.

    Attributes
    ----------
    dataset : str
    methods : tuple of str
        The best first, as in the results table.
    cells : dict of str to tuple of str
        The runs behind the answers of a method.
    classes : tuple of str
    rows : tuple of int
        Row numbers of the test images in the dataset's table.
    truth : ndarray of int, shape (n,)
        Class numbers.
    said : dict of str to ndarray of int, shape (n_runs, n)
        Class numbers that a method named.
    seed : int or None
        The seed whose split these images are, where every seed drew its own.
    folds : ndarray of int, shape (n,), or None
        The fold that held each image out, where all predictions of drawn folds are one run.
    rest : tuple of Answers
        The same of every other seed, where every seed drew its own split; a method need not have all seeds.
    """

    dataset: str
    methods: tuple[str, ...]
    cells: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    rows: tuple[int, ...]
    truth: Numbers
    said: dict[str, Numbers]
    seed: int | None = None
    folds: Numbers | None = None
    rest: tuple[Answers, ...] = ()

    @property
    def splits(self) -> tuple[Answers, ...]:
        """These answers and those of the other seeds, one entry a split."""
        return (self, *self.rest)

    def runs(self, method: str) -> tuple[str, ...]:
        """Every run behind the answers of a method, on all splits."""
        return tuple(cell for each in self.splits for cell in each.cells.get(method, ()))

    def correct(self, method: str) -> NDArray[np.bool_]:
        """Right or wrong, shape (n_runs, n)."""
        return np.asarray(self.said[method] == self.truth, dtype=bool)


def load_answers(record: StudyRecord) -> dict[str, Answers]:
    """The answers on each dataset, by its name; a dataset with fewer than two finished methods is left out.

    Parameters
    ----------
    record : StudyRecord
        Of a study whose store lies in `record.folder`; {} where there is none.
    """
    if not (Path(record.folder) / FILE).is_file():
        return {}
    with StudyStore(record.folder, must_exist=True) as store:
        found = {name: _of(record, store, name) for name in datasets(record) if name in record.tables}
    return {name: answers for name, answers in found.items() if answers is not None}


def _of(record: StudyRecord, store: StudyStore, dataset: str) -> Answers | None:
    rows = [row for row in ranked(record, dataset) if row.status == "done"]
    by_id = {result.cell.id: result for result in record.results if result.whole}
    runs = {row.method: _runs(row, by_id) for row in rows}
    if len(rows) < 2 or not all(runs.values()):
        return None
    same = len({run.cell.split_digest for each in runs.values() for run in each}) == 1
    # with some images a class every seed has its own digest, though a given split tests the same images
    if same or division_of(record, dataset) == GIVEN:
        return _joined(record, store, dataset, runs, None)
    made = []
    for seed in sorted({run.cell.seed or 0 for each in runs.values() for run in each}):
        own = {name: [run for run in each if (run.cell.seed or 0) == seed] for name, each in runs.items()}
        own = {name: each for name, each in own.items() if each}
        answers = _joined(record, store, dataset, own, seed) if len(own) > 1 else None
        made += [] if answers is None else [answers]
    return replace(made[0], rest=tuple(made[1:])) if made else None


def _runs(row: MethodSummary, by_id: Mapping[str, CellResult]) -> list[CellResult]:
    return [by_id[cell] for cell in row.cells if cell in by_id]


def _joined(
    record: StudyRecord, store: StudyStore, dataset: str, runs: Mapping[str, Sequence[CellResult]], seed: int | None
) -> Answers | None:  # fmt: skip
    table, classes = record.tables[dataset], next(iter(runs.values()))[0].classes
    number = {path: row for row, path in enumerate(table.paths)}
    said: dict[str, list[Numbers]] = {}
    paths: list[str] | None = None
    fold_of: dict[str, int] = {}
    for method, each in runs.items():
        for run in each:
            stored = store.probabilities(run.cell.id)
            if stored is None or run.classes != classes:
                return None
            named = dict(zip(stored[1], stored[0].argmax(axis=1), strict=True))
            fold_of = fold_of or _folds(run, stored[1])
            paths = paths if paths is not None else sorted(named, key=lambda path: number.get(path, -1))
            if set(paths) != set(named) or any(path not in number for path in paths):
                return None
            said.setdefault(method, []).append(np.array([named[path] for path in paths], dtype=np.int64))
    labels, rows = table.labels[record.targets[dataset]], tuple(number[path] for path in paths or ())
    index = {label: at for at, label in enumerate(classes)}
    return Answers(
        dataset,
        tuple(runs),
        {method: tuple(run.cell.id for run in each) for method, each in runs.items()},
        classes,
        rows,
        np.array([index.get(labels[row] or "", -1) for row in rows], dtype=np.int64),
        {method: np.stack(each) for method, each in said.items()},
        seed,
        np.array([fold_of[path] for path in paths or ()], dtype=np.int64) if fold_of else None,
    )


def _folds(run: CellResult, paths: Sequence[str]) -> dict[str, int]:
    """The fold of each image that a run of drawn folds tested; {} of one fit, and of a run that kept no sizes."""
    if len(run.tested) < 2 or sum(run.tested) != len(paths):
        return {}
    numbers = np.repeat(np.arange(len(run.tested)), run.tested)
    return {path: int(number) for path, number in zip(paths, numbers, strict=True)}

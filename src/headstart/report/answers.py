"""What every method said of every test image, from the store of a study: for paired tests and for looking at.

Methods are compared on the same images. Where each seed drew a split of its own, those of the first seed are
taken, with one run a method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.report.verdict import datasets, ranked
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
    """

    dataset: str
    methods: tuple[str, ...]
    cells: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    rows: tuple[int, ...]
    truth: Numbers
    said: dict[str, Numbers]
    seed: int | None = None

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
    by_id = {result.cell.id: result for result in record.results if result.status == "done"}
    runs = {row.method: _runs(row, by_id) for row in rows}
    if len(rows) < 2 or not all(runs.values()):
        return None
    seed = None
    if len({run.cell.split_digest for each in runs.values() for run in each}) > 1:
        seed = min(run.cell.seed or 0 for run in runs[rows[0].method])
        runs = {name: [run for run in each if run.cell.seed == seed] for name, each in runs.items()}
        runs = {name: each for name, each in runs.items() if each}
    return _joined(record, store, dataset, runs, seed) if len(runs) > 1 else None


def _runs(row: MethodSummary, by_id: Mapping[str, CellResult]) -> list[CellResult]:
    return [by_id[cell] for cell in row.cells if cell in by_id]


def _joined(
    record: StudyRecord, store: StudyStore, dataset: str, runs: Mapping[str, Sequence[CellResult]], seed: int | None
) -> Answers | None:  # fmt: skip
    table, classes = record.tables[dataset], next(iter(runs.values()))[0].classes
    number = {path: row for row, path in enumerate(table.paths)}
    said: dict[str, list[Numbers]] = {}
    paths: list[str] | None = None
    for method, each in runs.items():
        for run in each:
            stored = store.probabilities(run.cell.id)
            if stored is None or run.classes != classes:
                return None
            named = dict(zip(stored[1], stored[0].argmax(axis=1), strict=True))
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
    )

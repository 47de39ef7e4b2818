"""One tuned cell: search in each fold on what may choose, then fit with what was found and test once.

The search is that of `headstart tune`: Optuna's TPE on one storage in the study's folder, the method's own defaults
as its first trial, so a run that was stopped goes on with the trials it has. What the adviser says gives it nothing
to begin with: that ranks layers, cuts and heads, which a study runs as methods of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from headstart.base.events import Notice, emit
from headstart.base.hashing import digest_json
from headstart.methods.heads_shared import shared_spaces
from headstart.methods.tune.divide import Part
from headstart.methods.tune.found import SearchRecord
from headstart.methods.tune.job import Job, Search
from headstart.methods.tune.judge import search_record
from headstart.methods.tune.plan import TunePlan
from headstart.methods.tune.trials import HeadTrials, NetworkTrials, Trials
from headstart.methods.tune.work import begin, run_search
from headstart.study.cells import NUMERIC_ERRORS, CellOutcome, agreed, failed
from headstart.study.partition import Dataset
from headstart.study.records import Cell
from headstart.study.tuned import space_of

if TYPE_CHECKING:
    import numpy as np

INNER_FOLDS = 5
Options = dict[str, Any]
RunWith = Callable[[Iterator[Options]], CellOutcome]
"""Runs the cell; the options of each fold in turn."""


@dataclass(eq=False)
class CellJob(Job):
    """The searches of one cell, one a fold; of a network that trains `fixed` are the options not searched."""

    cell: Cell | None = None
    fixed: Options | None = None

    def searches(self) -> list[Search]:
        """One search a fold, named by the cell, so that the same cell finds its trials again."""
        if self.cell is None:
            return []
        space = space_of(self.cell)
        name = digest_json([self.cell.id, "tuned"])
        return [
            Search(fold, space.method, fold, space, f"{space.method} {name} {fold}")
            for fold in range(len(self.parts))
        ]

    def trials(self, search: Search) -> Trials:
        """What measures the trials of a search."""
        part, seed = self.parts[search.fold], self.plan.seed
        if self.fixed is not None:
            return NetworkTrials(search.space, self.table, self.target, self.classes, part, self.fixed, seed)
        return HeadTrials(
            search.space, self.features, self.codes, len(self.classes), part, self.table.groups, seed,
            self.plan.inner_folds,
        )  # fmt: skip


def run_tuned_cell(
    cell: Cell,
    data: Dataset,
    storage: Any,
    run: RunWith,
    *,
    features: np.ndarray | None = None,
    fixed: Options | None = None,
) -> CellOutcome:
    """Search, then run the cell with what was found.

    Parameters
    ----------
    cell : Cell
        A tuned one.
    data : Dataset
    storage : optuna storage
    run : callable
        Takes an iterator of each fold's options and runs the cell with them.
    features : ndarray of float32, shape (n, d), optional
        Of a head: one row for each row of the dataset's table.
    fixed : dict, optional
        Of a network that trains: its options that no trial changes.

    Returns
    -------
    CellOutcome
        With the searches in `tuning` and their seconds as "tune".
    """
    try:
        records = _searched(_job(cell, data, features, fixed), storage)
        options = [best_options(each) for each in records]
    except NUMERIC_ERRORS as error:
        return CellOutcome(failed(cell, error), None, ())
    outcome = run(iter(options))
    result = outcome.result
    if result.status != "done":
        return replace(outcome, result=replace(result, tuning=_kept(records)))
    seconds = sum(trial.seconds for each in records for trial in each.trials)
    return replace(outcome, result=replace(
        result, tuning=_kept(records), seconds={**result.seconds, "tune": seconds},
        chosen={**agreed(options), **result.chosen},
    ))  # fmt: skip


def _kept(records: tuple[SearchRecord, ...]) -> tuple[Options, ...]:
    return tuple(asdict(each) for each in records)


def _job(cell: Cell, data: Dataset, features: Any, fixed: Options | None) -> CellJob:
    how = json.loads(cell.tuned)
    plan = TunePlan(
        scenario=(cell.scenario,), backbone=cell.backbone, trials=how["trials"], seconds=how["seconds"],
        seed=cell.seed or 0, inner_folds=INNER_FOLDS, head=(cell.head,) if cell.head else (),
    )  # fmt: skip
    folds = data.partition(cell.seed, cell.per_class).folds
    parts = tuple(Part(fold.train, fold.validation, fold.test, fold.inner) for fold in folds)
    known = {} if features is None else {(cell.layer, cell.pooling): features}
    return CellJob(plan, data.table, data.target, parts, known, 0, cell=cell, fixed=fixed)


def _searched(job: CellJob, storage: Any) -> tuple[SearchRecord, ...]:
    searches = job.searches()
    if job.cell is not None and job.cell.trains:
        emit(Notice(f"{job.cell.dataset}, {job.cell.place}: {job.cell.method}, trial by trial"))
    with shared_spaces():
        for search in searches:
            begin(job, storage, search)
            run_search(job, storage, search)
    return tuple(search_record(job, storage, each) for each in searches)


def best_options(record: SearchRecord) -> Options:
    """Options of the best trial; {} where these are the method's defaults.

    Raises
    ------
    ValueError
        No trial came to its end.
    """
    best = record.best_trial
    if best is None:
        errors = dict.fromkeys(each.error for each in record.trials if each.error)
        raise ValueError(f"no trial came to its end ({next(iter(errors), 'all were given up')})")
    return {} if best.default else dict(best.params)

"""Run a study: check, plan, extract once, then cell after cell, each stored before the next begins.

Every step asks the store first: the same command goes on where it stopped, a finished study only reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

from headstart.base.errors import UsageError
from headstart.base.events import Notice, Progress, emit, listening, warn
from headstart.base.files import folder_lock
from headstart.base.hashing import digest_json
from headstart.base.optional import require
from headstart.study import passes
from headstart.study.cells import CellOutcome, failed, run_cell
from headstart.study.check import check_study
from headstart.study.error_maps import best_heads, map_best, shown_closely, without_maps
from headstart.study.estimate import cell_seconds, n_fits, spoken
from headstart.study.halving import OutOfTime, Race, contenders
from headstart.study.joint_cells import model_of, run_joint_cell
from headstart.study.networks import networks_of
from headstart.study.partition import Dataset
from headstart.study.prepared import Prepared
from headstart.study.record import load_record
from headstart.study.records import Cell, StudyRecord
from headstart.study.retrieval import RETRIEVAL, run_retrieval_cell
from headstart.study.several_spec import several
from headstart.study.shared_prefix import SharedPrefix
from headstart.study.shifted import block_of
from headstart.study.spec import StudySpec
from headstart.study.store import StudyStore
from headstart.study.trained import classifier_of, estimator_options
from headstart.study.trained_cells import run_rung, run_trained_cell
from headstart.study.tuned import is_tuned

TASK, MAPPED = "runs", "mapped"


def run_study(
    spec: StudySpec, out: str | Path, *, command: str = "", advise: bool | None = None, audits: bool = True
) -> StudyRecord:
    """Run a study, or go on with it, in the folder `out`.

    Parameters
    ----------
    spec : StudySpec
    out : path
        Output folder; holds the store. Runs that it holds already are not repeated; failed ones are.
    command : str
        The command line that would repeat the study, for the report.
    advise : bool, optional
        Keep what the adviser says of each dataset before its first run, for `headstart advise --audit`; by
        default where it takes less than half of the study's expected time.
    audits : bool
        Audit each dataset fast, before its first run, on the features that the study has anyway.

    Returns
    -------
    StudyRecord
        Everything the report needs, failed and missing runs included.

    Raises
    ------
    BadOptions
        Every mistake of the spec, before anything runs.
    Busy
        Another run holds the folder.
    DataError
        Sources that cannot be read, or unreadable images with `on_bad="fail"`.
    StoreError
        The disk is full, or the store cannot be written; what is stored stays readable.
    """
    started = time.monotonic()
    variants = check_study(spec)
    if advise and several(spec):
        raise UsageError("advice is of one target; leave --advice out, or name one target")
    if is_tuned(spec):
        require("optuna", extra="tune", purpose="tuning")
    if Path(out).exists() and not Path(out).is_dir():
        raise UsageError(f"{out} is a file; give an output folder")
    with folder_lock(out), StudyStore(out) as store:
        run = _Run(spec, variants, store, started, advises=advise, audits=audits)
        with listening(run.hear):
            run.begin(command)
            try:
                run.prepare(command)
                run.run_cells()
                run.map_errors()
                run.describe_networks()
            finally:
                run.end()
    return load_record(out)


@dataclass
class _Run(Prepared):
    """A study while it runs."""

    races: dict[str, Race] = field(default_factory=dict)
    trials: Any = None
    prefix: SharedPrefix = field(default_factory=SharedPrefix)

    def end(self) -> None:
        """Close the trials and the record, whatever ended the run."""
        if self.trials is not None:
            self.trials.engine.dispose()
        super().end()

    def _n_train(self, cell: Cell) -> int:
        return len(self.datasets[cell.dataset].partition(cell.seed, cell.per_class).folds[0].train)

    def run_cells(self) -> None:
        """Run what is pending, in the order of the plan, until the budget is up."""
        racing = contenders(self.plan.cells) if self.spec.budget else {}
        self.races = {
            name: Race(name, cells, self.store, self._n_train(cells[0])) for name, cells in racing.items()
        }
        n_done, total = len(self.plan.done), len(self.plan.cells) - len(self.plan.cut - self.plan.done)
        served = {cell.dataset for cell in self.plan.cells if cell.id in self.plan.done}
        skipped = 0
        emit(Progress(TASK, n_done, total))
        for cell in self.plan.pending:
            if self._is_cut(cell):
                total -= 1
                emit(Progress(TASK, n_done, total))
                continue
            if not self._is_ready(cell) or (self._time_is_up() and cell.dataset in served):
                skipped += 1
                continue
            self._run_one(cell)
            served.add(cell.dataset)
            n_done += 1
            emit(Progress(TASK, n_done, total))
        if skipped:
            warn(
                f"the time budget of {self.spec.budget} is up: {skipped} of {total} runs are missing; "
                "the same command goes on with them"
            )

    def _is_ready(self, cell: Cell) -> bool:
        """Whether the features that a run needs are there, or will never be."""
        if self._key(cell) in self.failures:
            return True
        others = () if cell.trains else self._others(cell)
        held = (self.sources[cell.dataset], *(shift.source for shift in others))
        return all(self._place(cell) in source.features for source in held)

    def _is_cut(self, cell: Cell) -> bool:
        """Whether the race of its dataset cut this run's method; the race is run when its first run is due."""
        race = self.races.get(cell.dataset)
        if race is None or not cell.trains:
            return False
        if not race.decided and not self._time_is_up():
            with suppress(OutOfTime):
                race.run(self.plan.done, self._rung, self._time_is_up, self._seconds)
        return cell.base_method in {each.method for each in race.cut}

    def _rung(self, cell: Cell, options: dict[str, Any]) -> dict[str, Any]:
        from headstart.methods.deadline import training_until

        make = partial(classifier_of, cache_gb=self.spec.cache_gb, **options)
        with training_until(self._ends()):
            return run_rung(cell, self.datasets[cell.dataset], make)

    def _run_one(self, cell: Cell) -> None:
        data = self.datasets[cell.dataset]
        if (key := self._key(cell)) in self.failures:
            self.store.put_result(failed(cell, self.failures[key]))
            return
        facts = self.store.passes()[key]
        pass_cost: dict[str, Any] = {
            "extract_seconds": passes.extract_seconds(facts, len(data.table)),
            "extract_bytes": facts["peak_bytes"],
        }
        if cell.scenario == RETRIEVAL:
            self._keep(self._retrieved(cell, data, pass_cost), data)
            return
        if not cell.trains and not cell.sharing:
            self._keep(self._fitted(cell, data, pass_cost), data)
            return
        from headstart.methods.deadline import training_until
        from headstart.methods.kept import kept_until_done

        # a search has a time of its own, and ends with a whole run; any other run ends when the budget is up
        ends = None if cell.tuned else self._ends()
        # a fold that is finished is not trained again if a later one is stopped
        with kept_until_done() as finished:
            with training_until(ends):
                outcome = self._trained(cell, data, pass_cost)
            self._keep(outcome, data)
            if outcome.result.cut_short:
                finished.clear()  # the same command goes on after these folds

    def _keep(self, outcome: CellOutcome, data: Dataset) -> None:
        test = [(data.table.paths[row], data.table.digests[row]) for row in outcome.test_rows]
        self.store.put_result(outcome.result, outcome.probabilities, test)
        if outcome.maps is not None:
            self.store.put_maps(outcome.result.cell.id, outcome.maps)

    def _fitted(self, cell: Cell, data: Dataset, pass_cost: dict[str, Any]) -> CellOutcome:
        from headstart.methods.heads import make_head

        features = self.sources[cell.dataset].rows(self._place(cell))
        weights_bytes = self._variant(cell).card.weights_bytes
        shifts = [(shift, block_of(shift, self._place(cell))) for shift in self._others(cell)]

        def run(options: Iterator[dict[str, Any]]) -> CellOutcome:
            make = lambda name: make_head(name, **next(options))  # noqa: E731
            return run_cell(
                cell, data, features, make_head=make, weights_bytes=weights_bytes, shifts=shifts, **pass_cost
            )

        return self._tuned(cell, data, run, features=features) if cell.tuned else run(repeat({}))

    def _retrieved(self, cell: Cell, data: Dataset, pass_cost: dict[str, Any]) -> CellOutcome:
        source, variant = self.sources[cell.dataset], self._variant(cell)
        last = passes.judge_of(cell, variant.card.layers or {})
        judge = source.rows((cell.backbone, cell.height, cell.width, *last))
        features, weights = source.rows(self._place(cell)), variant.card.weights_bytes
        return run_retrieval_cell(cell, data, features, judge, weights_bytes=weights, **pass_cost)

    def _trained(self, cell: Cell, data: Dataset, pass_cost: dict[str, Any]) -> CellOutcome:
        if cell.sharing:
            return self._joint(cell, data, pass_cost)
        rates = passes.known_rates(self.store)
        expected = n_fits(cell) * cell_seconds(cell, data, self._variant(cell), rates)
        emit(Notice(f"{cell.dataset}, {cell.place}: {cell.method}, about {spoken(expected)}"))
        cache, with_maps = self.spec.cache_gb, shown_closely(cell, self.plan.cells)
        more = {**pass_cost, "with_maps": with_maps, "shifts": self._others(cell), "prefix": self.prefix}

        def run(options: Iterator[dict[str, Any]]) -> CellOutcome:
            make = lambda cell: classifier_of(cell, cache_gb=cache, **next(options))  # noqa: E731
            return run_trained_cell(cell, data, make_classifier=make, **more)

        fixed = estimator_options(cell, cache)
        return self._tuned(cell, data, run, fixed=fixed) if cell.tuned else run(repeat({}))

    def _tuned(self, cell: Cell, data: Dataset, run: Any, **given: Any) -> CellOutcome:
        from headstart.methods.tune.storage import open_storage
        from headstart.study.tuned_cells import run_tuned_cell

        self.trials = self.trials or open_storage(self.store.folder)
        return run_tuned_cell(cell, data, self.trials, run, **given)

    def _joint(self, cell: Cell, data: Dataset, pass_cost: dict[str, Any]) -> CellOutcome:
        variant = self._variant(cell)
        if cell.trains:
            expected = n_fits(cell) * cell_seconds(cell, data, variant, passes.known_rates(self.store))
            emit(Notice(f"{cell.dataset}, {cell.place}: {cell.method}, about {spoken(expected)}"))
        make = partial(model_of, cache_gb=self.spec.cache_gb)
        more = {**pass_cost, "with_maps": cell.trains and shown_closely(cell, self.plan.cells)}
        return run_joint_cell(cell, data, make_model=make, weights_bytes=variant.card.weights_bytes, **more)

    def map_errors(self) -> None:
        """Make maps of the surest errors of each dataset's best method, where it is a head on features."""
        for line in without_maps(self.plan.cells, self.datasets):
            warn(line)
        of = digest_json([cell.id for cell in self.plan.cells])
        if not self.plan.pending and self.store.meta().get(MAPPED) == of:
            return
        results = self.store.results()
        for cell in best_heads(self.plan.cells, results):
            if (place := self._place(cell)) in self.sources[cell.dataset].features:
                rows = self.sources[cell.dataset].rows(place)
                map_best(results[cell.id], self.datasets[cell.dataset], rows, self.store)
        self.store.put_meta(**{MAPPED: of})

    def describe_networks(self) -> None:
        """Keep what the networks are made of, for the report."""
        known = dict(self.store.meta().get("networks") or {})
        self.store.put_meta(networks=networks_of(self.variants, known))

"""Run a study: check, plan, extract once, then cell after cell, each stored before the next begins.

Every step asks the store first: the same command goes on where it stopped, a finished study only reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import product, repeat
from pathlib import Path
from typing import Any

from headstart.base.errors import UsageError
from headstart.base.events import Event, Notice, Progress, emit, listening, warn
from headstart.base.files import folder_lock
from headstart.base.optional import require
from headstart.base.runtime import versions
from headstart.study import passes
from headstart.study.before import record_advice, record_audits, remarks, tell_what_changed
from headstart.study.cells import CellOutcome, failed, run_cell
from headstart.study.error_maps import best_heads, map_best, shown_closely
from headstart.study.estimate import cell_seconds, n_fits, spoken
from headstart.study.halving import OutOfTime, Race, contenders, stored_cut
from headstart.study.joint_cells import model_of, run_joint_cell
from headstart.study.machine import machine
from headstart.study.networks import networks_of
from headstart.study.partition import Dataset
from headstart.study.plan import Plan, make_plan
from headstart.study.record import load_record, seconds_so_far
from headstart.study.records import Cell, StudyRecord
from headstart.study.resolve import Variant, resolve
from headstart.study.retrieval import RETRIEVAL, run_retrieval_cell
from headstart.study.rules import check_plan
from headstart.study.several_spec import several
from headstart.study.shifted import Shift, block_of, shift_digest, shifts_of
from headstart.study.sources import FeatureKey, Source, scan_shifted, scan_sources
from headstart.study.spec import StudySpec, budget_seconds, spec_dict
from headstart.study.store import StudyStore
from headstart.study.trained import classifier_of, estimator_options, trained_methods, tricks_note
from headstart.study.trained_cells import run_rung, run_trained_cell
from headstart.study.trick_spec import told_of
from headstart.study.tuned import META as TUNED_ON
from headstart.study.tuned import how_tuned, is_tuned, refuse_tested

TASK = "runs"


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
    variants = resolve(spec)
    if advise and several(spec):
        raise UsageError("advice is of one target; leave --advice out, or name one target")
    if is_tuned(spec):
        require("optuna", extra="tune", purpose="tuning")
    if Path(out).exists() and not Path(out).is_dir():
        raise UsageError(f"{out} is a file; give an output folder")
    with folder_lock(out), StudyStore(out) as store:
        run = _Run(spec, variants, store, started, advises=advise, audits=audits)
        with listening(run.hear):
            run.begin()
            try:
                run.prepare(command)
                run.run_cells()
                run.map_errors()
                run.describe_networks()
            finally:
                run.end()
    return load_record(out)


@dataclass
class _Run:
    """A study while it runs."""

    spec: StudySpec
    variants: tuple[Variant, ...]
    store: StudyStore
    started: float
    warnings: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    failures: dict[str, BaseException] = field(default_factory=dict)
    races: dict[str, Race] = field(default_factory=dict)
    advises: bool | None = None
    trials: Any = None
    audits: bool = True
    shifts: dict[str, tuple[Shift, ...]] = field(default_factory=dict)
    known_shifts: dict[tuple[str, str], tuple[Shift, ...]] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        """Keep every warning for the report."""
        if isinstance(event, Notice) and event.level == "warning" and event.message not in self.warnings:
            self.warnings.append(event.message)

    def begin(self) -> None:
        """Start the clock of the record."""
        self.store.put_meta(seconds_before=seconds_so_far(self.store), began=time.time(), running=True)

    def end(self) -> None:
        """Close the record, whatever ended the run."""
        if self.trials is not None:
            self.trials.engine.dispose()
        self.store.put_meta(warnings=self.warnings, running=False, seconds_before=self._seconds())

    def map_errors(self) -> None:
        """Make maps of the surest errors of each dataset's best method, where it is a head on features."""
        for cell in best_heads(self.plan.cells, self.store.results()):
            if (place := self._place(cell)) in self.sources[cell.dataset].features:
                rows = self.sources[cell.dataset].rows(place)
                map_best(cell, self.datasets[cell.dataset], rows, self.store)

    def describe_networks(self) -> None:
        """Keep what the networks are made of, for the report."""
        known = dict(self.store.meta().get("networks") or {})
        self.store.put_meta(networks=networks_of(self.variants, known))

    def _seconds(self) -> float:
        return float(self.store.meta()["seconds_before"]) + time.monotonic() - self.started

    # ---- before the first cell ----------------------------------------------------------------------

    def prepare(self, command: str) -> None:
        """Scan, plan, say so, extract what the plan lacks."""
        self.sources = {source.table.name: source for source in scan_sources(self.spec)}
        self.tricks = tricks_note(self.spec, self.variants)
        for line in told_of(self.tricks):
            warn(line)
        known = self.store.passes()
        for source in self.sources.values():
            for variant in self.variants:
                facts = known.get(passes.pass_key(source, variant, self.spec).id)
                source.add_bad(passes.known_problems(facts))
        self.plan = self._planned()
        if is_tuned(self.spec):
            kept = self.store.meta().get(TUNED_ON) or {}
            self.store.put_meta(**{TUNED_ON: refuse_tested(tuple(self.datasets.values()), kept)})
        emit(Notice(self.plan.describe()))
        if self.plan.pending:
            for line in remarks(self.spec, self.plan.cells, self.datasets, self.shifts):
                emit(Notice(line))
        self._write_plan(command)
        if self.advises is not False and self.plan.pending and not several(self.spec):
            record_advice(self.store, self.plan, self.datasets, self.spec, asked=bool(self.advises))
        for _ in range(2):  # twice only where another engine served new layers than the old ones
            if self.plan.pending:
                self._extract()
                self.plan = self._planned()
                self._write_plan(command)
        if self.audits and not several(self.spec):  # what it looks for is of one target
            record_audits(self.store, self.datasets, self.sources, self.variants[0].card, self.spec)
        tell_what_changed(self.store, self.plan.cells, self.datasets)

    def _write_plan(self, command: str) -> None:
        """Write all that a report needs beside the results, so that a study stopped at any time has one."""
        for data in self.datasets.values():
            first = data.partitions[0].splits
            self.store.put_table(data.table.with_splits(first) if first else replace(data.table, splits=None))
        others = [shift.source for shifts in self.shifts.values() for shift in shifts]
        keys = [
            passes.pass_key(source, variant, self.spec).id
            for source in (*self.sources.values(), *others)
            for variant in self.variants
        ]
        self.store.put_meta(
            command=command,
            spec=spec_dict(self.spec),
            cards={each.card.name: each.card.to_dict() for each in reversed(self.variants)},
            versions=versions(),
            machine=machine(),
            warnings=self.warnings,
            plan=[asdict(cell) for cell in self.plan.cells],
            targets={name: source.target for name, source in self.sources.items()},
            outputs={
                name: [output.to_dict() for output in source.outputs]
                for name, source in self.sources.items()
                if source.outputs
            },
            passes=keys,
            tricks=self.tricks,
        )

    def _planned(self) -> Plan:
        from headstart.methods.heads import HEADS

        self.datasets = {name: source.dataset(self.spec) for name, source in self.sources.items()}
        self.shifts = {
            name: self._shifts_of(at, data) for at, (name, data) in enumerate(self.datasets.items())
        }
        known, wish, runs = self.store.passes(), passes.wished(self.spec), self.store.runs()

        def engine_of(dataset: str, variant: Variant) -> tuple[str, str]:
            facts = known.get(passes.pass_key(self.sources[dataset], variant, self.spec).id)
            return passes.served(facts) if facts else wish

        planned = partial(
            make_plan,
            self.spec,
            tuple(self.datasets.values()),
            self.variants,
            trained=trained_methods(self.spec, self.variants),
            uses_seed=lambda head, validated: HEADS[head].uses_seed(validated),
            engine_of=engine_of,
            done=frozenset(run.id for run in runs if run.status == "done"),
            rates=passes.known_rates(self.store, runs),
            shifted={
                name: (shift_digest(shifts), sum(len(shift.source.table) for shift in shifts))
                for name, shifts in self.shifts.items()
            },
            tuned=how_tuned(self.spec),
        )
        plan = planned()
        check_plan(plan.cells)
        cut = stored_cut(self.store, plan.cells) if self.spec.budget else ()
        return planned(cut=frozenset((each.dataset, each.method) for each in cut)) if cut else plan

    def _shifts_of(self, at: int, data: Dataset) -> tuple[Shift, ...]:
        """Other test images of a dataset as it is now; looked for once."""
        key = (data.table.name, data.digest)
        if key not in self.known_shifts:
            self.known_shifts[key] = shifts_of(self.spec, data, at, partial(scan_shifted, spec=self.spec))
        return self.known_shifts[key]

    def _extract(self) -> None:
        """Run each backbone that pending cells need, once a dataset; the first whatever the budget."""
        for variant in self.variants:
            for source in self.sources.values():
                places = passes.places_of(self.plan.pending, source, variant)
                key = passes.pass_key(source, variant, self.spec).id
                if not places or key in self.failures or (self._time_is_up() and source.features):
                    continue
                if error := passes.run_pass(source, variant, places, self.spec, self.store):
                    self.failures[key] = error
        for variant, source in product(self.variants, self.sources.values()):
            self._extract_others(source, variant)

    def _extract_others(self, source: Source, variant: Variant) -> None:
        """The same network over the other test images of a dataset."""
        shape, key = variant.card.preprocessing, passes.pass_key(source, variant, self.spec).id
        calibration = source.calibrations.get((variant.card.name, shape.height, shape.width))
        for shift in self.shifts[source.table.name]:
            places = passes.shift_places(self.plan.pending, source.table.name, shift.source, variant)
            if not places or key in self.failures or (self._time_is_up() and shift.source.features):
                continue
            if error := passes.run_pass(shift.source, variant, places, self.spec, self.store, calibration):
                self.failures[key] = error

    # ---- the cells -------------------------------------------------------------------------------------

    def run_cells(self) -> None:
        """Run what is pending, in the order of the plan, until the budget is up."""
        racing = contenders(self.plan.cells) if self.spec.budget else {}
        self.races = {name: Race(name, cells, self.store) for name, cells in racing.items()}
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
        make = partial(classifier_of, cache_gb=self.spec.cache_gb, **options)
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
        from headstart.methods.kept import kept_until_done

        with kept_until_done():  # a fold that is finished is not trained again if a later one is stopped
            self._keep(self._trained(cell, data, pass_cost), data)

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

    def _others(self, cell: Cell) -> tuple[Shift, ...]:
        return self.shifts[cell.dataset] if cell.shifted else ()

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
        emit(Notice(f"{cell.dataset}, seed {cell.seed}: {cell.method}, about {spoken(expected)}"))
        cache, with_maps = self.spec.cache_gb, shown_closely(cell, self.plan.cells)
        more = {**pass_cost, "with_maps": with_maps, "shifts": self._others(cell)}

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
            emit(Notice(f"{cell.dataset}, seed {cell.seed}: {cell.method}, about {spoken(expected)}"))
        make = partial(model_of, cache_gb=self.spec.cache_gb)
        return run_joint_cell(
            cell, data, make_model=make, weights_bytes=variant.card.weights_bytes, **pass_cost
        )

    def _variant(self, cell: Cell) -> Variant:
        shapes = {
            (v.card.name, v.card.preprocessing.height, v.card.preprocessing.width): v for v in self.variants
        }
        return shapes[cell.backbone, cell.height, cell.width]

    def _key(self, cell: Cell) -> str:
        return passes.pass_key(self.sources[cell.dataset], self._variant(cell), self.spec).id

    def _place(self, cell: Cell) -> FeatureKey:
        place = passes.place_of(cell, self._variant(cell).card.layers or {})
        return cell.backbone, cell.height, cell.width, *place

    def _time_is_up(self) -> bool:
        return time.monotonic() - self.started > (budget_seconds(self.spec.budget) or float("inf"))

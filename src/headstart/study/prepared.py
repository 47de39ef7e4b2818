"""A study before its first run: scanned, planned, extracted, written down, so that one stopped at any time has a report.

Every step asks the store first: features that it holds are not extracted again, and the plan says what is done.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

from headstart.backbones.load import card as card_of
from headstart.base.errors import DataError, HeadstartError
from headstart.base.events import Event, Notice, emit, warn
from headstart.base.runtime import versions
from headstart.methods.heads_catalog import HEAD_CARDS
from headstart.study import passes
from headstart.study.advice_record import advice_places
from headstart.study.before import advice_due, record_advice, record_audits, remarks, tell_what_changed
from headstart.study.check import refused
from headstart.study.halving import stored_cut
from headstart.study.machine import machine
from headstart.study.partition import Dataset
from headstart.study.plan import Plan, make_plan
from headstart.study.record import seconds_so_far
from headstart.study.records import Cell
from headstart.study.resolve import Variant
from headstart.study.rules import check_plan
from headstart.study.several_spec import several
from headstart.study.shifted import Shift, Shifts, shifts_of
from headstart.study.sources import FeatureKey, Source, scan_shifted, scan_sources
from headstart.study.spec import StudySpec, budget_seconds, spec_dict
from headstart.study.store import StudyStore
from headstart.study.trained import trained_methods, tricks_note
from headstart.study.trick_spec import told_of
from headstart.study.tuned import META as TUNED_ON
from headstart.study.tuned import how_tuned, is_tuned, refuse_tested


@dataclass
class Prepared:
    """A study up to its first run, and what its runs ask of it."""

    spec: StudySpec
    variants: tuple[Variant, ...]
    store: StudyStore
    started: float
    warnings: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    failures: dict[str, BaseException] = field(default_factory=dict)
    advises: bool | None = None
    audits: bool = True
    advised: frozenset[str] = frozenset()
    shifts: dict[str, Shifts] = field(default_factory=dict)
    known_shifts: dict[tuple[str, str], Shifts] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        """Keep every warning for the report."""
        if isinstance(event, Notice) and event.level == "warning" and event.message not in self.warnings:
            self.warnings.append(event.message)

    def begin(self, command: str) -> None:
        """Start the clock of the record; of a new study keep what was asked, for it may stop before it has a plan."""
        if "plan" not in self.store.meta():
            self.store.put_meta(command=command, spec=spec_dict(self.spec))  # first: the rest takes its time
            self.store.put_meta(**_here())
        self.store.put_meta(seconds_before=seconds_so_far(self.store), began=time.time(), running=True)

    def end(self) -> None:
        """Close the record, whatever ended the run."""
        self.store.put_meta(warnings=self.warnings, running=False, seconds_before=self._seconds())

    def _seconds(self) -> float:
        return float(self.store.meta()["seconds_before"]) + time.monotonic() - self.started

    # ---- before the first cell ----------------------------------------------------------------------

    def prepare(self, command: str) -> None:
        """Scan, plan, say so, extract what the plan lacks."""
        try:
            self._scan()
        except HeadstartError as error:
            raise refused(self.spec, error) from error
        self.plan = self._planned()
        if is_tuned(self.spec):
            kept = self.store.meta().get(TUNED_ON) or {}
            self.store.put_meta(**{TUNED_ON: refuse_tested(tuple(self.datasets.values()), kept)})
        emit(Notice(self.plan.describe()))
        if self.plan.pending:
            for line in remarks(self.spec, self.plan.cells, self.datasets, self.shifts):
                emit(Notice(line))
        self._write_plan(command)
        due = advice_due(self.store, self.plan, self.datasets, self.spec, asked=self.advises)
        self.advised = frozenset(data.table.name for data in due)
        for _ in range(2):  # twice only where another engine served new layers than the old ones
            if self.plan.pending:
                self._extract()
                self._divide()
                self.plan = self._planned()
                self._write_plan(command)
        if due:
            record_advice(self.store, self.plan, due, self.spec)
        if self.audits:
            self._audit()
        tell_what_changed(self.store, self.plan.cells, self.datasets)

    def _scan(self) -> None:
        """Find the images, those of second test folders too, less those that are known to be unreadable."""
        self.sources = {source.table.name: source for source in scan_sources(self.spec)}
        self.tricks = tricks_note(self.spec, self.variants)
        for line in told_of(self.tricks):
            warn(line)
        known = self.store.passes()
        for source in self.sources.values():
            for variant in self.variants:
                facts = known.get(passes.pass_key(source, variant, self.spec).id)
                source.add_bad(passes.known_problems(facts))
        self._divide()

    def _audit(self) -> None:
        card, runs = self.variants[0].card, bool(self.plan.pending)
        record_audits(self.store, self.datasets, self.sources, card, self.spec, runs=runs)
        if several(self.spec) and runs:
            emit(Notice("the adviser is of one target, and is left out of a study of several"))

    def _write_plan(self, command: str) -> None:
        """Write all that a report needs beside the results, so that a study stopped at any time has one."""
        for data in self.datasets.values():
            first = data.partitions[0].splits
            self.store.put_table(data.table.with_splits(first) if first else replace(data.table, splits=None))
        others = [shift.source for shifts in self.shifts.values() for shift in shifts.every()]
        keys = [
            passes.pass_key(source, variant, self.spec).id
            for source in (*self.sources.values(), *others)
            for variant in self.variants
        ]
        self.store.put_meta(
            command=command,
            spec=spec_dict(self.spec),
            cards={each.card.name: each.card.to_dict() for each in reversed(self.variants)},
            warnings=self.warnings,
            plan=[cell.to_dict() for cell in self.plan.cells],
            targets={name: source.target for name, source in self.sources.items()},
            divided={name: data.origin for name, data in self.datasets.items()},
            outputs={
                name: [output.to_dict() for output in source.outputs]
                for name, source in self.sources.items()
                if source.outputs
            },
            passes=keys,
            tricks=self.tricks,
            **_here(),
        )

    def _divide(self) -> None:
        """Divide each dataset as it is now, and look for its other test images."""
        self.datasets = {name: source.dataset(self.spec) for name, source in self.sources.items()}
        self.shifts = {
            name: self._shifts_of(at, data) for at, (name, data) in enumerate(self.datasets.items())
        }

    def _planned(self) -> Plan:
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
            uses_seed=lambda head, validated: HEAD_CARDS[head].uses_seed(validated),
            engine_of=engine_of,
            done=frozenset(run.id for run in runs if run.status == "done" and not run.cut_short),
            rates=passes.known_rates(self.store, runs),
            shifted=self.shifts,
            tuned=how_tuned(self.spec),
            uncached=lambda name, variant, cells: self._uncached(
                name, variant, cells, engine_of(name, variant)
            ),
        )
        plan = planned()
        check_plan(plan.cells)
        cut = stored_cut(self.store, plan.cells) if self.spec.budget else ()
        return planned(cut=frozenset((each.dataset, each.method) for each in cut)) if cut else plan

    def _uncached(
        self, dataset: str, variant: Variant, cells: Sequence[Cell], served: tuple[str, str]
    ) -> int:
        """Images of a dataset, its other test images among them, that a backbone has yet to run over."""
        source = self.sources[dataset]
        n = passes.n_uncached(source, variant, passes.places_of(cells, source, variant), served, source)
        for shift in self.shifts[dataset].every():
            own = [cell for cell in cells if shift in self._others(cell)]
            places = passes.shift_places(own, shift.source, variant)
            n += passes.n_uncached(shift.source, variant, places, served, source)
        return n

    def _shifts_of(self, at: int, data: Dataset) -> Shifts:
        """Other test images of a dataset as it is now; looked for once."""
        key = (data.table.name, data.digest)
        if key not in self.known_shifts:
            self.known_shifts[key] = shifts_of(self.spec, data, at, partial(scan_shifted, spec=self.spec))
        return self.known_shifts[key]

    def _extract(self) -> None:
        """Run each backbone that pending cells need, once a dataset; the first whatever the budget."""
        for variant in self.variants:
            for source in self.sources.values():
                places = self._places(source, variant)
                key = passes.pass_key(source, variant, self.spec).id
                if not places or key in self.failures or (self._time_is_up() and source.features):
                    continue
                if error := passes.run_pass(source, variant, places, self.spec, self.store):
                    self.failures[key] = error
        for variant, source in product(self.variants, self.sources.values()):
            self._extract_others(source, variant)

    def _places(self, source: Source, variant: Variant) -> passes.Places:
        """What pending cells need, and with it what the adviser will look at: one pass over the images serves both."""
        needed = passes.places_of(self.plan.pending, source, variant)
        size = variant.card.preprocessing
        alike = self.spec.precision == "float32" and size == card_of(variant.card.name).preprocessing
        if not needed or not alike or source.table.name not in self.advised:
            return needed
        try:
            return tuple(dict.fromkeys((*needed, *advice_places(variant.card))))
        except DataError:  # a network without stages, which the adviser says when it is asked
            return needed

    def _extract_others(self, source: Source, variant: Variant) -> None:
        """The same network over the other test images of a dataset."""
        shape, key = variant.card.preprocessing, passes.pass_key(source, variant, self.spec).id
        calibration = source.calibrations.get((variant.card.name, shape.height, shape.width))
        for shift in self.shifts[source.table.name].every():
            cells = [cell for cell in self.plan.pending if shift in self._others(cell)]
            places = passes.shift_places(cells, shift.source, variant)
            if not places or key in self.failures or (self._time_is_up() and shift.source.features):
                continue
            if error := passes.run_pass(shift.source, variant, places, self.spec, self.store, calibration):
                self.failures[key] = error

    def _others(self, cell: Cell) -> tuple[Shift, ...]:
        return self.shifts[cell.dataset].of(self.datasets[cell.dataset], cell.seed) if cell.shifted else ()

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

    def _ends(self) -> float | None:
        """When the budget is up, by `time.monotonic`; None without one."""
        seconds = budget_seconds(self.spec.budget)
        return None if seconds is None else self.started + seconds


def _here() -> dict[str, Any]:
    """Where a study runs."""
    return {"versions": versions(), "machine": machine()}

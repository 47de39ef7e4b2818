"""What will run, before it runs: a pure function of spec, data, splits and cards.

Cells stand in the order in which they tell most: every method under the first seed before any second seed,
and within a seed the first head on all layers (last layer first) before the next head, networks that train last,
most images a class before fewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.study.estimate import Estimate, Rates, Uncached, estimated, spoken
from headstart.study.partition import Dataset
from headstart.study.records import Cell
from headstart.study.resolve import Place, Variant
from headstart.study.retrieval import RETRIEVAL, RETRIEVAL_VERSION
from headstart.study.several import joint_cells
from headstart.study.several_spec import several
from headstart.study.shifted import Shifts
from headstart.study.spec import StudySpec, uses
from headstart.study.trained import TrainedMethod, trained_cell

CELL_VERSION = "1"
"""Part of every cell's id: raised when the same cell would give other numbers."""

HEAD_VERSIONS = {"nearest_mean": "2"}
"""As `CELL_VERSION`, of heads whose defaults have changed since."""

VECTOR_LAYERS = ("pool", "logits")

Served = Callable[[str, Variant], tuple[str, str]]
Keyed = tuple[tuple[int, int], Cell]
"""(seed, what comes later within a seed) and the cell."""


@dataclass(frozen=True)
class Plan:
    """The cells of a study in the order in which they run, those done already and those cut among them."""

    cells: tuple[Cell, ...]
    done: frozenset[str]
    estimate: Estimate
    cut: frozenset[str] = frozenset()

    @property
    def pending(self) -> tuple[Cell, ...]:
        """Cells that are left to run."""
        return tuple(cell for cell in self.cells if cell.id not in self.done and cell.id not in self.cut)

    def describe(self) -> str:
        """The plan as one sentence for a person."""
        methods = _counted(len({cell.method for cell in self.cells}), "method")
        datasets = _counted(len({cell.dataset for cell in self.cells}), "dataset")
        start = f"{_counted(len(self.cells), 'run')}: {methods} on {datasets}"
        n_cut = len(self.cut - self.done)
        away = f", {n_cut} of methods that the budget cut" if n_cut else ""
        if not self.pending:
            return f"{start}{away}; all {'others ' if n_cut else ''}are done already"
        already = (f", {len(self.done)} done already" if self.done else "") + away
        how = (
            "measured here before" if self.estimate.measured else "a rough guess until something is measured"
        )
        trains = self.estimate.train_seconds
        training = f", {spoken(trains)} for training networks" if trains else ""
        extract = self.estimate.extract_seconds
        features = (
            f"{spoken(extract)} for features that are not cached yet"
            if extract
            else "all features are cached"
        )
        return (
            f"{start}{already}; about {spoken(self.estimate.seconds)} ({features}, "
            f"{spoken(self.estimate.fit_seconds)} for classifiers{training}; {how}) "
            f"and {self.estimate.disk_bytes / 1e6:.0f} MB of disk"
        )


def make_plan(
    spec: StudySpec,
    datasets: Sequence[Dataset],
    variants: Sequence[Variant],
    *,
    trained: Sequence[TrainedMethod] = (),
    uses_seed: Callable[[str, bool], bool],
    engine_of: Callable[[str, Variant], tuple[str, str]] | None = None,
    done: frozenset[str] = frozenset(),
    cut: frozenset[tuple[str, str]] = frozenset(),
    rates: Rates | None = None,
    tuned: Mapping[str, str] | None = None,
    shifted: Mapping[str, Shifts] | None = None,
    uncached: Uncached | None = None,
) -> Plan:
    """Plan a study.

    Parameters
    ----------
    spec : StudySpec
    datasets : sequence of Dataset
    variants : sequence of Variant
        Backbones at their input sizes, from `resolve`.
    trained : sequence of TrainedMethod
        Methods that train; planned after the features of the same seed.
    uses_seed : callable
        (head, has a validation split) to whether the seed changes what the head learns.
    engine_of : callable, optional
        (dataset, variant) to the engine and precision that serve; the spec's words where not given.
    done : frozenset of str
        Ids of cells that need no run.
    cut : frozenset of (dataset, method)
        Methods that the budget cut: what of them has not run will not.
    rates : Rates, optional
    tuned : mapping, optional
        Head, or scenario that trains, to how it is tuned (`headstart.study.tuned`); each of its runs is planned
        once more with tuned options, after all others of the seed.
    shifted : mapping of dataset to Shifts, optional
        Other test images.
    uncached : callable, optional
        See `headstart.study.estimate.Uncached`.

    Returns
    -------
    Plan
        The same for the same arguments, whatever the order of rows in a table.
    """
    served = engine_of or (lambda dataset, variant: (spec.engine, spec.precision))
    others = shifted or {}
    keyed = [
        *_feature_cells(spec, datasets, variants, uses_seed, served, others),
        *_retrieval_cells(spec, datasets, variants, served),
        *_training_cells(spec, datasets, trained, others),
    ]
    keyed += _tuned_cells(keyed, tuned or {})
    if several(spec):
        of = {data.table.name: data for data in datasets}
        keyed = [(at, made) for at, cell in keyed for made in joint_cells(cell, of[cell.dataset], spec)]
    cells = tuple(cell for _, cell in sorted(keyed, key=lambda pair: pair[0]))
    ids = {cell.id for cell in cells}
    away = frozenset(cell.id for cell in cells if (cell.dataset, cell.base_method) in cut)
    pending = [cell for cell in cells if cell.id not in done and cell.id not in away]
    n_others = {name: (each.n, each.n_a_run) for name, each in others.items()}
    expected = estimated(pending, datasets, variants, rates or Rates(), n_others, uncached)
    return Plan(cells, done & ids, expected, away)


def _feature_cells(
    spec: StudySpec,
    datasets: Sequence[Dataset],
    variants: Sequence[Variant],
    uses_seed: Callable[[str, bool], bool],
    served: Served,
    shifted: Mapping[str, Shifts],
) -> Iterator[Keyed]:
    if "features" not in uses(spec):
        return
    sizes = {data.table.name: sizes_of(data, spec) for data in datasets}
    for variant, place, pooling, head in _methods(spec.head, spec, variants):
        for data in datasets:
            for per_class in sizes[data.table.name]:
                validated = data.partition(None).has_validation and not per_class
                driven = bool(per_class) or not data.given or uses_seed(head, validated)
                for seed in range(data.n_seeds(spec.seeds)) if driven else (None,):
                    cell = _cell(data, variant, place, pooling, seed, served(data.table.name, variant))
                    yield (
                        (seed or 0, 0),
                        replace(
                            cell,
                            head=head,
                            version=HEAD_VERSIONS.get(head, CELL_VERSION),
                            split_digest=data.partition(seed, per_class).digest,
                            per_class=per_class,
                            shifted=_others(shifted, data, seed),
                        ),
                    )


def _retrieval_cells(
    spec: StudySpec, datasets: Sequence[Dataset], variants: Sequence[Variant], served: Served
) -> Iterator[Keyed]:
    if RETRIEVAL not in uses(spec):
        return
    for variant, place, pooling, search in _methods(spec.search, spec, variants):
        for data in datasets:
            for seed in (None,) if data.given else range(data.n_seeds(spec.seeds)):
                cell = _cell(data, variant, place, pooling, seed, served(data.table.name, variant))
                yield (
                    (seed or 0, 1),
                    replace(cell, scenario=RETRIEVAL, head=search, version=RETRIEVAL_VERSION),
                )


def _training_cells(
    spec: StudySpec,
    datasets: Sequence[Dataset],
    trained: Sequence[TrainedMethod],
    shifted: Mapping[str, Shifts],
) -> Iterator[Keyed]:
    for training in trained:
        for data in datasets:
            for per_class in sizes_of(data, spec):
                for seed in range(data.n_seeds(spec.train_seeds or spec.seeds)):
                    others = _others(shifted, data, seed)
                    yield (seed, 2), trained_cell(data, training, seed, per_class, others)


def _others(shifted: Mapping[str, Shifts], data: Dataset, seed: int | None) -> str:
    """Digest of the other test images of a run."""
    own = shifted.get(data.table.name)
    return own.digest(data, seed) if own else ""


def _tuned_cells(keyed: Sequence[Keyed], tuned: Mapping[str, str]) -> list[Keyed]:
    return [
        ((seed, later + 3), replace(cell, tuned=how))
        for (seed, later), cell in keyed
        if cell.scenario != RETRIEVAL and (how := tuned.get(cell.head or cell.scenario))
    ]


def sizes_of(data: Dataset, spec: StudySpec) -> tuple[int, ...]:
    """Images a class to learn from, most first; a number that no class exceeds is all of them (0)."""
    if data.outputs:
        return (0,)
    asked = {0 if each >= data.most_per_class() else each for each in spec.per_class}
    return tuple(sorted(asked, key=lambda each: -each if each else -math.inf))


def _methods(
    heads: Sequence[str], spec: StudySpec, variants: Sequence[Variant]
) -> Iterator[tuple[Variant, Place, str, str]]:
    for head in heads:
        for variant in variants:
            for place in reversed(variant.places):
                # a vector has nothing to pool: one name stands for all
                for pooling in ("avg",) if place.layer in VECTOR_LAYERS else spec.pooling:
                    yield variant, place, pooling, head


def _cell(
    data: Dataset, variant: Variant, place: Place, pooling: str, seed: int | None, served: tuple[str, str]
) -> Cell:
    shape = variant.card.preprocessing
    return Cell(
        dataset=data.table.name,
        data_digest=data.digest,
        split_digest=data.partition(seed).digest,
        target=data.target,
        backbone=variant.card.name,
        weights_digest=variant.card.weights_digest,
        layer=place.layer,
        module=place.module,
        pooling=pooling,
        height=shape.height,
        width=shape.width,
        preprocessing_digest=shape.digest(),
        engine=served[0],
        precision=served[1],
        scenario="features",
        head="",
        seed=seed,
        version=CELL_VERSION,
        fold=data.fold_of(seed),
    )


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"

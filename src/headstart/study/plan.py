"""What will run, before it runs: a pure function of spec, data, splits and cards.

Cells stand in the order in which they tell most: every method under the first seed before any second seed,
and within a seed the first head on all layers (last layer first) before the next head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headstart.study.partition import Dataset
from headstart.study.records import Cell
from headstart.study.resolve import Place, Variant
from headstart.study.spec import StudySpec

CELL_VERSION = "1"
"""Part of every cell's id: raised when the same cell would give other numbers."""

VECTOR_LAYERS = ("pool", "logits")
_WIDTH = 400
_CELL_BYTES = 6_000


@dataclass(frozen=True)
class Rates:
    """What the estimate of a plan rests on.

    Attributes
    ----------
    images_per_second : dict
        (backbone, height) to a measured rate; others are guessed from `reference` for lite0 at 224 pixels.
    fit_seconds : dict
        Head to measured seconds a fit; others are guessed from the number of images.
    reference : float
        Images a second, decoding included, of lite0 at 224 pixels.
    """

    images_per_second: Mapping[tuple[str, int], float] = field(default_factory=dict)
    fit_seconds: Mapping[str, float] = field(default_factory=dict)
    reference: float = 120.0


@dataclass(frozen=True)
class Estimate:
    """Expected cost of what is left to run."""

    extract_seconds: float
    fit_seconds: float
    disk_bytes: int
    measured: bool

    @property
    def seconds(self) -> float:
        """Expected seconds in all."""
        return self.extract_seconds + self.fit_seconds


@dataclass(frozen=True)
class Plan:
    """The cells of a study in the order in which they run, those already done among them."""

    cells: tuple[Cell, ...]
    done: frozenset[str]
    estimate: Estimate

    @property
    def pending(self) -> tuple[Cell, ...]:
        """Cells that are left to run."""
        return tuple(cell for cell in self.cells if cell.id not in self.done)

    def describe(self) -> str:
        """The plan as one sentence for a person."""
        methods = _counted(len({cell.method for cell in self.cells}), "method")
        datasets = _counted(len({cell.dataset for cell in self.cells}), "dataset")
        pending = len(self.pending)
        start = f"{_counted(len(self.cells), 'run')}: {methods} on {datasets}"
        if not pending:
            return f"{start}; all are done already"
        already = f", {len(self.cells) - pending} done already" if pending < len(self.cells) else ""
        how = (
            "measured here before" if self.estimate.measured else "a rough guess until something is measured"
        )
        return (
            f"{start}{already}; about {_spoken(self.estimate.seconds)} "
            f"({_spoken(self.estimate.extract_seconds)} for features that are not cached yet, "
            f"{_spoken(self.estimate.fit_seconds)} for classifiers; {how}) "
            f"and {self.estimate.disk_bytes / 1e6:.0f} MB of disk"
        )


def make_plan(
    spec: StudySpec,
    datasets: Sequence[Dataset],
    variants: Sequence[Variant],
    *,
    uses_seed: Callable[[str, bool], bool],
    engine_of: Callable[[str, Variant], tuple[str, str]] | None = None,
    done: frozenset[str] = frozenset(),
    rates: Rates | None = None,
) -> Plan:
    """Plan a study.

    Parameters
    ----------
    spec : StudySpec
    datasets : sequence of Dataset
    variants : sequence of Variant
        Backbones at their input sizes, from `resolve`.
    uses_seed : callable
        (head, has a validation split) to whether the seed changes what the head learns.
    engine_of : callable, optional
        (dataset, variant) to the engine and precision that serve; the spec's words where not given.
    done : frozenset of str
        Ids of cells that need no run.
    rates : Rates, optional

    Returns
    -------
    Plan
        The same for the same arguments, whatever the order of rows in a table.
    """
    served = engine_of or (lambda dataset, variant: (spec.engine, spec.precision))
    keyed: list[tuple[int, Cell]] = []
    for method in _methods(spec, variants):
        for data in datasets:
            driven = not data.given or uses_seed(method[-1], data.partition(None).has_validation)
            for seed in range(spec.seeds) if driven else (None,):
                keyed.append((seed or 0, _cell(data, method, seed, served(data.table.name, method[0]))))
    cells = tuple(cell for _, cell in sorted(keyed, key=lambda pair: pair[0]))
    estimate = _estimate(
        [cell for cell in cells if cell.id not in done], datasets, variants, rates or Rates()
    )
    return Plan(cells, done & {cell.id for cell in cells}, estimate)


def _methods(spec: StudySpec, variants: Sequence[Variant]) -> Iterator[tuple[Variant, Place, str, str]]:
    for head in spec.head:
        for variant in variants:
            for place in reversed(variant.places):
                # a vector has nothing to pool: one name stands for all
                for pooling in ("avg",) if place.layer in VECTOR_LAYERS else spec.pooling:
                    yield variant, place, pooling, head


def _cell(
    data: Dataset, method: tuple[Variant, Place, str, str], seed: int | None, served: tuple[str, str]
) -> Cell:
    variant, place, pooling, head = method
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
        head=head,
        seed=seed,
        version=CELL_VERSION,
    )


def _estimate(
    pending: Sequence[Cell], datasets: Sequence[Dataset], variants: Sequence[Variant], rates: Rates
) -> Estimate:
    by_name = {data.table.name: data for data in datasets}
    cards = {(each.card.name, each.card.preprocessing.height): each for each in variants}
    passes = {(cell.dataset, cell.backbone, cell.height) for cell in pending}
    extract = sum(len(by_name[name].table) / _rate(cards[key, size], rates) for name, key, size in passes)
    fit, disk = 0.0, 0
    taps = {(cell.dataset, cell.backbone, cell.height, cell.module, cell.pooling) for cell in pending}
    for cell in pending:
        data = by_name[cell.dataset]
        partition = data.partition(cell.seed)
        n_train = len(partition.folds[0].train)
        guess = rates.fit_seconds.get(cell.head, 0.2 + n_train / 2000)
        fit += guess * len(partition.folds)
        disk += _CELL_BYTES + 4 * len(partition.test_rows) * len(data.classes())
    disk += sum(len(by_name[name].table) * _WIDTH * 4 for name, *_ in taps)
    measured = all((key, size) in rates.images_per_second for _, key, size in passes)
    measured = measured and all(cell.head in rates.fit_seconds for cell in pending)
    return Estimate(extract, fit, disk, measured)


def _rate(variant: Variant, rates: Rates) -> float:
    card, shape = variant.card, variant.card.preprocessing
    if known := rates.images_per_second.get((card.name, shape.height)):
        return known
    size = max(card.n_parameters, 1_000_000) / 4_652_008
    return rates.reference / size / (shape.height * shape.width / 224**2)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

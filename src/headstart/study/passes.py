"""One pass of one backbone over one dataset serves every layer, pooling, head, seed and fold.

What a pass showed (which engine served, how fast, what it could not read, what it warned of) is kept in the
store, so that a finished study needs no pass and a resumed one only those for what is new.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import Event, Progress, collected_warnings, listening, warn
from headstart.base.hashing import digest_json
from headstart.images.table import Problem
from headstart.study.cells import NUMERIC_ERRORS
from headstart.study.cost import measured
from headstart.study.estimate import Rates, Timed
from headstart.study.records import Cell, CellResult
from headstart.study.resolve import Variant
from headstart.study.retrieval import RETRIEVAL
from headstart.study.sources import Source
from headstart.study.spec import StudySpec
from headstart.study.store import StoredRun, StudyStore

Places = tuple[tuple[str, str], ...]
"""(module, pooling) of every tap."""

LEAST_TIMED = 32
"""Images between two batches that make a rate; datasets of less than twice as many have none."""
TIMED_IMAGES = 256


@dataclass(frozen=True)
class PassKey:
    """What decides a pass, less the taps."""

    data: str
    weights_digest: str
    preprocessing_digest: str
    engine: str
    precision: str

    @property
    def id(self) -> str:
        """Key in the store."""
        return digest_json(
            [self.data, self.weights_digest, self.preprocessing_digest, self.engine, self.precision]
        )


def pass_key(source: Source, variant: Variant, spec: StudySpec) -> PassKey:
    """The key of a source, a backbone at its size, and the engine and precision that were asked for."""
    card = variant.card
    return PassKey(
        source.digest, card.weights_digest, card.preprocessing.digest(), spec.engine, spec.precision
    )


def served(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Engine and precision that served a pass."""
    return str(facts["engine"]["engine"]), str(facts["engine"]["precision"])


def wished(spec: StudySpec) -> tuple[str, str]:
    """Engine and precision that a pass will start with on this machine."""
    from headstart.features.engines.prepare import settle

    wish = settle(spec.engine, spec.precision)
    return wish.engine, wish.precision


def known_problems(facts: Mapping[str, Any] | None) -> list[Problem]:
    """What an earlier pass could not read."""
    return [Problem(*pair) for pair in (facts or {}).get("problems", ())]


def extract_seconds(facts: Mapping[str, Any] | None, n_images: int) -> float | None:
    """Seconds of a pass over `n_images`, from the measured rate; None where nothing was measured."""
    rate = (facts or {}).get("images_per_second")
    return n_images / rate if rate else None


def known_rates(store: StudyStore, runs: Sequence[StoredRun] | None = None) -> Rates:
    """Rates that earlier runs in this folder measured; `runs` are the store's, where the caller has them."""
    passes = store.passes().values()
    rates = {
        (f["backbone"], f["height"], f.get("width", f["height"])): f["images_per_second"]
        for f in passes
        if f.get("images_per_second") and f.get("kind", "data") == "data"
    }
    times: dict[str, dict[int, list[tuple[float, ...]]]] = {}
    for run in store.runs() if runs is None else runs:
        if run.fit_seconds is not None and run.head and not run.sharing:
            each = times.setdefault(run.head, {}).setdefault(run.n_train or 0, [])
            each.append((run.fit_seconds / max(1, run.n_fits or 1),))
    trained = [
        result
        for result in store.results(trained_only=True).values()
        if result.whole  # its last epoch is a part of one
    ]
    return Rates(rates, {head: _means(each) for head, each in times.items()}, _train_seconds(trained))


def _train_seconds(results: Sequence[CellResult]) -> dict[tuple[str, str], Timed]:
    """Seconds an epoch, and of the rest of a fit, of each method that trained."""
    found: dict[tuple[str, str], dict[int, list[tuple[float, ...]]]] = {}
    for result in results:
        trained, n_fits = result.train_seconds or 0.0, len(result.training)
        n_epochs = sum(len(fit.get("curve") or ()) for fit in result.training)
        if n_epochs:
            rest = result.seconds["fit"] + result.seconds["predict"] - trained
            own = found.setdefault((result.cell.dataset, result.cell.method), {})
            own.setdefault(result.n_train, []).append((trained / n_epochs, max(0.0, rest) / n_fits))
    return {key: _means(own) for key, own in found.items()}


def _means(measured: Mapping[int, Sequence[tuple[float, ...]]]) -> Timed:
    """The mean over runs that learned from as many images, part by part."""
    return {
        n: tuple(sum(part) / len(part) for part in zip(*each, strict=True)) for n, each in measured.items()
    }


def n_uncached(source: Source, variant: Variant, places: Places, served: tuple[str, str], of: Source) -> int:
    """Readable images whose features at any of these places are not in the cache.

    Parameters
    ----------
    source : Source
    variant : Variant
    places : Places
    served : (str, str)
        Engine and precision.
    of : Source
        The dataset: a network of lower precision is the same for its other test images.
    """
    from headstart.features.extract import n_uncached

    digests = [
        digest
        for path, digest in zip(source.table.paths, source.table.digests, strict=True)
        if path not in source.bad
    ]
    return n_uncached(digests, variant.card, places, *served, like=of.table.digests) if places else 0


def run_pass(
    source: Source,
    variant: Variant,
    places: Places,
    spec: StudySpec,
    store: StudyStore,
    calibration: Any = None,
) -> BaseException | None:
    """Extract features at `places` into `source`; keep the facts in the store.

    `calibration` is that of another source, so that a network of lower precision is the same for both.

    Returns
    -------
    BaseException or None
        What stopped the pass; the cells that wait for it have failed, the study goes on.

    Raises
    ------
    BadOptions
        A tap that cannot be (the study stops: the caller can mend it).
    DataError
        Unreadable images, with `on_bad="fail"`.
    """
    from headstart.features.extract import Tap

    table, card = source.table, variant.card
    names = {module: alias for alias, module in (card.layers or {}).items()}
    taps = [Tap(names.get(module, module), pooling) for module, pooling in places]
    key = pass_key(source, variant, spec).id
    old = store.passes().get(key)
    try:
        with collected_warnings() as warnings, measured() as cost, _clock() as clock:
            found = _extract(
                source, variant, taps, spec, rows=len(table), cache_gb=spec.cache_gb, calibration=calibration
            )
        rate, engine = clock.rate(), found.engine
        if rate is None and old is None and len(table) >= 2 * LEAST_TIMED:
            rate, engine = _timed(source, variant, taps, spec)
    except BadOptions:
        raise
    except NUMERIC_ERRORS as error:
        warn(f"{card.name} could not serve {table.name}: {error}")
        return error
    if found.problems and spec.on_bad == "fail":
        first = "; ".join(f"{problem.path}: {problem.reason}" for problem in found.problems[:3])
        raise DataError(
            f"{table.name}: {len(found.problems)} unreadable images ({first}); use --on-bad skip to go on"
        )
    source.add_bad(found.problems)
    shape = card.preprocessing
    source.calibrations[card.name, shape.height, shape.width] = found.calibration
    for (module, pooling), tap in zip(places, taps, strict=True):
        source.features[card.name, shape.height, shape.width, module, pooling] = found.features[tap]
    store.put_pass(key, _merged(old, _facts(found, engine, source, variant, warnings, cost.peak_bytes, rate)))
    return None


def _extract(
    source: Source, variant: Variant, taps: Sequence[Any], spec: StudySpec, *, rows: int, **options: Any
) -> Any:
    from headstart.features.extract import extract

    table, shape = source.table, variant.card.preprocessing
    return extract(
        table.items()[:rows],
        table.digests[:rows],
        paths=table.paths[:rows],
        backbone=variant.card.name,
        taps=taps,
        engine=spec.engine,
        precision=spec.precision,
        input_size=(shape.height, shape.width) if shape.height != shape.width else shape.height,
        **options,
    )


@dataclass
class _Clock:
    """When each batch of a pass was done, so that loading and exporting do not count as running."""

    ticks: list[tuple[int, float]] = field(default_factory=list)

    def rate(self) -> float | None:
        """Images a second between the first batch and the last; None where there is too little to time."""
        if not self.ticks:
            return None
        (first, start), (last, end) = self.ticks[0], self.ticks[-1]
        return (last - first) / (end - start) if last - first >= LEAST_TIMED and end > start else None


@contextmanager
def _clock() -> Iterator[_Clock]:
    clock = _Clock()

    def tick(event: Event) -> None:
        if isinstance(event, Progress) and event.task.startswith("features"):
            clock.ticks.append((event.done, time.perf_counter()))

    with listening(tick):
        yield clock


def _timed(
    source: Source, variant: Variant, taps: Sequence[Any], spec: StudySpec
) -> tuple[float | None, dict[str, Any]]:
    """Rate and engine of a pass that was too short or came from the cache: some images run once more."""
    from headstart.features.store import FeatureStore

    with tempfile.TemporaryDirectory() as nowhere, _clock() as clock:
        store = FeatureStore(nowhere, cap_bytes=0)
        found = _extract(source, variant, taps, spec, rows=TIMED_IMAGES, store=store)
    running = max(found.seconds - float(found.engine.get("export_seconds") or 0.0), 1e-3)
    return clock.rate() or found.n_computed / running or None, found.engine


def _facts(
    found: Any,
    engine: Mapping[str, Any],
    source: Source,
    variant: Variant,
    warnings: Sequence[str],
    peak_bytes: int,
    rate: float | None,
) -> dict[str, Any]:
    return {
        "dataset": source.table.name,
        "kind": source.kind,
        "backbone": variant.card.name,
        "height": variant.card.preprocessing.height,
        "width": variant.card.preprocessing.width,
        "engine": dict(engine),
        "seconds": found.seconds,
        "n_cached": found.n_cached,
        "n_computed": found.n_computed,
        "images_per_second": rate,
        "problems": [(problem.path, problem.reason) for problem in found.problems],
        "warnings": list(warnings),
        "peak_bytes": peak_bytes,
    }


def _merged(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """New facts; figures measured over more images stay, and so do problems and warnings."""
    if old is None:
        return new
    fewer = new["n_computed"] < old["n_computed"]
    kept = {name: old[name] for name in ("n_computed", "seconds", "peak_bytes", "images_per_second") if fewer}
    problems = dict(map(tuple, old["problems"])) | dict(new["problems"])
    warnings = list(dict.fromkeys([*old["warnings"], *new["warnings"]]))
    if not new["engine"].get("parity") and served(new) == served(old):
        kept["engine"] = old["engine"]  # rows from the cache say nothing of the check
    if new["images_per_second"] is None:
        kept["images_per_second"] = old["images_per_second"]
    return {**new, **kept, "problems": list(problems.items()), "warnings": warnings}


def place_of(cell: Cell, layers: Mapping[str, str]) -> tuple[str, str]:
    """Module and pooling that a cell needs features of; training starts from those of the last layer."""
    return (layers.get("pool", ""), "avg") if cell.trains else (cell.module, cell.pooling)


def judge_of(cell: Cell, layers: Mapping[str, str]) -> tuple[str, str]:
    """Module and pooling whose features tell the copies of an image, for the task retrieval; else the cell's own."""
    last = layers.get("pool") if cell.scenario == RETRIEVAL else None
    return (last, "avg") if last else place_of(cell, layers)


def shift_places(cells: Sequence[Cell], source: Source, variant: Variant) -> Places:
    """The taps that these cells still need of their other test images, `source`, each once."""
    card, shape = variant.card, variant.card.preprocessing
    wanted = dict.fromkeys(
        (cell.module, cell.pooling)
        for cell in cells
        if not cell.trains
        and (cell.backbone, cell.height, cell.width) == (card.name, shape.height, shape.width)
    )
    return tuple(p for p in wanted if (card.name, shape.height, shape.width, *p) not in source.features)


def places_of(cells: Sequence[Cell], source: Source, variant: Variant) -> Places:
    """The taps that these cells still need of a backbone on a dataset, each once."""
    card = variant.card
    shape = card.preprocessing
    wanted = dict.fromkeys(
        place
        for cell in cells
        if cell.dataset == source.table.name
        and (cell.backbone, cell.height, cell.width) == (card.name, shape.height, shape.width)
        for place in (place_of(cell, card.layers or {}), judge_of(cell, card.layers or {}))
    )
    have = source.features
    return tuple(p for p in wanted if (card.name, shape.height, shape.width, *p) not in have)

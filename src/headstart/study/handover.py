"""From a study to a model: its best method (or one run) fitted again on the same split of the same images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import DataError, UnknownName, UsageError
from headstart.base.events import Notice, emit, warn
from headstart.base.hashing import digest_json
from headstart.images.table import ImageTable
from headstart.methods.output import Output
from headstart.study.given_folds import folded_dataset
from headstart.study.joint_cells import model_of
from headstart.study.partition import make_dataset
from headstart.study.record import find_cell, load_record
from headstart.study.records import Cell, CellResult, StudyRecord
from headstart.study.several import make_several
from headstart.study.sources import Source, scan_sources
from headstart.study.spec import StudySpec
from headstart.study.trained import classifier_of
from headstart.study.trained_cells import fitting_table

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.methods.multi_output import MultiOutputTransfer
    from headstart.methods.probe import TransferClassifier


@dataclass(frozen=True, eq=False)
class Handover:
    """A fitted classifier with the run it comes from."""

    classifier: TransferClassifier | FineTuneClassifier | MultiOutputTransfer
    cell: Cell
    dataset: str
    target: str


def hand_over(
    folder: str | Path, *, cell: str = "", dataset: str = "", refit: bool = False, cache_gb: float = 10.0
) -> Handover:
    """Fit the winner of a study again.

    Parameters
    ----------
    folder : path
        Output folder of the study.
    cell : str
        Start of a run's id, or the name of a dataset; "" for the first run of the best method.
    dataset : str
        Which dataset's best, where the study has several.
    refit : bool
        Let the validation images join train; not for networks that train, which need them to choose the epoch.
    cache_gb : float
        Cap of the feature cache.

    Raises
    ------
    UsageError, UnknownName
        No such study or run; `refit` for a network that trains.
    DataError
        The images have changed since the study.
    """
    record = load_record(folder)
    if cell in record.best or cell in record.best_joint:
        cell, dataset = "", cell
    found = find_cell(record, cell, dataset)
    run = found.cell
    if run.trains and refit:
        raise UsageError(
            f"{run.method} needs its validation images to choose the epoch that is kept; leave refit out"
        )
    table = same_split(record, run)
    if run.sharing:
        several = model_of(run, cache_gb=cache_gb, refit=refit, **_settled(found))
        names = [output["name"] for output in record.outputs[run.dataset]]
        return Handover(several.fit_table(table, names), run, run.dataset, ",".join(names))
    classifier = _retrained(found, cache_gb) if run.trains else _refitted(found, refit, cache_gb)
    return Handover(classifier.fit_table(table, run.target), run, run.dataset, run.target)


def best_fold_options(found: CellResult) -> dict[str, Any]:
    """What a tuned run found; {} where the method's defaults were best, or where nothing was tuned.

    Of several folds the one counts whose best trial scored highest where it was chosen.
    """
    bests = [
        next(trial for trial in each["trials"] if trial["number"] == each["best"]) for each in found.tuning
    ]
    if not bests:
        return {}
    if len({digest_json(each["params"]) for each in bests}) > 1:
        warn(
            f"{found.cell.method}: its folds found other options; those of the fold that scored highest are taken"
        )
    best = max(bests, key=lambda each: each["value"])
    return {} if best["default"] else dict(best["params"])


def _refitted(found: CellResult, refit: bool, cache_gb: float) -> TransferClassifier:
    from headstart.methods.probe import TransferClassifier

    run = found.cell
    return TransferClassifier(
        backbone=run.backbone,
        layer=run.layer,
        pooling=run.pooling,
        head=run.head,
        head_options=best_fold_options(found) or None,
        engine=run.engine,
        precision=run.precision,
        input_size=(run.height, run.width),
        seed=run.seed or 0,
        refit=refit,
        cache_gb=cache_gb,
    )


def _retrained(found: CellResult, cache_gb: float) -> FineTuneClassifier:
    """The same options, with what the run had found by measuring."""
    return classifier_of(found.cell, cache_gb=cache_gb, **_settled(found))


def _settled(found: CellResult) -> dict[str, Any]:
    """What a run had found by measuring: rate, epochs that fitted its time, precision; nothing of several fits."""
    settled: dict[str, Any] = best_fold_options(found)
    if len(found.training) == 1:
        (fit,) = found.training
        settled |= {name: fit[name] for name in ("learning_rate", "epochs", "dtype") if fit.get(name)}
        served = (fit.get("prefix") or {}).get("precision")
        settled |= {"prefix_precision": served} if served in ("float32", "bfloat16", "int8") else {}
        settled |= {"seconds": None}
    return settled


def same_split(record: StudyRecord, run: Cell) -> ImageTable:
    """The images of a run as they lie there now, divided as the run had them, in the order of their content.

    Raises
    ------
    DataError
        They are not the same images any more.
    """
    options: dict[str, Any] = {
        name: tuple(each) if isinstance(each, list) else each for name, each in record.spec.items()
    }
    if isinstance(target := options.get("target", ()), str):  # of an older study
        options["target"] = (target,) if target else ()
    spec = StudySpec(**options)
    kept = record.tables[run.dataset]
    source = _scanned(spec, run.dataset, record.folder)
    now, there = source.table, set(kept.paths)
    clean = now.select([row for row, path in enumerate(now.paths) if path in there])
    outputs = [Output.from_dict(each) for each in record.outputs[run.dataset]] if run.sharing else []
    if source.folds is not None:
        data = folded_dataset(clean, run.target, source.folds, outputs)
    elif outputs:
        data = make_several(clean, outputs, seeds=(run.seed or 0) + 1, folds=spec.folds)
    else:
        data = make_dataset(clean, run.target, seeds=(run.seed or 0) + 1, folds=spec.folds)
    partition = data.partition(run.seed, run.per_class)
    if data.digest != run.data_digest or partition.digest != run.split_digest:
        raise DataError(f"the images of {run.dataset} have changed since the study; run the study again")
    if run.per_class:  # a part of train; nothing else may choose or be learned from
        if len(partition.folds) > 1:
            raise UsageError(
                f"run {run.id[:12]} learned from {run.per_class} images a class in each of {len(partition.folds)} "
                "folds; name a run of all images"
            )
        fold = partition.folds[0]
        trained = fold.inner and run.trains  # the first of given inner folds chose its epoch
        divided = fitting_table(data, fold) if trained else replace(clean.select(fold.train), splits=None)
    elif partition.splits is None:
        emit(Notice(f"the study tested {run.dataset} by folds, so the model learns from all of its images"))
        divided = ImageTable(**{**vars(clean), "splits": None})
    else:
        divided = clean.with_splits(partition.splits)
    order = sorted(range(len(divided)), key=lambda row: (divided.digests[row], divided.paths[row]))
    return divided.select(order)


def _scanned(spec: StudySpec, dataset: str, folder: str) -> Source:
    try:
        sources = scan_sources(spec)
    except (DataError, UnknownName) as error:
        raise UsageError(
            f"{error} (the study in {folder} read {', '.join(spec.data)}; run this where it was run)"
        ) from error
    return next(source for source in sources if source.table.name == dataset)

"""One cell that trains a network: fit on train, choose the epoch on validation or an inner fold, test once.

A run that was stopped goes on from its checkpoint when the same cell runs again (the estimator sees to that).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headstart.base.events import collected_warnings
from headstart.base.findings import Finding
from headstart.images.table import ImageTable
from headstart.methods.tune.divide import Part
from headstart.study.cells import NUMERIC_ERRORS, CellOutcome, agreed, failed, right_of
from headstart.study.cost import measured
from headstart.study.error_map import ErrorMap
from headstart.study.error_maps import network_maps
from headstart.study.partition import Dataset, Fold, Rows
from headstart.study.records import Cell, CellResult
from headstart.study.rules import TestRows
from headstart.study.shared_prefix import SharedPrefix
from headstart.study.shifted import Shift, measured_shift

if TYPE_CHECKING:
    import numpy as np

    from headstart.methods.finetune import FineTuneClassifier

MakeClassifier = Callable[[Cell], "FineTuneClassifier"]
AT_ONCE = 256
"""Other test images that are in memory at one time."""


def run_trained_cell(
    cell: Cell,
    data: Dataset,
    *,
    make_classifier: MakeClassifier,
    extract_seconds: float | None = None,
    extract_bytes: int = 0,
    with_maps: bool = False,
    shifts: Sequence[Shift] = (),
    prefix: SharedPrefix | None = None,
) -> CellOutcome:
    """Run one cell of the scenarios `finetune`, `full` and `scratch`.

    Parameters
    ----------
    cell : Cell
    data : Dataset
    make_classifier : callable
        A cell to its unfitted estimator.
    extract_seconds : float, optional
        Seconds of the pass of the frozen network over all images, which training starts from.
    extract_bytes : int
        Most memory that pass held.
    with_maps : bool
        Make maps of its surest errors while the network is at hand.
    shifts : sequence of Shift
        Other test images.
    prefix : SharedPrefix, optional
        Activations of test images that runs of this study share.
    """
    prefix = prefix or SharedPrefix(0)
    try:
        with collected_warnings() as notes:
            result, probabilities, maps = _run(cell, data, make_classifier, with_maps, shifts, prefix)
    except NUMERIC_ERRORS as error:
        return CellOutcome(failed(cell, error), None, ())
    told = {str(finding) for finding in result["findings"]}
    seconds = {} if extract_seconds is None else {"extract": extract_seconds}
    fields = {
        **result,
        "seconds": {**seconds, **result["seconds"]},
        "peak_bytes": max(extract_bytes, result["peak_bytes"]),
        "notes": tuple(note for note in notes if note not in told),
    }
    rows = data.partition(cell.seed, cell.per_class).test_rows
    return CellOutcome(CellResult(cell=cell, status="done", **fields), probabilities, rows, maps)


def fitting_table(data: Dataset, fold: Fold) -> ImageTable:
    """The images that a fit may read: train, then validation; test is not among them.

    Of given inner folds the first one validates.
    """
    part = Part(fold.train, fold.validation, fold.test, fold.inner)
    return replace(data.table.select(part.seen), splits=part.splits)


def _run(
    cell: Cell,
    data: Dataset,
    make_classifier: MakeClassifier,
    with_maps: bool,
    shifts: Sequence[Shift],
    prefix: SharedPrefix,
) -> tuple[dict[str, Any], np.ndarray, tuple[ErrorMap, ...] | None]:
    import numpy as np

    from headstart.measure.metrics import evaluate

    partition, codes, classes = data.partition(cell.seed, cell.per_class), data.codes(), data.classes()
    maps: tuple[ErrorMap, ...] | None = None
    models, parts, fit_seconds, predict_seconds, peaks, reads = [], [], 0.0, 0.0, [0], 0
    said: list[list[np.ndarray]] = [[] for _ in shifts]
    for fold in partition.folds:
        tested = TestRows(fold)
        model = make_classifier(cell)
        with measured() as fitting:
            model.fit_table(fitting_table(data, fold), data.target)
        with measured() as predicting:
            rows = tested.read(has_chosen=hasattr(model, "chosen_"))
            parts.append(_probabilities(model, data, rows, classes, prefix))
        reads += tested.n_reads
        for shift, each in zip(shifts, said, strict=True):
            each.append(_said(model, shift, classes))
        fit_seconds += fitting.seconds - model.seconds_["extract"]
        predict_seconds += predicting.seconds + prefix.charged
        peaks += [max(0, each.peak_bytes - prefix.n_bytes) for each in (fitting, predicting)]
        if with_maps and maps is None:
            maps = network_maps(model, cell, data, parts[0])
        models.append(_brief(model))
    probabilities = np.concatenate(parts)
    found = evaluate(codes[list(partition.test_rows)], probabilities, classes)
    clean = right_of(len(data.table), partition.test_rows, codes, probabilities)
    choices = [float(each["selection"]) for each in models]
    first, least = models[0], min(models, key=lambda each: each["n_validation"] or each["n_train"])
    return (
        {
            "classes": classes,
            "selection": float(np.mean(choices)) if np.isfinite(choices).all() else None,
            "selected_on": least["selected_on"],
            "n_train": least["n_train"],
            "n_validation": least["n_validation"],
            "n_test": len(partition.test_rows),
            "scores": found.scores,
            "per_class": found.per_class,
            "confusion": found.confusion,
            "chosen": agreed([each["chosen"] for each in models]),
            "tried": {"epoch": compared(cell, [each["record"] for each in models])},
            "n_fits": len(models),
            "tested": tuple(len(fold.test) for fold in partition.folds),
            "test_reads": reads,
            "shifts": tuple(
                measured_shift(shift, data, partition.folds, each, clean, found.scores["accuracy"])
                for shift, each in zip(shifts, said, strict=True)
            ),
            "seconds": {"fit": fit_seconds, "predict": predict_seconds},
            "peak_bytes": max(peaks),
            "model_bytes": first["model_bytes"],
            "training": tuple(each["record"] for each in models),
            "findings": distinct([finding for each in models for finding in each["findings"]]),
        },
        probabilities,
        maps,
    )


def _brief(model: FineTuneClassifier) -> dict[str, Any]:
    """What is kept of a fitted estimator: its network is let go before the next fold."""
    record = {name: value for name, value in model.record_.items() if name != "findings"}
    state = model.network_.state_dict()
    return {
        "selection": model.selection_,
        "selected_on": model.selected_on_,
        "n_train": model.n_train_,
        "n_validation": model.n_validation_,
        "chosen": model.chosen_,
        "model_bytes": sum(each.numel() * each.element_size() for each in state.values()),
        "record": {**record, "selection": model.selection_, "start_selection": model.start_selection_},
        "findings": model.findings_,
    }


def compared(cell: Cell, fits: Sequence[dict[str, Any]]) -> int:
    """The most epochs that a fit chose among; the last one is kept unasked with `keep` "last"."""
    return 1 if cell.options.get("keep") == "last" else max(len(fit.get("curve") or ()) for fit in fits)


def distinct(findings: list[Finding]) -> tuple[Finding, ...]:
    """One finding of a kind, where several folds have it."""
    return tuple({finding.kind: finding for finding in reversed(findings)}.values())


def _probabilities(
    model: FineTuneClassifier, data: Dataset, rows: Rows, classes: tuple[str, ...], prefix: SharedPrefix
) -> np.ndarray:
    """Test probabilities with a column for every class; those that train lacks get 0."""
    import numpy as np

    items = [data.table.item(row) for row in rows]
    scores = prefix.scores(model, items, [data.table.digests[row] for row in rows])
    given = np.asarray(
        model.predict_proba(items) if scores is None else model.proba_of(scores), dtype=np.float32
    )
    if not np.isfinite(given).all():
        raise ArithmeticError("the trained network gave probabilities that are not finite")
    full = np.zeros((len(rows), len(classes)), dtype=np.float32)
    full[:, [classes.index(str(name)) for name in model.classes_]] = given
    return full


def _said(model: FineTuneClassifier, shift: Shift, classes: tuple[str, ...]) -> np.ndarray:
    """Class numbers that a network names for other test images, (n_conditions, n), some images at a time."""
    import numpy as np

    items, good = shift.source.table.items(), shift.good()
    rows = [at * shift.n + row for at in range(len(shift.conditions)) for row in good]
    number = np.array([classes.index(str(name)) for name in model.classes_])
    parts = []
    for at in range(0, len(rows), AT_ONCE):
        given = np.asarray(model.predict_proba([items[row] for row in rows[at : at + AT_ONCE]]))
        parts.append(number[given.argmax(axis=1)])
    return np.concatenate(parts).reshape(len(shift.conditions), len(good))


def run_rung(cell: Cell, data: Dataset, make_classifier: MakeClassifier) -> dict[str, Any]:
    """A short run of a race: the score that chooses, and no test.

    Returns
    -------
    dict
        score and loss (None where it failed: error), epochs, seconds, images_seen, learning_rate, findings, cut_short.
    """
    model = make_classifier(cell)
    fold = data.partition(cell.seed, cell.per_class).folds[0]
    try:
        with measured() as cost:
            model.fit_table(fitting_table(data, fold), data.target)
    except NUMERIC_ERRORS as error:
        failure: dict[str, Any] = {
            "score": None,
            "loss": None,
            "error": failed(cell, error).error,
            "epochs": 0,
        }
        return {**failure, "seconds": cost.seconds, "images_seen": 0, "learning_rate": None, "findings": []}
    record = model.record_
    return {
        "score": model.selection_ if model.selection_ == model.selection_ else None,
        "loss": record["kept_loss"],
        "error": "",
        "epochs": len(record["curve"]),
        "seconds": cost.seconds,
        "images_seen": int(record["images_seen"]),
        "learning_rate": record["learning_rate"],
        "findings": [str(finding) for finding in model.findings_],
        "cut_short": bool(record.get("cut_short")),
    }

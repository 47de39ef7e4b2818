"""One cell: fit a head on the features of train, choose on validation or inner folds, measure on test.

The test rows are read once, after everything is chosen. What a numeric library raises becomes a failed
result with its reason; the study goes on, and the report shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.base.errors import HeadstartError, UsageError
from headstart.base.events import collected_warnings
from headstart.study.cost import array_bytes, measured
from headstart.study.error_map import ErrorMap
from headstart.study.partition import Dataset, Fold
from headstart.study.records import Cell, CellResult
from headstart.study.rules import TestRows
from headstart.study.shifted import Shift, measured_shift

if TYPE_CHECKING:
    import numpy as np

NUMERIC_ERRORS = (
    *(HeadstartError, ValueError, TypeError, ArithmeticError),
    *(LookupError, RuntimeError, MemoryError, AssertionError),
)
"""What fitting and measuring may raise without ending the study (no OSError: a full disk ends it)."""


@dataclass(frozen=True, eq=False)
class CellOutcome:
    """A result with the test probabilities (n_test, n_classes) and their rows; None where it failed.

    Of a search the one column is the average precision of each query.

    `maps` are of its surest errors; None where none were asked for.
    """

    result: CellResult
    probabilities: np.ndarray | None
    test_rows: tuple[int, ...]
    maps: tuple[ErrorMap, ...] | None = None


@dataclass(frozen=True, eq=False)
class _Fitted:
    head: Any
    probabilities: np.ndarray
    fit_seconds: float
    predict_seconds: float
    peak_bytes: int
    test_reads: int
    said: list[np.ndarray]


def run_cell(
    cell: Cell,
    data: Dataset,
    features: np.ndarray,
    *,
    make_head: Callable[[str], Any],
    extract_seconds: float | None = None,
    extract_bytes: int = 0,
    weights_bytes: int = 0,
    shifts: Sequence[tuple[Shift, np.ndarray]] = (),
) -> CellOutcome:
    """Run one cell of the `features` scenario.

    Parameters
    ----------
    cell : Cell
    data : Dataset
    features : ndarray of float32, shape (n, d)
        One row for each row of the dataset's table.
    make_head : callable
        Name to an unfitted head.
    extract_seconds : float, optional
        Seconds of the backbone's pass over all n images, shared by every cell that uses it.
    extract_bytes : int
        Most memory that pass held.
    weights_bytes : int
        Size of the backbone's weights.
    shifts : sequence of (Shift, ndarray of shape (n_conditions, n, d))
        Other test images with their features.
    """
    try:
        with collected_warnings() as notes:
            result, probabilities, rows = _run(cell, data, features, make_head, shifts)
    except NUMERIC_ERRORS as error:
        return CellOutcome(failed(cell, error), None, ())
    seconds = {} if extract_seconds is None else {"extract": extract_seconds}
    fields = {
        **result,
        "seconds": {**seconds, **result["seconds"]},
        "peak_bytes": max(extract_bytes, result["peak_bytes"]),
        "model_bytes": weights_bytes + result["model_bytes"],
        "notes": tuple(notes),
    }
    return CellOutcome(CellResult(cell=cell, status="done", **fields), probabilities, rows)


def failed(cell: Cell, error: BaseException) -> CellResult:
    """The result of a cell that raised."""
    said = str(error).strip() or "no message"
    named = said if isinstance(error, HeadstartError) else f"{type(error).__name__}: {said}"
    return CellResult(cell=cell, status="failed", error=named[:2000])


def _run(
    cell: Cell,
    data: Dataset,
    features: np.ndarray,
    make_head: Callable[[str], Any],
    shifts: Sequence[tuple[Shift, np.ndarray]],
) -> tuple[dict[str, Any], np.ndarray, tuple[int, ...]]:
    import numpy as np

    from headstart.measure.metrics import evaluate

    if len(features) != len(data.table):
        raise UsageError(f"{len(features)} rows of features for {len(data.table)} images")
    partition, codes, classes = data.partition(cell.seed, cell.per_class), data.codes(), data.classes()
    others = [block for _, block in shifts]
    fits = [
        _fit(fold, codes, len(classes), data, features, cell, make_head, others) for fold in partition.folds
    ]
    probabilities = np.concatenate([fit.probabilities for fit in fits])
    rows = partition.test_rows
    found = evaluate(codes[list(rows)], probabilities, classes)
    clean = right_of(len(data.table), rows, codes, probabilities)
    choices = [float(fit.head.selection_) for fit in fits]
    first = partition.folds[0]
    return (
        {
            "classes": classes,
            "selection": float(np.mean(choices)) if np.isfinite(choices).all() else None,
            "selected_on": str(fits[0].head.selected_on_),
            "n_train": len(first.train),
            "n_validation": len(first.validation),
            "n_test": len(rows),
            "scores": found.scores,
            "per_class": found.per_class,
            "confusion": found.confusion,
            "chosen": agreed([fit.head.chosen_ for fit in fits]),
            "tried": _tried(fits[0].head),
            "n_fits": len(fits),
            "tested": tuple(len(fold.test) for fold in partition.folds),
            "test_reads": sum(fit.test_reads for fit in fits),
            "shifts": tuple(
                measured_shift(
                    shift,
                    data,
                    partition.folds,
                    [fit.said[at] for fit in fits],
                    clean,
                    found.scores["accuracy"],
                )
                for at, (shift, _) in enumerate(shifts)
            ),
            "seconds": {
                "fit": sum(fit.fit_seconds for fit in fits),
                "predict": sum(fit.predict_seconds for fit in fits),
            },
            "peak_bytes": max(fit.peak_bytes for fit in fits),
            "model_bytes": max(array_bytes(fit.head) for fit in fits),
        },
        probabilities,
        rows,
    )


def _fit(
    fold: Fold,
    codes: np.ndarray,
    n_classes: int,
    data: Dataset,
    features: np.ndarray,
    cell: Cell,
    make_head: Callable[[str], Any],
    others: Sequence[np.ndarray],
) -> _Fitted:
    import numpy as np

    tested = TestRows(fold)
    train, validation = (np.array(rows, dtype=int) for rows in (fold.train, fold.validation))
    groups = None if data.table.groups is None else [data.table.groups[row] for row in fold.train]
    head = make_head(cell.head)
    held = (features[validation], codes[validation]) if len(validation) else None
    with measured() as fitting:
        head.fit(
            features[train],
            codes[train],
            validation=held,
            seed=cell.seed or 0,
            groups=groups,
            folds=fold.inner or None,
        )
    test = np.array(tested.read(has_chosen=hasattr(head, "chosen_")), dtype=int)
    with measured() as predicting:
        given = np.asarray(head.predict_proba(features[test]), dtype=np.float32)
    if not np.isfinite(given).all():
        raise ArithmeticError(f"{cell.head} gave probabilities that are not finite")
    # classes that train lacks get probability 0: they count as errors, as they would in use
    full = np.zeros((len(test), n_classes), dtype=np.float32)
    full[:, np.asarray(head.classes_, dtype=int)] = given
    peak = max(fitting.peak_bytes, predicting.peak_bytes)
    said = [
        np.asarray(head.predict(block.reshape(-1, block.shape[-1]))).reshape(block.shape[:2])
        for block in others
    ]
    return _Fitted(head, full, fitting.seconds, predicting.seconds, peak, tested.n_reads, said)


def right_of(n: int, rows: Sequence[int], codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether each of `n` rows of a table was right, shape (n,); False where it was not tested."""
    import numpy as np

    right = np.zeros(n, dtype=bool)
    tested = list(rows)
    right[tested] = probabilities.argmax(axis=1) == codes[tested]
    return right


def _tried(head: Any) -> dict[str, int]:
    """How many settings were compared on the images that choose, by what was tuned; {} where nothing was."""
    visited = [value for value, _ in head.path_ if value]
    return {" and ".join(visited[0]): len(visited)} if visited else {}


def agreed(choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was tuned; with several folds a list of each fold's choice where they differ."""
    keys = dict.fromkeys(key for choice in choices for key in choice)
    chosen = {}
    for key in keys:
        values = [choice.get(key) for choice in choices]
        chosen[key] = values[0] if all(value == values[0] for value in values) else values
    return chosen

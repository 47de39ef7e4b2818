"""One cell of several outputs: fit on train, choose on validation or inner folds, measure every output on test once.

Each output is measured where it has its label, all of them at once where every label is there. Labels that train
lacks get probability 0: they count as errors, as they would in use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from headstart.base.events import collected_warnings
from headstart.measure.values import Score
from headstart.study.cells import NUMERIC_ERRORS, CellOutcome, failed
from headstart.study.cost import array_bytes, measured
from headstart.study.error_map import ErrorMap
from headstart.study.error_maps import joint_maps
from headstart.study.partition import Dataset, Fold
from headstart.study.records import Cell, CellResult
from headstart.study.rules import TestRows
from headstart.study.several_spec import SEPARATE
from headstart.study.trained import classifier_of
from headstart.study.trained_cells import compared, distinct, fitting_table

if TYPE_CHECKING:
    import numpy as np

    from headstart.methods.multi_output import MultiOutputTransfer
    from headstart.methods.output import Output

MakeModel = Callable[[Cell], "MultiOutputTransfer"]
JOINT = "joint"


def run_joint_cell(
    cell: Cell, data: Dataset, *, make_model: MakeModel, extract_seconds: float | None = None, extract_bytes: int = 0,
    weights_bytes: int = 0, with_maps: bool = False,
) -> CellOutcome:  # fmt: skip
    """Run one cell of several outputs.

    Parameters
    ----------
    cell : Cell
        With a way of sharing.
    data : Dataset
        With its outputs.
    make_model : callable
        A cell to its unfitted estimator.
    extract_seconds : float, optional
        Seconds of the pass of the frozen network over all images.
    extract_bytes : int
        Most memory that pass held.
    weights_bytes : int
        Size of the backbone's weights.
    with_maps : bool
        Make maps of its surest errors while the network is at hand.
    """
    try:
        with collected_warnings() as notes:
            result, probabilities, maps = _run(cell, data, make_model, with_maps)
    except NUMERIC_ERRORS as error:
        return CellOutcome(failed(cell, error), None, ())
    told = {str(finding) for finding in result["findings"]}
    seconds = {} if extract_seconds is None else {"extract": extract_seconds}
    fields = {
        **result,
        "seconds": {**seconds, **result["seconds"]},
        "peak_bytes": max(extract_bytes, result["peak_bytes"]),
        "model_bytes": result["model_bytes"] + (0 if cell.trains else weights_bytes),
        "notes": tuple(note for note in notes if note not in told),
    }
    rows = data.partition(cell.seed).test_rows
    return CellOutcome(CellResult(cell=cell, status="done", **fields), probabilities, rows, maps)


def model_of(cell: Cell, *, cache_gb: float, refit: bool = False, **changed: Any) -> MultiOutputTransfer:
    """The unfitted estimator of a run of several outputs; `changed` options of training win over the run's own."""
    from headstart.methods.multi_output import MultiOutputTransfer
    from headstart.methods.probe import TransferClassifier

    said = json.loads(cell.outputs)
    estimator: Any
    if cell.trains:
        estimator = classifier_of(cell, cache_gb=cache_gb, **changed)
    else:
        estimator = TransferClassifier(
            backbone=cell.backbone, layer=cell.layer, pooling=cell.pooling, head=cell.head, engine=cell.engine,
            precision=cell.precision, input_size=(cell.height, cell.width), seed=cell.seed or 0,
            refit=refit, cache_gb=cache_gb,
        )  # fmt: skip
    own = ("head_rates", "class_weights")
    named = own if cell.sharing == SEPARATE else ("weighting", "tie", "output_weights", *own)
    more = {name: said[name] for name in named if name in said}
    return MultiOutputTransfer(
        estimator=estimator, sharing=cell.sharing, kinds=said["kinds"], levels=said["levels"],
        separators=said["separators"], **more,
    )  # fmt: skip


def _run(
    cell: Cell, data: Dataset, make_model: MakeModel, with_maps: bool
) -> tuple[dict[str, Any], np.ndarray, tuple[ErrorMap, ...] | None]:
    import numpy as np

    maps: tuple[ErrorMap, ...] | None = None
    partition, models, parts = data.partition(cell.seed), [], []
    fit_seconds, predict_seconds, peaks = 0.0, 0.0, [0]
    n_reads = 0
    for fold in partition.folds:
        model, test = make_model(cell), TestRows(fold)
        with measured() as fitting:
            model.fit_table(fitting_table(data, fold), [output.name for output in data.outputs])
        with measured() as predicting:
            parts.append(_answers(model, data, test.read(has_chosen=hasattr(model, "models_"))))
        n_reads += test.n_reads
        fit_seconds += fitting.seconds - model.seconds_["extract"]
        predict_seconds += predicting.seconds
        peaks += [fitting.peak_bytes, predicting.peak_bytes]
        if with_maps and maps is None:
            maps = joint_maps(model, cell, data, parts[0])
        models.append(_brief(model, data))
    answers, first = np.concatenate(parts), models[0]
    choices = [float(each["selection"]) for each in models]
    return {
        "classes": data.classes(),
        "selection": float(np.mean(choices)) if np.isfinite(choices).all() else None,
        "selected_on": _selected_on(partition.folds[0], first),
        "n_train": first["n_train"],
        "n_validation": first["n_validation"],
        "n_test": len(answers),
        **measures(data, partition.test_rows, answers, [each["thresholds"] for each in models],
                   [len(fold.test) for fold in partition.folds]),
        "chosen": first["chosen"] if len(models) == 1 else {"folds": [each["chosen"] for each in models]},
        "seconds": {"fit": fit_seconds, "predict": predict_seconds},
        "peak_bytes": max(peaks),
        "model_bytes": first["model_bytes"],
        "training": tuple(record for each in models for record in each["records"]),
        "tried": {"epoch": compared(cell, first["records"])} if first["records"] else {},
        "n_fits": len(models),
        "tested": tuple(len(fold.test) for fold in partition.folds),
        "test_reads": n_reads,
        "findings": distinct([finding for each in models for finding in each["findings"]]),
    }, answers, maps  # fmt: skip


def _selected_on(fold: Fold, fitted: dict[str, Any]) -> str:
    """What chose; of given inner folds it is the first one, for all outputs alike."""
    return f"1 of {len(set(fold.inner))} given inner folds" if fold.inner else str(fitted["selected_on"])


def _answers(model: MultiOutputTransfer, data: Dataset, rows: Sequence[int]) -> np.ndarray:
    """What the model says of the test images, in the columns of the dataset; levels that train lacks get 0."""
    import numpy as np

    said = model.predict_outputs([data.table.item(row) for row in rows])
    own, columns = {output.name: output for output in model.outputs_}, []
    for output in data.outputs:
        given = np.asarray(said[output.name], dtype=np.float32).reshape(len(rows), -1)
        if not np.isfinite(given).all():
            raise ArithmeticError(f"{output.name}: the model gave answers that are not finite")
        if output.kind == "number":
            columns.append(given)
            continue
        full = np.zeros((len(rows), len(output.levels)), dtype=np.float32)
        full[:, [output.levels.index(level) for level in own[output.name].levels]] = given
        columns.append(full)
    return np.concatenate(columns, axis=1)


def split_answers(outputs: Sequence[Output], answers: np.ndarray) -> list[np.ndarray]:
    """The columns of each output: probabilities (n, k), or numbers (n,)."""
    import numpy as np

    edges = np.cumsum([0, *(max(1, len(output.levels)) for output in outputs)])
    parts = [answers[:, a:b] for a, b in pairwise(edges)]
    return [part if output.levels else part[:, 0] for output, part in zip(outputs, parts, strict=True)]


def thresholds_of(output: dict[str, Any]) -> np.ndarray | None:
    """Thresholds (n, k) of the labels of each test image, as a result's output keeps them; None of other kinds."""
    import numpy as np

    if output["kind"] != "labels":
        return None
    return np.repeat(np.asarray(output["thresholds"], dtype=float), output["tested"], axis=0)


def measures(
    data: Dataset, rows: Sequence[int], answers: np.ndarray, thresholds: Sequence[dict[str, list[float]]],
    tested: Sequence[int],
) -> dict[str, Any]:  # fmt: skip
    """Scores, outputs and joint figures of a result.

    Parameters
    ----------
    data : Dataset
    rows : sequence of int
        Row numbers of the test images, fold after fold.
    answers : ndarray, shape (n, columns)
    thresholds : sequence of dict
        Of each fold: output to the thresholds of its labels.
    tested : sequence of int
        Test images of each fold.
    """
    from headstart.measure.joint import joint
    from headstart.measure.outputs import evaluate_output, right
    from headstart.methods.output import encode

    scores: dict[str, Score] = {}
    outputs, whole = [], {}
    for output, given in zip(data.outputs, split_answers(data.outputs, answers), strict=True):
        cells = data.table.labels[output.name]
        truth = encode(output, [cells[row] for row in rows])
        fact: dict[str, Any] = {
            **output.to_dict(),
            "thresholds": [each.get(output.name, []) for each in thresholds],
            "tested": list(tested),
        }
        limits = thresholds_of(fact)
        found = evaluate_output(output.name, output.kind, output.levels, truth, given, thresholds=limits)
        scores.update({f"{output.name}/{name}": score for name, score in found.scores.items()})
        fact.update(
            n=found.n, n_missing=found.n_missing, per_level=found.per_level, confusion=found.confusion
        )
        outputs.append(fact)
        if (column := right(output.kind, truth, given, limits)) is not None:
            whole[output.name] = column
    together = joint(whole) if whole else None
    if together is not None and together.score is not None:
        scores = {JOINT: together.score, **scores}
    return {"scores": scores, "outputs": tuple(outputs), "joint": together.to_dict() if together else {}}


def _brief(model: MultiOutputTransfer, data: Dataset) -> dict[str, Any]:
    """What is kept of a fitted estimator: its network is let go before the next fold."""
    return {
        "selection": model.selection_,
        "selected_on": model.selected_on_.split(", ")[0],
        "n_train": model.n_train_,
        "n_validation": model.n_validation_,
        "chosen": model.chosen_,
        "thresholds": {
            each.output.name: _aligned(each, data) for each in model.models_ if each.output.kind == "labels"
        },
        "model_bytes": _bytes(model),
        "records": records_of(model),
        "findings": list(getattr(model, "findings_", ())),
    }


def _aligned(model: Any, data: Dataset) -> list[float]:
    """Thresholds in the order of the dataset's labels; those that train lacks are never said."""
    own = dict(zip(model.output.levels, model.thresholds, strict=True))
    levels = next(output.levels for output in data.outputs if output.name == model.output.name)
    return [float(own.get(level, 2.0)) for level in levels]


def _bytes(model: MultiOutputTransfer) -> int:
    if model.scenario == "features":
        return sum(array_bytes(each.head) for each in model.models_)
    state = model.network_.state_dict()
    return int(sum(each.numel() * each.element_size() for each in state.values()))


def records_of(model: MultiOutputTransfer) -> list[dict[str, Any]]:
    """What each training decided and measured: one of a shared network, one a network of separate ones."""
    record: dict[str, Any] = dict(getattr(model, "record_", {}))
    runs = record.get("runs") or ({"": record} if record else {})
    return [{name: value for name, value in run.items() if name != "findings"} for run in runs.values()]

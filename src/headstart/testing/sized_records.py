"""Made-up study records with several numbers of images a class, and with other test images than those of the split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.measure.values import Score
from headstart.study.records import Cell, CellResult, ShiftResult, StudyRecord
from headstart.study.shifted import CORRUPTED, FOLDER, packed
from headstart.study.summarise import choose_best, summarise

NUMBERS = (2, 4, 8)
LOST = {"logistic": 0.6}
"""How much a head loses with few images; the others lose little, so that curves cross."""


def with_sizes(record: StudyRecord, numbers: tuple[int, ...] = NUMBERS) -> StudyRecord:
    """The record as if each finished method had learned from these images a class too; errors fall as 1 / sqrt(n).

    Parameters
    ----------
    record : StudyRecord
    numbers : tuple of int
        Fewer than the record has.
    """
    made = [
        _fewer(result, number) for result in record.results if result.status == "done" for number in numbers
    ]
    results = {result.cell.id: result for result in (*record.results, *made)}
    cells = [*(results[id].cell for row in record.summaries for id in row.cells if id in results)]
    cells += [result.cell for result in made]
    return replace(
        record,
        results=tuple(results.values()),
        sized=summarise(cells, results),
        n_planned=record.n_planned + len(made),
    )


def _fewer(result: CellResult, number: int) -> CellResult:
    whole = result.n_train / max(1, len(result.classes))
    cell = replace(result.cell, per_class=number)
    accuracy = result.scores["accuracy"]
    lost = min(0.9 * accuracy.value, LOST.get(result.cell.head, 0.05) * (number**-0.5 - whole**-0.5))
    lower = {"value": accuracy.value - lost, "low": accuracy.low - lost, "high": accuracy.high - lost}
    selection = None if result.selection is None else max(0.0, result.selection - lost)
    return replace(
        result,
        cell=cell,
        selection=selection,
        n_train=number * len(result.classes),
        scores={**result.scores, "accuracy": replace(accuracy, **lower)},
    )


def with_shifts(record: StudyRecord) -> StudyRecord:
    """The record as if each finished method had been tested on a second folder and on corrupted images too."""
    results = {
        each.cell.id: replace(each, shifts=(_folder(each), _corrupted(each)))
        if each.status == "done"
        else each
        for each in record.results
    }
    cells: list[Cell] = [results[id].cell for row in record.summaries for id in row.cells if id in results]
    summaries = summarise(cells, results)
    return replace(
        record,
        results=tuple(results.values()),
        summaries=summaries,
        best=choose_best(summaries, results),
        spec={**record.spec, "shifted": ["later"], "corruptions": ["jpeg"]},
    )


def _folder(result: CellResult) -> ShiftResult:
    return _shift(result, FOLDER, f"later {result.cell.dataset}", 0.1, {})


def _corrupted(result: CellResult) -> ShiftResult:
    by = {
        f"{name}/{severity}": max(0.0, result.scores["accuracy"].value - 0.03 * severity)
        for name in ("jpeg", "darkness")
        for severity in range(1, 6)
    }
    return _shift(result, CORRUPTED, "corrupted test images", 0.09, by)


def _shift(result: CellResult, kind: str, name: str, lost: float, by: dict[str, float]) -> ShiftResult:
    clean = result.scores["accuracy"]
    there = Score(max(0.0, clean.value - lost), max(0.0, clean.low - lost), clean.high - lost, clean.n)
    drop = Score(lost, lost - 0.05, lost + 0.05, clean.n)
    n_times = max(1, len(by))
    right = np.zeros(clean.n, dtype=np.int64)
    right[: round(there.value * clean.n)] = n_times
    return ShiftResult(kind, name, clean.n, there, drop, clean.value, by, packed(right))

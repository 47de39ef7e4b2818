"""A study's values as JSON-like values and back; floats keep every digit, what is not finite is null."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from headstart.base.findings import Finding
from headstart.images.table import ImageTable, Problem
from headstart.measure.values import Score
from headstart.study.records import Cell, CellResult, ShiftResult


def plain(value: Any) -> Any:
    """A JSON-like copy: tuples become lists, NumPy numbers Python's, what is not finite None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def result_row(result: CellResult) -> dict[str, Any]:
    """A result as JSON-like values."""
    row: dict[str, Any] = plain(dataclasses.asdict(result))
    return row


def result_from(row: dict[str, Any]) -> CellResult:
    """The result that `result_row` described."""
    given = dict(row)
    scores = {name: Score(**_numbers(score)) for name, score in given.pop("scores").items()}
    per_class = {name: _numbers(each) for name, each in given.pop("per_class").items()}
    return CellResult(
        cell=Cell(**given.pop("cell")),
        scores=scores,
        per_class=per_class,
        classes=tuple(given.pop("classes")),
        confusion=tuple(tuple(line) for line in given.pop("confusion")),
        notes=tuple(given.pop("notes")),
        training=tuple(given.pop("training", ())),
        tuning=tuple(given.pop("tuning", ())),
        findings=tuple(Finding(**each) for each in given.pop("findings", ())),
        shifts=tuple(_shift(each) for each in given.pop("shifts", ())),
        outputs=tuple(given.pop("outputs", ())),
        tested=tuple(given.pop("tested", ())),
        **given,
    )


def _shift(row: dict[str, Any]) -> ShiftResult:
    scores = {name: Score(**_numbers(row[name])) for name in ("accuracy", "drop")}
    return ShiftResult(**{**row, **scores})


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if item is None else item for key, item in row.items()}


def table_row(table: ImageTable) -> dict[str, Any]:
    """A table as JSON-like values, less its pixels."""
    return {
        "name": table.name,
        "root": table.root,
        "paths": list(table.paths),
        "digests": list(table.digests),
        "labels": {name: list(column) for name, column in table.labels.items()},
        "groups": None if table.groups is None else list(table.groups),
        "splits": None if table.splits is None else list(table.splits),
        "problems": [[problem.path, problem.reason] for problem in table.problems],
        "source": table.source,
    }


def table_from(row: dict[str, Any], pixels: Any = None) -> ImageTable:
    """The table that `table_row` described."""
    return ImageTable(
        name=row["name"],
        root=row["root"],
        paths=tuple(row["paths"]),
        digests=tuple(row["digests"]),
        labels={name: tuple(column) for name, column in row["labels"].items()},
        groups=None if row["groups"] is None else tuple(row["groups"]),
        splits=None if row["splits"] is None else tuple(row["splits"]),
        pixels=pixels,
        problems=tuple(Problem(*each) for each in row["problems"]),
        source=row["source"],
    )

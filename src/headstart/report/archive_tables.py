"""The tables of an archive as rows, CSV and Parquet.

A text that begins as a formula (=, +, -, @, tab, carriage return) gets a quote in front in CSV, as OWASP advises
against formula injection; Parquet holds it as it is. Images a class are text in both: a number, or `all`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.images.file_names import cell
from headstart.images.table import ImageTable
from headstart.measure.metrics import METRICS
from headstart.measure.retrieval import METRICS as SEARCH_METRICS
from headstart.measure.values import Score
from headstart.report.sections.images_a_class import crossings_of, laws_of
from headstart.report.summary import SCORE_KEYS, summary_lines
from headstart.report.verdict import datasets
from headstart.report.wording import total_seconds
from headstart.study.records import CellResult, StudyRecord
from headstart.study.spec_values import per_class_word

Cell = str | int | float | bool | None


def run_rows(record: StudyRecord) -> list[dict[str, Cell]]:
    """One row a run, finished or failed, in the order in which they ended."""
    searched = any(result.cell.scenario == "retrieval" for result in record.results)
    metrics = (*METRICS, *(SEARCH_METRICS if searched else ()))
    metrics += tuple(dict.fromkeys(n for r in record.results if r.cell.sharing for n in r.scores))
    kinds = tuple(dict.fromkeys(shift.kind for result in record.results for shift in result.shifts))
    return [_run(result, metrics, kinds) for result in record.results]


def _run(result: CellResult, metrics: Sequence[str], kinds: Sequence[str]) -> dict[str, Cell]:
    cell = result.cell
    row: dict[str, Cell] = {
        "run": cell.id, "dataset": cell.dataset, "target": cell.target, "method": cell.method,
        "scenario": cell.scenario, "backbone": cell.backbone, "layer": cell.layer, "pooling": cell.pooling,
        "head": cell.head, "cut": cell.cut, "sharing": cell.sharing, "height": cell.height, "width": cell.width,
        "per_class": per_class_word(cell.per_class), "seed": cell.seed, "engine": cell.engine, "precision": cell.precision,
        "data_digest": cell.data_digest, "split_digest": cell.split_digest,
        "weights_digest": cell.weights_digest, "status": result.status, "error": result.error,
        "selection": result.selection, "selected_on": result.selected_on, "n_train": result.n_train,
        "n_validation": result.n_validation, "n_test": result.n_test,
        "chosen": json.dumps(result.chosen, sort_keys=True, default=str),
        "seconds": total_seconds(result.seconds), "peak_bytes": result.peak_bytes,
        "model_bytes": result.model_bytes, "images_seen": result.images_seen,
    }  # fmt: skip
    for name in metrics:
        row |= _columns(name, result.scores.get(name))
    shifts = {shift.kind: shift for shift in result.shifts}
    for kind in kinds:
        shift = shifts.get(kind)
        row |= _columns(f"{kind} accuracy", shift.accuracy if shift is not None else None)
        row |= _columns(f"{kind} drop", shift.drop if shift is not None else None)
        row |= {f"{kind} n": shift.n, f"{kind} images": shift.name} if shift is not None else {}
    return row


def _columns(name: str, score: Score | None) -> dict[str, Cell]:
    """A score in three columns."""
    if score is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}


def sized_rows(record: StudyRecord) -> list[dict[str, Cell]]:
    """One row a method, dataset and number of images a class, with the law fitted to the method's scores."""
    laws = {
        (law["dataset"], law["method"]): law for name in datasets(record) for law in laws_of(record, name)
    }
    found = []
    for row in summary_lines(record).sized:
        law = laws.get((row["dataset"], row["method"]), {})
        own = {name: value for name, value in law.items() if name not in ("dataset", "method")}
        found.append({**_flat(_with_shifts(row), _keys(row)), **own})
    return found


def crossing_rows(record: StudyRecord) -> list[dict[str, Cell]]:
    """One row for each two methods whose fitted laws cross: up to which number of images a class which is better."""
    return [row for name in datasets(record) for row in crossings_of(record, name)]


def method_rows(record: StudyRecord) -> list[dict[str, Cell]]:
    """One row a method and dataset, the best first: means over seeds, as in the results table."""
    summary = summary_lines(record)
    rows = [_flat(_with_shifts(row), _keys(row)) for row in summary.rows]
    return (
        rows
        or [_flat_outputs(row) for row in summary.joint]
        or [_flat(r, SEARCH_METRICS) for r in summary.searches]
    )


def _with_shifts(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with columns for what the method did on each kind of other test images."""
    found = {name: value for name, value in row.items() if name != "shifts"}
    for shift in row["shifts"]:
        kind = shift["kind"]
        found |= {
            f"{kind} accuracy": shift["accuracy"],
            f"{kind} drop": shift["drop"],
            f"{kind} n": shift["n"],
        }
        found |= {f"{kind} images": shift["name"]}
    return found


def _keys(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns of a row that hold scores."""
    return (
        *SCORE_KEYS,
        *(f"{each['kind']} {what}" for each in row["shifts"] for what in ("accuracy", "drop")),
    )


def _flat_outputs(row: Mapping[str, Any]) -> dict[str, Cell]:
    """A row of several outputs, with a column for each metric of each output."""
    left = {name: value for name, value in row.items() if name not in ("outputs", "errors_together")}
    scores = {f"{name}/{key}": score for name, each in row["outputs"].items() for key, score in each.items()}
    return _flat({**left, **scores}, ("joint", *scores))


def _flat(row: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Cell]:
    flat: dict[str, Cell] = {}
    for name, value in row.items():
        if name in keys:
            score = value or {}
            flat[name] = score.get("value")
            flat[f"{name}_low"], flat[f"{name}_high"] = score.get("low"), score.get("high")
        elif name == "per_class":
            flat[name] = per_class_word(value)
        else:
            flat[name] = "; ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return flat


def split_rows(table: ImageTable) -> list[dict[str, Cell]]:
    """One row an image: path, digest, labels, group and the (first) split."""
    return [
        {
            "path": table.paths[at],
            "digest": table.digests[at],
            **{f"label {name}": labels[at] for name, labels in table.labels.items()},
            "group": table.groups[at] if table.groups is not None else None,
            "split": table.splits[at] if table.splits is not None else None,
        }
        for at in range(len(table))
    ]


def csv_text(rows: Sequence[Mapping[str, Cell]]) -> str:
    """Rows as CSV in UTF-8 without formulas; absent values are empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_safe(name) for name in names])
    writer.writerows([_safe(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def _safe(value: Cell) -> Cell:
    return cell(value) if isinstance(value, str) else value


def parquet_bytes(rows: Sequence[Mapping[str, Cell]]) -> bytes:
    """Rows as a Parquet file; columns whose values are all absent are of type text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array(_column([row.get(name) for row in rows])) for name in names}
    columns = {
        name: each.cast(pa.string()) if pa.types.is_null(each.type) else each
        for name, each in columns.items()
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def _column(values: list[Cell]) -> list[Cell]:
    return [
        value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for value in values
    ]

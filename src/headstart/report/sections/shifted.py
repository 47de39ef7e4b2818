"""Results on other test images beside those of the split: columns, claims, the curve over severities, per corruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headstart.images.augment.corruptions import SEVERITIES
from headstart.measure.shift import mean_corruption_error
from headstart.report.document import Beside, Block, Claim, Column, Entry, Figure, Paragraph, Row, Table
from headstart.report.figure_style import Mark
from headstart.report.figures import accuracy_by_step
from headstart.report.run_links import RUNS, runs_entry
from headstart.report.told_shift import rival_told
from headstart.report.verdict import best_of, ranked
from headstart.report.wording import DASH, count, decimal, interval, listed, percent, signed_points
from headstart.study.records import MethodSummary, ShiftResult, StudyRecord
from headstart.study.shifted import CORRUPTED, FOLDER

LINES_SHOWN = 6
TITLES = {FOLDER: "second folder", CORRUPTED: "corrupted"}


def shift_columns(rows: Sequence[MethodSummary]) -> list[Column]:
    """Accuracy and drop of each kind of other test images; nothing where there are none."""
    found = []
    for kind in _kinds(rows):
        how = "the same images unchanged" if kind == CORRUPTED else "the test images"
        found.append(Column(TITLES[kind], "accuracy there", numeric=True))
        found.append(Column("drop", f"points lost against {how}", numeric=True))
    return found


def shift_entries(row: MethodSummary, rows: Sequence[MethodSummary]) -> list[Entry]:
    """The entries of one method under `shift_columns`."""
    own = {shift.kind: shift for shift in row.shifts}
    found = []
    for kind in _kinds(rows):
        if (shift := own.get(kind)) is None:
            found += [Entry(DASH, None), Entry(DASH, None)]
            continue
        small, drop = interval(shift.accuracy, as_percent=True), shift.drop
        found.append(Entry(percent(shift.accuracy.value), shift.accuracy.value, small=small))
        found.append(Entry(signed_points(drop.value), drop.value, small=signed_points(drop.low, drop.high)))
    return found


def short_shift_columns(rows: Sequence[MethodSummary]) -> list[Column]:
    """One column for each kind of other test images, for a narrow page: the accuracy there, the drop under it."""
    return [column for column in shift_columns(rows) if column.title != "drop"]


def short_shift_entries(row: MethodSummary, rows: Sequence[MethodSummary]) -> list[Entry]:
    """The entries of one method under `short_shift_columns`: those of `shift_entries`, two in one."""
    found = shift_entries(row, rows)
    pairs = zip(found[::2], found[1::2], strict=True)
    return [
        replace(accuracy, small=f"drop {drop.text} ({drop.small})" if drop.sort is not None else "")
        for accuracy, drop in pairs
    ]


def _kinds(rows: Sequence[MethodSummary]) -> list[str]:
    return list(dict.fromkeys(shift.kind for row in rows for shift in row.shifts))


def shift_claims(record: StudyRecord, dataset: str, *, short: bool = False) -> list[Claim]:
    """What the best method loses, and which method is highest there; chosen by nothing but validation all the same.

    In `short` one sentence says what the best loses on all of them.
    """
    best = best_of(record, dataset)
    if best is None:
        return []
    if short:
        said = listed(_short_words(shift) for shift in best.shifts)
        return [Claim(f"On other test images {best.method} is right for {said}.", best.cells)] if said else []
    claims = []
    for shift in best.shifts:
        said = f"On {_what(shift)}, {best.method} is right for {percent(shift.accuracy.value)}, "
        said += f"{_lost(shift)} than on "
        said += "its test images" if shift.kind == FOLDER else "the same images unchanged"
        span = signed_points(shift.drop.low, shift.drop.high)
        other, runs = _rival(record, dataset, best, shift)
        claims.append(Claim(f"{said} (95 % interval of the loss {span}). {other}", runs))
    return claims


def _short_words(shift: ShiftResult) -> str:
    span = signed_points(shift.drop.low, shift.drop.high)
    return f"{percent(shift.accuracy.value)} of {_what(shift)} ({_lost(shift)}, 95 % interval of the loss {span})"


def _what(shift: ShiftResult) -> str:
    if shift.kind != FOLDER:
        return _corrupted_words(shift)
    return f"{count(shift.n, 'image')} of {shift.name}"


def _lost(shift: ShiftResult) -> str:
    lost = 100 * shift.drop.value
    return f"{abs(lost):.1f} points {'less' if lost >= 0 else 'more'}"


def _corrupted_words(shift: ShiftResult) -> str:
    kinds = {name.rpartition("/")[0] for name in shift.by}
    return f"{count(shift.n, 'test image')} under {count(len(kinds), 'corruption')} at {len(SEVERITIES)} severities"


def _rival(
    record: StudyRecord, dataset: str, best: MethodSummary, shift: ShiftResult
) -> tuple[str, tuple[str, ...]]:
    """The method that is highest there, and what the paired test on the same images says of it and the best."""
    top, told = rival_told(record, dataset, shift.kind)
    if top is None:
        return "No other method is higher there.", best.cells
    said = f"Highest there is {top.method} with {percent(_of(top, shift.kind).accuracy.value)}, not chosen for that"
    pair = told.pair(top.method) if told is not None else None
    if told is None or pair is None:
        why = "what both said of the same images is not in the record"
        return f"{said}; whether it is better there was not tested: {why}.", (*best.cells, *top.cells)
    return f"{said}; {told.how}: {pair.words}", (*best.cells, *top.cells)


def _of(row: MethodSummary, kind: str) -> ShiftResult:
    return next(shift for shift in row.shifts if shift.kind == kind)


def shift_blocks(record: StudyRecord, dataset: str, id: str) -> list[Block]:
    """The curve over severities and the table of corruptions, of the methods that stand first."""
    corrupted = [
        row for row in ranked(record, dataset) if any(shift.kind == CORRUPTED for shift in row.shifts)
    ]
    if not corrupted:
        return []
    note = Paragraph(
        "Corruptions are drawn by this package's own operators in the manner of Hendrycks and Dietterich (2019), on "
        "images brought to 256 pixels; their strengths are its own, so figures do not compare with published ones."
    )
    shown = corrupted[:LINES_SHOWN]
    figure, table = _severities(shown, len(corrupted), id), _by_corruption(record, shown, dataset, id)
    return [note, Beside((figure, table))]


def severities(shift: ShiftResult) -> list[float]:
    """Mean accuracy over corruptions at each severity, mild to severe; [] for a folder."""
    found: dict[str, list[float]] = {}
    for name, value in shift.by.items():
        found.setdefault(name.rpartition("/")[2], []).append(value)
    return [sum(found[each]) / len(found[each]) for each in sorted(found, key=int)]


def _severities(rows: Sequence[MethodSummary], n: int, id: str) -> Figure:
    marks = []
    for row in rows:
        shift = _of(row, CORRUPTED)
        values = [shift.clean, *severities(shift)]
        marks += [Mark(row.method, float(at), value, value, value) for at, value in enumerate(values)]
    steps = ["none", *map(str, SEVERITIES)]
    span = (min(mark.value for mark in marks), max(mark.value for mark in marks))
    caption = "Mean accuracy over the corruptions by severity; none: the same test images unchanged."
    caption += f" The {len(rows)} first of {n} methods are drawn." if n > len(rows) else ""
    svg = accuracy_by_step(steps, marks, span, "severity")
    runs = tuple(cell for row in rows for cell in row.cells)
    return Figure(
        f"{id}-severity", caption, svg, f"Accuracy of {count(len(rows), 'method')} by severity", (), runs
    )


def baseline_of(record: StudyRecord, dataset: str) -> MethodSummary | None:
    """The method that corruption errors are relative to: the first that ran of the dataset with corrupted images."""
    rows = [row for row in record.summaries if row.dataset == dataset and row.shifts]
    order = {result.cell.id: at for at, result in enumerate(record.results)}
    known = [row for row in rows if any(shift.kind == CORRUPTED for shift in row.shifts)]
    return min(known, key=lambda row: min(order.get(cell, len(order)) for cell in row.cells), default=None)


def _by_corruption(record: StudyRecord, rows: Sequence[MethodSummary], dataset: str, id: str) -> Table:
    base = baseline_of(record, dataset)
    names = list(dict.fromkeys(name.rpartition("/")[0] for name in _of(rows[0], CORRUPTED).by))
    made = []
    for row in rows:
        shift = _of(row, CORRUPTED)
        error = _error(shift, base)
        means = [
            _mean([value for key, value in shift.by.items() if key.rpartition("/")[0] == name])
            for name in names
        ]
        entries = [Entry(row.method, row.method.casefold()), Entry(decimal(error, 2), error)]
        shares = [Entry(percent(value), value) for value in means]
        made.append(Row((*entries, *shares, runs_entry(row.cells))))
    caption = "Accuracy under each corruption, the mean of its severities. "
    caption += (
        f"Mean corruption error is relative to {base.method} (1: as many errors; lower is better)."
        if base
        else ""
    )
    columns = (
        Column("method"),
        Column("mean corruption error", "lower is better", numeric=True),
        *(Column(name.replace("_", " "), numeric=True) for name in names),
        RUNS,
    )
    return Table(f"{id}-corruptions", caption, columns, tuple(made), sortable=True)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _error(shift: ShiftResult, base: MethodSummary | None) -> float | None:
    if base is None or not shift.by:
        return None
    return mean_corruption_error(shift.by, _of(base, CORRUPTED).by)


def shift_dicts(record: StudyRecord, row: MethodSummary) -> list[dict[str, Any]]:
    """What a method did on other test images, JSON-like: see docs/json.md."""
    base = baseline_of(record, row.dataset) if row.shifts else None
    return [
        {
            "kind": shift.kind,
            "name": shift.name,
            "n": shift.n,
            "accuracy": shift.accuracy.to_dict(),
            "drop": shift.drop.to_dict(),
            "clean": shift.clean,
            "severities": severities(shift),
            "conditions": shift.by,
            "mean_corruption_error": _error(shift, base),
            "baseline": base.method if base is not None and shift.by else "",
        }
        for shift in row.shifts
    ]

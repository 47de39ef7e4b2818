"""The results of one dataset by input size: what each size gives at its best, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.report.document import Beside, Block, Column, Entry, Figure, Row, Table
from headstart.report.figure_style import Mark
from headstart.report.figures import accuracy_by_step
from headstart.report.run_links import RUNS, runs_entry
from headstart.report.verdict import accuracy
from headstart.report.wording import DASH, duration, interval, percent, total_seconds
from headstart.report.wording import size as bytes_of
from headstart.study.records import Cell, MethodSummary, StudyRecord

Sides = tuple[int, int]
LINES_SHOWN = 8
COLUMNS = (
    Column("pixels", "height x width of the input"),
    Column("against the smallest", "how many times its pixels", numeric=True),
    Column("best method there", "by the choosing score"),
    Column("choosing score", numeric=True),
    Column("test accuracy", "with its 95 % interval", numeric=True),
    Column("features", "seconds of the backbone's pass over all images", numeric=True),
    Column("all", "seconds: features, fit and predict", numeric=True),
    Column("peak memory", numeric=True),
    RUNS,
)


def sides_of(cells: Mapping[str, Cell], row: MethodSummary) -> Sides | None:
    """Height and width of a method's input; None where none of its runs is there."""
    cell = next((cells[id] for id in row.cells if id in cells), None)
    return (cell.height, cell.width) if cell else None


def pixels(cells: Mapping[str, Cell], row: MethodSummary) -> str:
    """The size as the report writes it; "" where none of the method's runs is there."""
    sides = sides_of(cells, row)
    return f"{sides[0]} x {sides[1]}" if sides else ""


def size_blocks(record: StudyRecord, scored: Sequence[MethodSummary], id: str) -> list[Block]:
    """A table and a drawing for each backbone that was tried at several sizes; nothing where none was.

    Parameters
    ----------
    scored : sequence of MethodSummary
        Methods of one dataset that have an accuracy.
    """
    cells = {result.cell.id: result.cell for result in record.results}
    blocks: list[Block] = []
    for number, backbone in enumerate(dict.fromkeys(row.backbone for row in scored)):
        by_size: dict[Sides, list[MethodSummary]] = {}
        for row in scored:
            if row.backbone == backbone and (sides := sides_of(cells, row)):
                by_size.setdefault(sides, []).append(row)
        if len(by_size) > 1:
            ordered = dict(sorted(by_size.items(), key=lambda pair: (pair[0][0] * pair[0][1], pair[0])))
            pair = (_table(backbone, ordered, f"{id}-sizes-{number}"),)
            blocks += [*pair, Beside((_figure(backbone, ordered, f"{id}-by-size-{number}"),))]
    return blocks


def _top(rows: Sequence[MethodSummary]) -> MethodSummary:
    return max(rows, key=lambda row: -1.0 if row.standing is None else row.standing)


def _table(backbone: str, by_size: Mapping[Sides, list[MethodSummary]], id: str) -> Table:
    least = min(height * width for height, width in by_size)
    tops = {sides: _top(rows) for sides, rows in by_size.items()}
    best = _top(list(tops.values()))
    caption = (
        f"{backbone} by input size: the best method at each, by the choosing score, and what it costs. "
        "The row marked is the best of all."
    )
    rows = tuple(
        Row(_entries(sides, row, sides[0] * sides[1] / least), "best" if row is best else "")
        for sides, row in tops.items()
    )
    return Table(id, caption, COLUMNS, rows, sortable=True)


def _entries(sides: Sides, row: MethodSummary, times: float) -> tuple[Entry, ...]:
    score, features, took = accuracy(row), row.seconds.get("extract"), total_seconds(row.seconds)
    return (
        Entry(f"{sides[0]} x {sides[1]}", sides[0] * sides[1]),
        Entry(f"{times:.1f}x", times),
        Entry(_name(row)),
        Entry(percent(row.selection), row.selection),
        Entry(percent(score.value), score.value, small=interval(score, as_percent=True))
        if score
        else Entry(DASH),
        Entry(duration(features), features),
        Entry(duration(took), took),
        Entry(bytes_of(row.peak_bytes), row.peak_bytes or None),
        runs_entry(row.cells),
    )


def _name(row: MethodSummary) -> str:
    """A method less its backbone and size, which stand beside it."""
    parts = (row.scenario, row.place, row.pooling, row.head, "tuned" if row.tuned else "")
    return " ".join(part for part in parts if part)


def _figure(backbone: str, by_size: Mapping[Sides, list[MethodSummary]], id: str) -> Figure:
    """One line a method, over the sizes."""
    lines: dict[str, dict[Sides, MethodSummary]] = {}
    every = [row for rows in by_size.values() for row in rows]
    differ = [
        part
        for part in ("scenario", "place", "pooling", "head", "options")
        if len({getattr(r, part) for r in every}) > 1
    ]
    for sides, rows in by_size.items():
        for row in rows:
            name = " ".join(filter(None, (getattr(row, part) for part in differ))) or _name(row)
            lines.setdefault(name, {})[sides] = row
    leading = sorted(lines, key=lambda name: -max(row.standing or 0.0 for row in lines[name].values()))
    places = {sides: at for at, sides in enumerate(by_size)}
    shown = {name: lines[name] for name in leading[:LINES_SHOWN]}
    marks = [
        Mark(name, places[sides], score.value, score.low, score.high)
        for name, line in shown.items()
        for sides, row in line.items()
        if (score := accuracy(row)) is not None
    ]
    span = min(mark.low for mark in marks), max(mark.high for mark in marks)
    caption = f"Test accuracy of {backbone} by input size, with 95 % intervals, one line a method."
    if len(lines) > LINES_SHOWN:
        caption += f" The {LINES_SHOWN} best of {len(lines)} lines are drawn."
    svg = accuracy_by_step(
        [f"{height}x{width}" for height, width in by_size], marks, span, "input, height x width in pixels"
    )
    runs = tuple(id for line in shown.values() for row in line.values() for id in row.cells)
    return Figure(id, caption, svg, f"Accuracy of {backbone} by input size", (), runs)

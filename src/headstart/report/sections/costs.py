"""Accuracy against what it costs: seconds, peak memory, size of the model; the frontier drawn and in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.report.document import Figure
from headstart.report.figure_style import Mark
from headstart.report.figures import accuracy_against_cost
from headstart.report.told import ToldApart
from headstart.report.verdict import accuracy
from headstart.report.wording import count, duration, percent, size, total_seconds
from headstart.study.records import MethodSummary, StudyRecord


@dataclass(frozen=True)
class Cost:
    """Something that a method costs: how it is called, read off a row, shown, and in which unit it is drawn."""

    key: str
    noun: str
    less: str
    axis: str
    scale: float
    of: Callable[[MethodSummary], float | None]
    shown: Callable[[float | None], str]


COSTS = (
    Cost(
        "seconds", "seconds", "in less time", "seconds", 1.0, lambda row: total_seconds(row.seconds), duration
    ),
    Cost(
        "memory",
        "peak memory",
        "with less memory",
        "peak memory, MB",
        1e6,
        lambda row: row.peak_bytes or None,
        size,
    ),
    Cost(
        "size",
        "size of the model",
        "with a smaller model",
        "model, MB",
        1e6,
        lambda row: row.model_bytes or None,
        size,
    ),
)


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the (cost, accuracy) points that no other beats in both, by growing cost (the Pareto set).

    Examples
    --------
    >>> frontier([(10, 0.9), (5, 0.8), (7, 0.7)])
    [1, 0]
    """
    kept: list[int] = []
    for at in sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1])):
        if not kept or points[at][1] > points[kept[-1]][1]:
            kept.append(at)
    return kept


def cost_figures(
    record: StudyRecord,
    dataset: str,
    rows: Sequence[MethodSummary],
    shapes: tuple[str, Mapping[str, str]],
    id: str,
    told: ToldApart | None = None,
) -> list[Figure]:
    """One figure a cost that is known of the methods.

    Parameters
    ----------
    record : StudyRecord
    dataset : str
    rows : sequence of MethodSummary
        Those with an accuracy.
    shapes : (str, mapping of method to series)
        What the marks of one shape share, and the shape of each method.
    id : str
    told : ToldApart, optional
        Every method against the best by a paired test: what tells filled marks from hollow ones.
    """
    ordered = sorted(
        rows, key=lambda row: (row.trains, shapes[1][row.method])
    )  # a head looks alike in every drawing
    made = (_figure(record.best.get(dataset), ordered, shapes, cost, id, told) for cost in COSTS)
    return [each for each in made if each is not None]


def _figure(
    best: str | None,
    rows: Sequence[MethodSummary],
    shapes: tuple[str, Mapping[str, str]],
    cost: Cost,
    id: str,
    told: ToldApart | None,
) -> Figure | None:
    by, names = shapes
    known = [row for row in rows if cost.of(row)]
    if not known:
        return None
    marks = [
        replace(_mark(row, names[row.method], (cost.of(row) or 0.0) / cost.scale), level=_level(row, told))
        for row in known
    ]
    front = frontier([(mark.x, mark.value) for mark in marks])
    ring = next((at for at, row in enumerate(known) if row.method == best), None)
    caption = (
        f"Test accuracy against {cost.noun}, one mark a method, one shape a {by}; bars are 95 % intervals. "
        f"The line is the frontier: no method is as accurate {cost.less}. The ring is the best (validation). "
    )
    if told is not None:
        caption += "Hollow marks are worse or better than it by the paired test, filled ones are neither. "
    caption += "On the frontier, by number:"
    notes = tuple(
        f"{number}. {known[at].method}: {percent(marks[at].value)} at {cost.shown(cost.of(known[at]))}"
        for number, at in enumerate(front, start=1)
    )
    svg = accuracy_against_cost(marks, front, ring, cost.axis, from_zero=cost.key == "seconds")
    runs = tuple(cell for row in known for cell in row.cells)
    return Figure(
        f"{id}-{cost.key}",
        caption,
        svg,
        f"Accuracy of {count(len(known), 'method')} against {cost.noun}",
        notes,
        runs,
    )


def _level(row: MethodSummary, told: ToldApart | None) -> bool | None:
    """Whether a method is neither better nor worse than the best; None where it was not compared."""
    if told is None or row.method not in told.verdicts.methods:
        return None
    return row.method == told.best.method or row.method in told.level()


def _mark(row: MethodSummary, series: str, x: float) -> Mark:
    score = accuracy(row)
    if score is None:
        raise ValueError(f"{row.method} has no accuracy to draw")
    return Mark(series, x, score.value, score.low, score.high)

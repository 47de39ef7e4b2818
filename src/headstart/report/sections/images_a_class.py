"""Accuracy against images a class: measured points, fitted laws, where lines cross, what two points more would take.

One line a scenario, the method of it that the choosing score puts first on most images; and the methods that it
puts first on fewer. Each point stands at its training images a class, the mean over classes: a class that has fewer
than were asked for gives all of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.measure.cannot_tell import CannotTell
from headstart.measure.curve_questions import Crossing, crossing, more_for
from headstart.measure.curves import LearningCurve, learning_curve
from headstart.report.document import Beside, Block, Claim, Column, Entry, Figure, Row, Section, Table
from headstart.report.figure_style import Mark
from headstart.report.figures import Band, accuracy_against_images
from headstart.report.run_links import place_of
from headstart.report.verdict import accuracy, results_of
from headstart.report.wording import DASH, count, interval, percent
from headstart.study.records import CellResult, MethodSummary, StudyRecord

LINES = 6
GAIN = 0.02
NO_CROSSING = ("The fitted laws do not cross", "Whether the fitted laws cross")
"""How the sentence begins that stands where no crossing is told."""
BAND_STEPS = 40
SEED = 0


def images_section(record: StudyRecord, dataset: str, id: str) -> Section | None:
    """None where the study had one number of images a class."""
    rows = [row for row in record.sized if row.dataset == dataset and accuracy(row) is not None]
    lines = _lines(record, rows, dataset)
    if not lines:
        return None
    curves = {name: _curve(record, name, line) for name, line in lines.items()}
    blocks: list[Block] = [*_claims(curves, lines), _table(lines, curves, id)]
    blocks.append(Beside((_figure(record, lines, curves, id),)))
    return Section(id, "Images a class", tuple(blocks))


def laws_of(record: StudyRecord, dataset: str) -> list[dict[str, Any]]:
    """The law fitted to each method that is drawn, and what two points more would take: keys dataset, method, law
    ("" where none fits), levels_off_at, more_for_two_points with _low and _high, reason (why it cannot be told).
    """
    found = []
    for name, curve in _curves(record, dataset).items():
        fitted = curve if isinstance(curve, LearningCurve) else None
        more = curve if isinstance(curve, CannotTell) else more_for(curve, points=GAIN)
        told = more if not isinstance(more, CannotTell) else None
        found.append({
            "dataset": dataset, "method": name, "law": fitted.law if fitted else "",
            "levels_off_at": fitted.ceiling if fitted else None,
            "more_for_two_points": told.extra if told else None,
            "more_for_two_points_low": told.low if told else None,
            "more_for_two_points_high": told.high if told else None,
            "reason": more.reason if isinstance(more, CannotTell) else "",
        })  # fmt: skip
    return found


def crossings_of(record: StudyRecord, dataset: str) -> list[dict[str, Any]]:
    """Where fitted laws cross: keys dataset, before, after, images_a_class with _low and _high."""
    return [
        {
            "dataset": dataset, "before": found.before, "after": found.after, "images_a_class": found.n,
            "images_a_class_low": found.low, "images_a_class_high": found.high,
        }
        for found in _crossings(_curves(record, dataset))
    ]  # fmt: skip


def curve_of(record: StudyRecord, dataset: str, method: str) -> tuple[LearningCurve | CannotTell, float]:
    """The law of one method over all its numbers of images a class, and the images a class that all of them are.

    The number is 0 where no run had all training images.
    """
    rows = [row for row in record.sized if (row.dataset, row.method) == (dataset, method)]
    line = sorted((row for row in rows if accuracy(row) is not None and _runs(record, row)), key=_images)
    if len(line) < 2:
        return CannotTell("every run learned from the same number of images a class"), 0.0
    whole = 0.0 if line[-1].per_class else _x(record, line[-1])
    return _curve(record, method, line), whole


def _curves(record: StudyRecord, dataset: str) -> dict[str, LearningCurve | CannotTell]:
    rows = [row for row in record.sized if row.dataset == dataset and accuracy(row) is not None]
    return {name: _curve(record, name, line) for name, line in _lines(record, rows, dataset).items()}


def _crossings(curves: Mapping[str, LearningCurve | CannotTell]) -> list[Crossing]:
    fitted = [curve for curve in curves.values() if isinstance(curve, LearningCurve)]
    pairs = [crossing(one, other) for at, one in enumerate(fitted) for other in fitted[at + 1 :]]
    return [found for found in pairs if isinstance(found, Crossing)]


def _lines(
    record: StudyRecord, rows: Sequence[MethodSummary], dataset: str
) -> dict[str, list[MethodSummary]]:
    """The methods that are drawn, each with its rows from few images to many."""
    every: dict[str, list[MethodSummary]] = {}
    for row in rows:
        every.setdefault(row.method, []).append(row)
    whole = {name: sorted(line, key=_images) for name, line in every.items() if len(line) > 1}
    chosen: dict[str, None] = {}
    if (best := record.best.get(dataset)) in whole:
        chosen[str(best)] = None
    for scenario in dict.fromkeys(row.scenario for row in rows):
        own = [line[-1] for line in whole.values() if line[-1].scenario == scenario]
        if own:
            chosen[max(own, key=lambda row: row.standing or 0.0).method] = None
    for number in sorted({row.per_class for row in rows if row.per_class}):
        there = [row for row in rows if row.per_class == number and row.method in whole]
        if there:
            chosen[max(there, key=lambda row: row.standing or 0.0).method] = None
    return {name: whole[name] for name in list(chosen)[:LINES]}


def _images(row: MethodSummary) -> float:
    return float(row.per_class) if row.per_class else float("inf")


def _x(record: StudyRecord, row: MethodSummary) -> float:
    """Images a class that the runs of a row may learn from, the mean over classes and runs."""
    return float(np.mean([_n_given(run) / max(1, len(run.classes)) for run in _runs(record, row)]))


def _n_given(run: CellResult) -> int:
    """Training images of a run; those of an inner fold, which only chose, are among them."""
    return run.n_train + (0 if run.selected_on == "validation" else run.n_validation)


def _runs(record: StudyRecord, row: MethodSummary) -> list[CellResult]:
    return [result for result in results_of(record, row) if result.whole]


def _curve(record: StudyRecord, name: str, line: Sequence[MethodSummary]) -> LearningCurve | CannotTell:
    """Of two rows that learned from equally many images, which are then the same, the one that asked for more stands."""
    at = {_x(record, row): row for row in line}
    scores = [[run.scores["accuracy"].value for run in _runs(record, row)] for row in at.values()]
    return learning_curve(name, list(at), scores, np.random.default_rng(SEED))


def _claims(
    curves: dict[str, LearningCurve | CannotTell], lines: dict[str, list[MethodSummary]]
) -> list[Claim]:
    runs = tuple(cell for line in lines.values() for row in line for cell in row.cells)
    claims = [_more_claim(next(iter(curves.values())), next(iter(lines)), runs)]
    crossings = [Claim(_crossing_words(found), runs) for found in _crossings(curves)]
    if not crossings and (said := _no_crossing_words(curves)):
        crossings = [Claim(said, runs)]
    return claims + crossings


def _no_crossing_words(curves: Mapping[str, LearningCurve | CannotTell]) -> str:
    """That no fitted law overtakes another, or why that cannot be told; "" for a single line."""
    fitted = [curve for curve in curves.values() if isinstance(curve, LearningCurve)]
    if len(curves) < 2:
        return ""
    none, unknown = NO_CROSSING
    if len(fitted) < 2:
        return f"{unknown} cannot be told: a law could be fitted to {len(fitted)} of {len(curves)} methods."
    least, most = max(each.measured[0] for each in fitted), min(each.measured[1] for each in fitted)
    if not least < most:
        return (
            f"{unknown} cannot be told: the methods were not measured at the same numbers of images a class."
        )
    top = max(fitted, key=lambda each: float(each.at(most)))
    return (
        f"{none} between {least:,.0f} and {most:,.0f} images a class: {top.name} is on top at every number in "
        "between."
    )


def _more_claim(curve: LearningCurve | CannotTell, name: str, runs: tuple[str, ...]) -> Claim:
    found = curve if isinstance(curve, CannotTell) else more_for(curve, points=GAIN)
    question = f"How many more images a class would {name} need for two points more?"
    if isinstance(found, CannotTell):
        return Claim(f"{question} It cannot be told: {found.reason}.", runs)
    high = "beyond what can be told" if found.high is None else f"{found.high:,.0f}"
    said = f"{question} About {found.extra:,.0f} (95 % interval {found.low:,.0f} to {high}), by the law fitted to it."
    return Claim(said, runs)


def _crossing_words(found: Crossing) -> str:
    between = (
        f" (95 % interval {found.low:,.0f} to {found.high:,.0f})"
        if found.low is not None and found.high is not None
        else " (its interval reaches beyond the numbers measured)"
    )
    return (
        f"Up to about {found.n:,.0f} images a class{between} {found.before} is more accurate, with more "
        f"{found.after}."
    )


def _table(
    lines: dict[str, list[MethodSummary]], curves: dict[str, LearningCurve | CannotTell], id: str
) -> Table:
    sizes = sorted(
        {row.per_class for line in lines.values() for row in line}, key=lambda n: n or float("inf")
    )
    columns = (
        Column("method"),
        *(Column(f"{n:,}" if n else "all", "images a class", numeric=True) for n in sizes),
        Column("levels off at", "the accuracy that the fitted law approaches", numeric=True),
        Column("law", "the law that foretells the last point best"),
    )
    made = []
    for name, line in lines.items():
        by_size = {row.per_class: row for row in line}
        curve = curves[name]
        fitted = curve if isinstance(curve, LearningCurve) else None
        made.append(
            Row(
                (
                    Entry(name, name.casefold()),
                    *(_score(by_size.get(n)) for n in sizes),
                    Entry(percent(fitted.ceiling), fitted.ceiling) if fitted else Entry(DASH, small=str(curve)[:90]),
                    Entry(fitted.law if fitted else DASH),
                )
            )
        )  # fmt: skip
    caption = (
        "Test accuracy by images a class, with 95 % intervals; below “all”, tuning had no other images than these. A "
        "class that has fewer gives all of its own. Extrapolation is a guess from a fitted law."
    )
    runs = tuple(cell for line in lines.values() for row in line for cell in row.cells)
    return Table(f"{id}-table", caption, columns, tuple(made), sortable=True, runs=runs)


def _score(row: MethodSummary | None) -> Entry:
    """The accuracy of a method at one number of images, which leads to the first of its runs there."""
    score = accuracy(row) if row is not None else None
    if row is None or score is None:
        return Entry(DASH, None)
    return Entry(percent(score.value), score.value, small=interval(score), target=place_of(row.cells[0]))


def _figure(
    record: StudyRecord,
    lines: dict[str, list[MethodSummary]],
    curves: dict[str, LearningCurve | CannotTell],
    id: str,
) -> Figure:
    marks, bands = [], []
    for name, line in lines.items():
        for row in line:
            if (score := accuracy(row)) is not None:
                marks.append(Mark(name, _x(record, row), score.value, score.low, score.high))
        curve = curves[name]
        if isinstance(curve, LearningCurve):
            n = np.geomspace(*curve.measured, BAND_STEPS)
            low, high = np.quantile(curve.draws_at(n), [0.025, 0.975], axis=0)
            values = curve.at(n)
            bands.append(Band(name, tuple(n), tuple(values), tuple(low), tuple(high)))
    caption = (
        "Test accuracy against training images a class, their mean over classes (logarithmic), with 95 % intervals "
        "over test images and seeds; lines are fitted laws, shades their 95 % bands over seeds. See which line is on "
        "top at the number of images that you can have."
    )
    runs = tuple(cell for line in lines.values() for row in line for cell in row.cells)
    svg = accuracy_against_images(marks, bands)
    return Figure(
        f"{id}-curves", caption, svg, f"Accuracy of {count(len(lines), 'method')} by images a class", (), runs
    )

"""The study in one table: on each data set what won, how sure that is, and at what cost."""

from __future__ import annotations

from headstart.measure.cannot_tell import CannotTell
from headstart.measure.verdict_words import p_words, points
from headstart.report.document import Column, Entry, Row, Table
from headstart.report.told import Told, ToldApart
from headstart.report.verdict import accuracy, best_of, cheapest, datasets
from headstart.report.wording import DASH, duration, interval, percent, size, total_seconds
from headstart.study.records import MethodSummary, StudyRecord


def in_short_table(record: StudyRecord, told: Told, id: str = "in-short") -> Table | None:
    """One row a data set on which something finished; None where none has."""
    rows = tuple(
        _row(record, name, best, told.get(name))
        for name in datasets(record)
        if (best := best_of(record, name)) is not None
    )
    if not rows:
        return None
    caption = (
        "The study in short. Best: highest on validation or inner folds, less one standard error; under its test "
        "accuracy stands the 95 % interval. The next method is compared with it by the paired test, with Holm's "
        "correction. Cheaper: what takes the least time among the methods that are not distinguishable from the best. "
        "Cost: time of one run, and the most memory in use."
    )
    columns = (
        Column("images"), Column("best"), Column("accuracy", "on the test images", numeric=True),
        Column("the next is"), Column("cheaper, and not told apart"),
        Column("cost", "time of one run, and the most memory in use", numeric=True),
    )  # fmt: skip
    return Table(id, caption, columns, rows)


def _row(record: StudyRecord, name: str, best: MethodSummary, told: ToldApart | None) -> Row:
    score, took = accuracy(best), total_seconds(best.seconds)
    return Row(
        (
            Entry(name, name.casefold()),
            Entry(best.method, best.method.casefold(), target=f"run-{best.cells[0]}"),
            Entry(percent(score.value), score.value, small=interval(score)) if score else Entry(DASH),
            _next(told),
            _cheaper(record, best, told),
            Entry(duration(took), took, small=size(best.peak_bytes)),
        )
    )


def _next(told: ToldApart | None) -> Entry:
    if told is None:
        return Entry("not compared")
    pair = told.verdicts.pairs[0]
    gap, kind = pair.difference, told.kind(pair.b)
    if isinstance(gap, CannotTell):
        return Entry(kind, small=str(gap))
    ahead = "ahead" if gap.value >= 0 else "behind"
    by = f"best {ahead} by {points(abs(gap.value))} points, {p_words(pair.p, pair.alpha)}"
    return Entry(kind, small=f"{pair.b}; {by}")


def _cheaper(record: StudyRecord, best: MethodSummary, told: ToldApart | None) -> Entry:
    if told is None or not told.level() or total_seconds(best.seconds) is None:
        return Entry(DASH)
    found = cheapest(record, best, told)
    if found is None:
        return Entry("none")
    seconds, row = found
    score = accuracy(row)
    small = f"{duration(seconds)}" + (f", {percent(score.value)}" if score is not None else "")
    return Entry(row.method, row.method.casefold(), small=small, target=f"run-{row.cells[0]}")

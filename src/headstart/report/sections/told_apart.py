"""Can the methods be told apart: each against the best, with Holm's correction, in words, as a table and drawn.

All three come from the same verdicts (`headstart.report.told`).
"""

from __future__ import annotations

from headstart.measure.cannot_tell import CannotTell
from headstart.measure.verdict_words import p_short, points
from headstart.measure.verdicts import Verdict
from headstart.report.document import Block, Column, Entry, Figure, Paragraph, Row, Section, Table
from headstart.report.figures_told import Gap, gaps_from_the_best
from headstart.report.naming import short_names
from headstart.report.told import ToldApart
from headstart.report.verdict import told_claims
from headstart.report.wording import DASH, count, decimal, percent
from headstart.study.records import StudyRecord

DRAWN = 16
HOLM = "Holm's correction over all pairs of methods"


def told_apart_section(record: StudyRecord, found: ToldApart | None, id: str) -> Section | None:
    """Claims, drawing and table of one dataset; None where there is nothing to compare."""
    if found is None:
        return None
    note = Paragraph(
        "A paired test looks at each image under both methods, so it sees more than two intervals do."
    )
    blocks: list[Block] = [*told_claims(found), note, *told_figure(record, found, id)]
    return Section(id, "Can they be told apart?", (*blocks, told_table(found, id, 0)))


def told_figure(record: StudyRecord, found: ToldApart, id: str) -> list[Figure]:
    """The gaps to the best, the methods in the order of the verdicts; [] where none has an interval."""
    dataset, methods = found.best.dataset, set(found.verdicts.methods)
    rows = [row for row in (*record.summaries, *record.retrieval) if row.dataset == dataset]
    names = short_names([row for row in rows if row.method in methods])
    gaps = [
        Gap(names[pair.b], found.kind(pair.b), *(100 * value for value in (gap.value, gap.low, gap.high)))
        for pair in found.verdicts.pairs
        if not isinstance(gap := pair.difference, CannotTell)
    ]
    if not gaps:
        return []
    told = len(found.verdicts.pairs)
    rope = 100 * found.verdicts.pairs[0].rope
    caption = (
        f"By how much the best, {found.best.method}, is better in {found.measure} {found.how}. "
        "Intervals are at the confidence that Holm's "
        "correction asks for: where one holds zero, neither is better. "
        f"Within the band ({rope:g} {'point' if rope == 1 else 'points'} either way) a difference does not matter."
    )
    if min(DRAWN, len(gaps)) < told:
        caption += f" {min(DRAWN, len(gaps))} of {told} methods are drawn."
    shown = found.verdicts.methods[: DRAWN + 1]
    runs = tuple(cell for name in shown for cell in found.runs[name])
    svg = gaps_from_the_best(gaps[:DRAWN], rope, found.measure)
    return [
        Figure(
            f"{id}-gaps", caption, svg, f"Gaps of {count(len(gaps[:DRAWN]), 'method')} to the best", (), runs
        )
    ]


def told_table(found: ToldApart, id: str, most_rows: int = 0) -> Table:
    """One row a method: difference, interval, p, effect, and the smallest difference that could be seen."""
    pairs = found.verdicts.pairs[: most_rows or None]
    scores = dict(zip(found.verdicts.methods, found.verdicts.scores, strict=True))
    caption = f"Each method against the best, {found.best.method}, {found.how}. "
    caption += f"Under a difference stands its interval at the confidence that {HOLM} asks for; p is adjusted by it. "
    caption += "The last column is what this comparison would have found four times in five."
    if len(pairs) < len(found.verdicts.pairs):
        caption += f" The first {len(pairs)} of {len(found.verdicts.pairs)} are shown."
    columns = (
        Column("method"),
        Column(found.measure, "on the images that are compared", numeric=True),
        gap_column(found),
        Column("p", "Holm-adjusted", numeric=True),
        Column("effect", "Cohen's h of two shares, or d of paired scores", numeric=True),
        Column("it is", "this method, against the best"),
        Column("could see", "smallest difference found with a chance of 80 %, in points", numeric=True),
    )
    rows = tuple(Row(_entries(pair, found, scores[pair.b]), "") for pair in pairs)
    return Table(f"{id}-told", caption, columns, rows, sortable=True)


def gap_column(found: ToldApart) -> Column:
    """By how much the best is better than a method."""
    return Column("best is better by", f"points of {found.measure}", numeric=True)


def gap_entry(pair: Verdict | None) -> Entry:
    """The entry of a pair with the best under `gap_column`, with its interval; a dash where it cannot be told."""
    if pair is None or isinstance(gap := pair.difference, CannotTell):
        return Entry(DASH, None)
    return Entry(points(gap.value), gap.value, small=f"{points(gap.low)} to {points(gap.high)}")


def _could_see(least: float | CannotTell) -> Entry:
    if isinstance(least, CannotTell):
        return Entry(DASH, None, small="too few differ")
    return Entry(points(least), least) if least < 1 else Entry(DASH, None, small="too few images")


def _entries(pair: Verdict, found: ToldApart, score: float) -> tuple[Entry, ...]:
    effect, least = pair.effect, pair.smallest
    told = not isinstance(pair.difference, CannotTell)
    return (
        Entry(pair.b, pair.b.casefold(), target=f"run-{found.runs[pair.b][0]}"),
        Entry(percent(score), score),
        gap_entry(pair),
        Entry(p_short(pair.p, pair.alpha), pair.p) if told else Entry(DASH, None),
        Entry(decimal(effect.value, 2), effect.value, small=effect.magnitude)
        if not isinstance(effect, CannotTell)
        else Entry(DASH, None),
        Entry(found.kind(pair.b), found.kind(pair.b)),
        _could_see(least),
    )

"""Tricks held to account: what each did, how sure that is and what it cost, as claims, a table and a forest plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headstart.measure.verdict_words import p_short
from headstart.methods.tricks.registry import TRICKS
from headstart.report import papers
from headstart.report.document import Block, Claim, Column, Entry, Figure, Paragraph, Row, Section, Table
from headstart.report.run_links import RUNS, runs_entry
from headstart.report.sources import Bibliography
from headstart.report.trick_figures import Line, forest
from headstart.report.trick_words import REMEDY, at_the_start, notes_of
from headstart.report.wording import DASH, count, listed, longer, percent, signed_points
from headstart.study.records import StudyRecord
from headstart.study.trick_effects import (
    CANNOT_TELL,
    HELPS,
    HURTS,
    MISSING,
    NOTHING,
    SIGNS,
    TrickEffect,
    TrickTable,
    trick_tables,
)

MOST_LINES = 40
SHORT_ROWS, SHORT_SETTINGS = 8, 2
ROMAN = {3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII"}
HOW = {
    "one-at-a-time": "Each trick is alone on, over training with all of them off.",
    "leave-one-out": "Each trick is alone off, in training with all the others on.",
    "in-order": "The tricks are added one after the other; each is judged by what it adds to those before it.",
    "factorial": "Every trick is on in half of the runs, in a two-level factorial design.",
}
COLUMNS = (
    Column("trick"),
    Column("gains", "points of test accuracy, with the interval at Holm's correction", numeric=True),
    Column("verdict"),
    Column("p", "Holm-adjusted", numeric=True),
    Column("training", "time with it over time without: steps, frozen part, teacher", numeric=True),
    Column("whole run", "the same of fit and test together", numeric=True),
    RUNS,
    Column("what it does"),
)


def tricks_section(record: StudyRecord, id: str = "tricks") -> Section | None:
    """One part a setting; None where the study is not of tricks."""
    if not record.tricks:
        return None
    tables = trick_tables(record)
    if not tables:
        return Section(id, "Tricks", (Paragraph("The runs of the tricks are not there yet."),))
    parts = tuple(_part(table, f"{id}-{at}") for at, table in enumerate(tables))
    if len(parts) == 1:
        return Section(id, "Tricks", parts[0].blocks)
    return Section(id, "Tricks", (), parts)


def tricks_in_short(record: StudyRecord, cited: Bibliography, id: str = "tricks") -> Section | None:
    """The same for a paper: what is sure, and the surest effects over all datasets, each trick with its papers.

    The settings after the first `SHORT_SETTINGS` are counted. None where the study is not of tricks.
    """
    tables = trick_tables(record) if record.tricks else ()
    if not tables:
        return tricks_section(record, id)
    blocks: list[Block] = []
    for at, table in enumerate(tables[:SHORT_SETTINGS]):
        said = _title_of(table)
        blocks += [Paragraph(f"{said[0].upper()}{said[1:]}. {how(table)}"), *trick_claims(table)]
        blocks.append(_short_table(table, cited, f"{id}-{at}-short"))
        blocks += _remedy(table)
    if (more := len(tables) - SHORT_SETTINGS) > 0:
        blocks.append(
            Paragraph(
                f"{count(more, 'more setting is', 'more settings are')} in the HTML report and in tricks.csv."
            )
        )
    return Section(id, "Tricks", tuple(blocks))


def _short_table(table: TrickTable, cited: Bibliography, id: str) -> Table:
    """The surest effects in the columns that a page holds."""
    ordered = sorted(
        table.effects,
        key=lambda one: (
            one.effect is None,
            one.kind == MISSING,
            one.adjusted_p or 0.0,
            -abs(one.effect or 0.0),
        ),
    )
    shown = ordered[:SHORT_ROWS]
    whole = _table(tuple(shown), id, _caption(table))
    caption = whole.caption
    if len(shown) < len(ordered):
        caption += (
            f" The {len(shown)} surest of {len(ordered)} are shown; tricks.csv of the archive holds all."
        )
    kept = [at for at, column in enumerate(COLUMNS) if column.title not in ("whole run", "what it does")]
    marks = {_title(each.trick): cited.cite(*papers.TRICKS.get(each.trick, ())) for each in shown}
    rows = tuple(
        replace(
            row, entries=tuple(_marked(row.entries[at], marks) if at == 0 else row.entries[at] for at in kept)
        )
        for row in whole.rows
    )
    return replace(whole, caption=caption, columns=tuple(COLUMNS[at] for at in kept), rows=rows)


def _marked(name: Entry, marks: Mapping[str, str]) -> Entry:
    return replace(name, small=" ".join(filter(None, (name.small, marks[name.text]))))


def _title_of(table: TrickTable) -> str:
    title = f"{table.scenario} {table.backbone} {table.cut}, {table.pixels}"
    return title + (f", {table.per_class} images a class" if table.per_class else "")


def _part(table: TrickTable, id: str) -> Section:
    title = _title_of(table)
    known = [each for each in table.effects if each.effect is not None]
    blocks: list[Block] = [Paragraph(f"{title[0].upper()}{title[1:]}. {how(table)}")]
    blocks += trick_claims(table)
    if known:
        ordered = sorted(known, key=lambda each: -(each.effect or 0.0))[:MOST_LINES]
        svg = forest([_line(each) for each in ordered], "points of test accuracy gained")
        runs = tuple(dict.fromkeys(run for each in ordered for run in each.runs))
        caption = "What each trick adds to test accuracy. To the right of the dashed line it helps. The thin line is "
        caption += (
            "the interval at Holm's correction, which judges; the thick one is the plain 95 % interval."
        )
        if len(known) > len(ordered):
            caption += f" The {len(ordered)} largest of {len(known)} are drawn."
        if nothing := [_title(each.trick) for each in table.effects if each.kind == NOTHING]:
            caption += f" Not drawn, because there is nothing to measure: {listed(nothing)}."
        blocks.append(Figure(f"{id}-forest", caption, svg, "Forest plot of tricks", (), runs))
    blocks.append(_table(table.effects, f"{id}-table", _caption(table)))
    if table.by_dataset:
        said = "The same on each dataset alone, each corrected for its own rows."
        blocks.append(_table(table.by_dataset, f"{id}-datasets", said, datasets=True))
    blocks += _remedy(table)
    return Section(id, title, tuple(blocks))


def _remedy(table: TrickTable) -> list[Block]:
    """What to do, where the start was kept."""
    return [Paragraph(REMEDY)] if at_the_start((*table.effects, *table.by_dataset)) else []


def how(table: TrickTable) -> str:
    """The design and what its intervals are of."""
    said = HOW[table.design]
    if table.resolution is not None:
        said += (
            " Every combination is run."
            if not table.resolution
            else f" Its resolution is {ROMAN.get(table.resolution, table.resolution)}"
            + {
                3: ": an effect of one trick cannot be told from interactions of two others.",
                4: ": effects of single tricks stand apart from interactions of two, which share runs with one another.",
            }.get(table.resolution, ": effects and interactions of two stand apart from one another.")
        )
    said += f" {count(table.n_seeds, 'seed')}"
    if len(table.datasets) > 1:
        said += f", the mean over {listed(table.datasets)}, each counting alike"
    said += "; pairs share seed and test images."
    if len(table.datasets) == 2:
        said += (
            " Two datasets show little of the spread between datasets: what is said holds for these two, and where "
            "they differ by more than their noise that difference judges."
        )
    if len(table.datasets) > 2:
        said += " The spread between datasets is in the intervals, so that what is said holds for datasets like these."
    if table.n_seeds == 1:
        said += " With one seed the spread over seeds is not seen: the intervals are too narrow."
    return said


def trick_claims(table: TrickTable) -> list[Claim]:
    """Which tricks help, which hurt, how many cannot be told, and which had nothing to act on."""
    known = [each for each in table.effects if each.effect is not None]
    runs = tuple(dict.fromkeys(run for each in known for run in each.runs))
    claims = []
    if known:
        verb = {HELPS: "help", HURTS: "hurt"}
        told = [
            f"{listed([_title(each.trick) for each in known if each.kind == kind])} {verb[kind]}"
            + ("s" if sum(each.kind == kind for each in known) == 1 else "")
            for kind in (HELPS, HURTS)
            if any(each.kind == kind for each in known)
        ]
        rest = sum(each.kind == CANNOT_TELL for each in known)
        if rest:
            alone = f"of {'all ' if rest > 1 else ''}{count(rest, 'effect')} it cannot be told whether there is one"
            told.append(f"of {rest} more it cannot be told" if told else alone)
        split = [_title(each.trick) for each in known if each.doubt == SIGNS]
        if split:
            told.append(f"on {listed(split)} the datasets disagree in sign")
        start = (
            f" The training they start from has {percent(table.accuracy)}."
            if table.accuracy is not None
            else ""
        )
        claims.append(Claim(_sentence("; ".join(told)) + start, runs, strong=True))
    if nothing := [each for each in table.effects if each.kind == NOTHING]:
        claims.append(_nothing_claim(nothing, alone=not known))
    missing = [each for each in table.effects if each.kind == MISSING]
    if missing:
        said = f"{count(len(missing), 'effect')} cannot be given: {missing[0].why}."
        claims.append(Claim(said, table.runs))
    claims += [
        Claim(f"{_title(name)} is not there: {reason}.", table.runs)
        for name, reason in table.left_out.items()
    ]
    return claims


def _nothing_claim(nothing: Sequence[TrickEffect], *, alone: bool) -> Claim:
    """These had nothing to act on, and why."""
    names = listed([_title(each.trick) for each in nothing])
    runs = tuple(dict.fromkeys(run for each in nothing for run in each.runs))
    of = "it" if len(nothing) == 1 else "them"
    said = f"{names} {NOTHING}: with {of} and without, no epoch bettered the fitted head that training starts from, and "
    return Claim(
        _sentence(f"{said}that head was kept in every run, so nothing was measured"), runs, strong=alone
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _caption(table: TrickTable) -> str:
    n, judged = len(table.effects), sum(each.low is not None for each in table.effects)
    rows = (
        f"all {n} rows together"
        if judged == n
        else f"the {judged} of {n} rows that have an interval together"
    )
    said = f"Verdicts at a level of 5 % for {'the one row' if n == 1 else rows} (Holm)."
    if any(each.aliases for each in table.effects):
        said += " What stands in brackets has the same runs as the one before it: the effect may be either."
    return said


def _table(effects: tuple[TrickEffect, ...], id: str, caption: str, *, datasets: bool = False) -> Table:
    columns = (Column("dataset"), *COLUMNS[:-1]) if datasets else COLUMNS
    rows = tuple(
        Row(
            (Entry(each.datasets[0]), *_entries(each)[:-1]) if datasets else _entries(each),
            "best" if each.kind == HELPS else "",
        )
        for each in sorted(
            effects, key=lambda one: (one.effect is None, one.kind == MISSING, -(one.effect or 0.0))
        )
    )
    return Table(id, caption, columns, rows, sortable=True)


def _entries(each: TrickEffect) -> tuple[Entry, ...]:
    name = Entry(
        _title(each.trick),
        _title(each.trick).casefold(),
        small=f"[{'; '.join(each.aliases)}]" if each.aliases else "",
    )
    what = Entry(
        TRICKS[each.trick].what if each.trick in TRICKS else "both together, beyond what each does alone"
    )
    none = Entry(DASH, None)
    if each.kind == MISSING:
        return (name, none, Entry(MISSING, MISSING), *(none,) * 4, what)
    gains, p = none, none
    if each.effect is not None and each.low is not None and each.high is not None:
        gains = Entry(signed_points(each.effect), each.effect, small=signed_points(each.low, each.high))
        p = Entry(p_short(each.adjusted_p or 0.0, 0.05), each.adjusted_p)
    return (
        name,
        gains,
        Entry(each.kind, each.kind, small="; ".join([*_doubt(each), *notes_of(each)])),
        p,
        _times(each.times, each.train_seconds),
        _times(each.run_times, each.seconds),
        runs_entry(each.runs),
        what,
    )


def _doubt(each: TrickEffect) -> list[str]:
    """What the datasets say one by one, where they disagree."""
    if not each.doubt:
        return []
    each_one = [
        f"{name} {signed_points(value)}" for name, value in zip(each.datasets, each.values, strict=True)
    ]
    return [f"{each.doubt}: {', '.join(each_one)}"]


def _times(times: float | None, seconds: float | None) -> Entry:
    return Entry(DASH if times is None else f"{times:.2f}x", times, small=longer(seconds))


def _title(name: str) -> str:
    return " x ".join(TRICKS[part].title if part in TRICKS else part for part in name.split(" x "))


def _line(each: TrickEffect) -> Line:
    numbers = (each.effect, each.low, each.high, each.plain_low, each.plain_high)
    return Line(_title(each.trick), each.kind, *(100 * (number or 0.0) for number in numbers))

"""The paper: a study in academic order, with references, for PDF, Markdown and LaTeX.

Introduction, methods, implementation, results, discussion, conclusion, references, runs. Every number comes from
the record and names its runs; what only the author knows is left blank and marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headstart.measure.many import Comparison
from headstart.measure.verdict_words import comparison_words
from headstart.report.answers import Answers, load_answers
from headstart.report.document import (
    Beside,
    Blank,
    Block,
    Claim,
    Column,
    Document,
    Entry,
    Figure,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    blocks_in,
)
from headstart.report.paper_discussion import discussion
from headstart.report.paper_introduction import introduction
from headstart.report.paper_methods import methods, methods_named
from headstart.report.paper_results import results
from headstart.report.run_links import WHOLE_LIST, named_in, run_table
from headstart.report.sections.closing import machine_words, repeat_section, versions_words
from headstart.report.sections.in_short import in_short_table
from headstart.report.sections.over_datasets import over_datasets, over_datasets_section
from headstart.report.sections.tuned import worths_of
from headstart.report.sources import AUTHOR_DATE, NUMBERED, Bibliography
from headstart.report.statistics_words import statistics_used
from headstart.report.summary import all_claims
from headstart.report.told import Told, ToldApart, told_all
from headstart.report.verdict import APART, accuracy, best_of, datasets, missing_claims, subtitle_words
from headstart.report.wording import count, duration, listed, percent
from headstart.study.records import StudyRecord

KEPT = ("engines", "digests")
LISTED = 3
"""Data sets of which every place in a table may name its run."""
METHODS_NAMED = 3
"""Methods that a sentence on all data sets names."""


@dataclass(frozen=True)
class Paper:
    """The document with the list of what it cites."""

    document: Document
    bibliography: Bibliography
    told: dict[str, ToldApart | None]


def build_paper(
    record: StudyRecord, *, style: str = NUMBERED, answers: dict[str, Answers] | None = None
) -> Paper:
    """The paper of a study, finished or not.

    Parameters
    ----------
    record : StudyRecord
    style : {"numbered", "alphabetic", "author-date"}
    answers : dict of str to Answers, optional
        By dataset; read from the study's store where not given.

    Raises
    ------
    UnknownName
        No such style.
    """
    cited = Bibliography(style)
    given = load_answers(record) if answers is None else answers
    told = told_all(record, given)
    opening = introduction(record, cited, told)
    worths = worths_of(record, given)
    how = methods(record, cited, statistics_used(record, told, worths))
    found = (results(record, cited, told, worths), discussion(record, told))
    many = len(datasets(record)) > LISTED
    made = (opening, how, implementation(record), *found, conclusion(record, told))
    parts = tuple(for_paper(part, many=many) for part in made)
    short = abstract(record, told)
    sections = (short, *parts, references_section(cited), *_runs(record, (short, *parts)))
    title = f"Which head start for {listed(datasets(record)) or 'this study'}?"
    return Paper(Document(title, subtitle_words(record), sections), cited, told)


def abstract(record: StudyRecord, told: Told) -> Section:
    """What was compared, what won, how sure that is and what it cost: enough for a reader of one page."""
    names = datasets(record)
    images = sum(len(table) for table in record.tables.values())
    said = (
        f"On the images of {listed(names)}, {images:,} in all, this study compares {methods_named(record)}."
    )
    over = over_datasets_section(record)
    table = in_short_table(record, told)
    machine = record.machine.get("processor") or "a machine that was not recorded"
    every = f"All {len(record.results):,} runs" if len(record.results) > 1 else "The only run"
    cost = f"{every} took {duration(record.seconds_total)} on {machine}."
    blocks: list[Block] = [
        Paragraph(said if record.summaries or record.joint else "Nothing was compared yet."),
        *missing_claims(record),
        *([table] if table is not None else []),
        *([block for block in over.blocks if isinstance(block, Claim)][:1] if over is not None else []),
        *([Paragraph(cost if record.results else "No run was made.")] if record.planned else []),
    ]
    return Section("abstract", "Abstract", tuple(blocks))


def for_paper(section: Section, *, many: bool = False) -> Section:
    """The section without columns that hold drawn bars alone, which paper formats do not draw.

    Of `many` data sets the single places of a table that names runs as a whole name none, so that their list stays short.
    """
    return replace(
        section,
        blocks=tuple(_without_bars(block, many) for block in section.blocks),
        parts=tuple(for_paper(part, many=many) for part in section.parts),
    )


def _without_bars(block: Block, many: bool) -> Block:
    if isinstance(block, Beside):
        return Beside(
            tuple(each if isinstance(each, Figure) else _told_columns(each, many) for each in block.blocks)
        )
    return _told_columns(block, many) if isinstance(block, Table) else block


def _told_columns(table: Table, many: bool) -> Table:
    if many and table.runs:
        plain = [
            replace(row, entries=tuple(replace(each, target="") for each in row.entries))
            for row in table.rows
        ]
        table = replace(table, rows=tuple(plain))
    columns = range(len(table.columns))
    kept = [at for at in columns if not table.rows or not all(row.entries[at].bars for row in table.rows)]
    rows = tuple(replace(row, entries=tuple(row.entries[at] for at in kept)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[at] for at in kept), rows=rows)


def implementation(record: StudyRecord) -> Section:
    """How to repeat the study, short enough for a page."""
    kept: list[Block] = []
    for block in repeat_section(record).blocks:
        if isinstance(block, Points | Paragraph):
            kept.append(block)
    kept += [Paragraph(said) for said in (machine_words(record), versions_words(record)) if said]
    kept += [
        block
        for block in blocks_in(repeat_section(record))
        if isinstance(block, Table) and block.id in KEPT and block.rows and len(block.columns) <= 4
    ]
    return Section("implementation", "Implementation", tuple(kept))


def conclusion(record: StudyRecord, told: Told) -> Section:
    """What the study found, in the sentences that are sure of it, and what only the author can add."""
    claims = [claim for claim in all_claims(record, told) if claim.strong]
    if len(datasets(record)) > APART:  # how sure each is stands in the table of the abstract
        claims = [claim for claim in claims if claim.text.startswith(("For search", "Nothing"))]
        claims = [*_best_of_each(record), *claims]
    blank = Blank(
        "Say what follows for the purpose that the introduction names, and what should be done next."
    )
    return Section("conclusion", "Conclusion", (*claims, blank))


def _best_of_each(record: StudyRecord) -> list[Claim]:
    """The best of each dataset in one sentence, and what the comparison over all of them says."""
    best = [row for name in datasets(record) if (row := best_of(record, name)) is not None]
    if not best:
        return []
    scores = [(row, score) for row in best if (score := accuracy(row)) is not None]
    told = listed(f"{row.method} on {row.dataset} ({percent(score.value)})" for row, score in scores)
    runs = tuple(cell for row, _ in scores for cell in row.cells)
    claims = [Claim(f"Best, with the test accuracy: {told}.", runs, strong=True)] if scores else []
    over = over_datasets(record)
    if isinstance(over, Comparison):
        shown = tuple(cell for row in record.summaries if row.method in over.methods for cell in row.cells)
        claims.append(Claim(comparison_words(over, named=METHODS_NAMED), shown, strong=True))
    return claims


def references_section(cited: Bibliography) -> Section:
    """The list of references, each with its address."""
    found = cited.references()
    if not found:
        return Section("references", "References", (Paragraph("Nothing is cited."),))
    listed_by_name = cited.style == AUTHOR_DATE
    rows = [
        (Entry(f"[{each.label}]", anchor=f"ref-{each.key}"), Entry(each.text, href=each.address))
        for each in found
    ]
    made = tuple(Row(row[1:] if listed_by_name else row) for row in rows)
    columns = (Column("label"), Column("reference"))[listed_by_name:]
    return Section("references", "References", (Table("reference-list", "", columns, made),))


def _runs(record: StudyRecord, sections: Sequence[Section]) -> tuple[Section, ...]:
    """Every run that the text names; where the list of all runs stands is said."""
    named = named_in(block for section in sections for block in blocks_in(section))
    shown = [record.by_id[id] for id in named if id in record.by_id]
    if not shown:
        return ()
    caption = f"The {count(len(shown), 'run')} that this paper names, of {len(record.results):,} in all; the id is the "
    caption += f"start of the hash of its content. {WHOLE_LIST}"
    return (Section("run-list", "Runs", (run_table(record, shown, "named-runs", caption),)),)

"""The paper: a study in academic order, with references, for PDF, Markdown and LaTeX.

Introduction, methods, implementation, results, discussion, conclusion, references, runs. Every number comes from
the record and names its runs; what only the author knows is left blank and marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from headstart.report.sections.over_datasets import over_datasets_section
from headstart.report.sections.tuned import worths_of
from headstart.report.sources import AUTHOR_DATE, NUMBERED, Bibliography
from headstart.report.statistics_words import statistics_used
from headstart.report.summary import all_claims
from headstart.report.told import Told, ToldApart, told_all
from headstart.report.verdict import APART, datasets, missing_claims, subtitle_words
from headstart.report.wording import count, duration, listed
from headstart.study.records import StudyRecord

KEPT = ("engines", "digests")


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
    parts = tuple(map(for_paper, (opening, how, implementation(record), *found, conclusion(record, told))))
    short = abstract(record, told)
    sections = (short, *parts, references_section(cited), *_runs(record, (short, *parts)))
    title = f"Which head start for {listed(datasets(record)) or 'this study'}?"
    return Paper(Document(title, subtitle_words(record), sections), cited, told)


def abstract(record: StudyRecord, told: Told) -> Section:
    """What was compared, what won, how sure that is and what it cost: enough for a reader of one page."""
    names = datasets(record)
    images = sum(len(table) for table in record.tables.values())
    said = (
        f"This study compares {methods_named(record)}; on the images of {listed(names)}, {images:,} in all."
    )
    over = over_datasets_section(record)
    table = in_short_table(record, told)
    machine = record.machine.get("processor") or "a machine that was not recorded"
    cost = f"All {count(len(record.results), 'run')} took {duration(record.seconds_total)} on {machine}."
    blocks: list[Block] = [
        Paragraph(said if record.summaries or record.joint else "Nothing was compared yet."),
        *missing_claims(record),
        *([table] if table is not None else []),
        *([block for block in over.blocks if isinstance(block, Claim)][:1] if over is not None else []),
        *([Paragraph(cost)] if record.results else []),
    ]
    return Section("abstract", "Abstract", tuple(blocks))


def for_paper(section: Section) -> Section:
    """The section without columns that hold drawn bars alone, which paper formats do not draw."""
    return replace(
        section,
        blocks=tuple(_without_bars(block) for block in section.blocks),
        parts=tuple(for_paper(part) for part in section.parts),
    )


def _without_bars(block: Block) -> Block:
    if isinstance(block, Beside):
        return Beside(
            tuple(each if isinstance(each, Figure) else _told_columns(each) for each in block.blocks)
        )
    return _told_columns(block) if isinstance(block, Table) else block


def _told_columns(table: Table) -> Table:
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
        claims = [claim for claim in claims if claim.text.startswith(("Best on", "For search", "Nothing"))]
    blank = Blank(
        "Say what follows for the purpose that the introduction names, and what should be done next."
    )
    return Section("conclusion", "Conclusion", (*claims, blank))


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
    caption += "start of the hash of its content. " + WHOLE_LIST
    return (Section("run-list", "Runs", (run_table(record, shown, "named-runs", caption),)),)

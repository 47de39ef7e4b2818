"""The results of the paper: a table that fits a page, the drawings, who can be told apart, the best looked at."""

from __future__ import annotations

from headstart.report.answers import Answers
from headstart.report.document import (
    Block,
    Claim,
    Column,
    Entry,
    Figure,
    Paragraph,
    Row,
    Section,
    Table,
    blocks_in,
)
from headstart.report.pictures import PictureBook
from headstart.report.sections.best import best_section
from headstart.report.sections.images_a_class import images_section
from headstart.report.sections.results import results_section
from headstart.report.sections.retrieval import retrieval_section
from headstart.report.sections.told_apart import (
    ToldApart,
    over_datasets_section,
    told_claims,
    told_table,
)
from headstart.report.verdict import cut_claims, datasets, missing_claims, ranked, selected_on, verdict
from headstart.report.wording import DASH, decimal, duration, interval, percent, total_seconds
from headstart.study.records import MethodSummary, StudyRecord

ROWS_SHOWN, PAIRS_SHOWN, FIGURES_SHOWN = 12, 8, 3
MATRIX_SHOWN = 10


def results(record: StudyRecord, answers: dict[str, Answers], told: dict[str, ToldApart | None]) -> Section:
    """A part for each dataset, what was found over all of them, and what is missing."""
    classified = {row.dataset for row in record.summaries}
    parts = [
        part
        for at, name in enumerate(datasets(record))
        for part in (
            _classified(record, name, told.get(name), f"found-{at}") if name in classified else None,
            retrieval_section(record, name, f"searched-{at}"),
        )
        if part is not None
    ]
    over = over_datasets_section(record)
    blocks: list[Block] = [*missing_claims(record), *cut_claims(record)]
    if not parts:
        blocks.append(Paragraph("Nothing has finished yet."))
    return Section("results", "Results", tuple(blocks), (*parts, *((over,) if over is not None else ())))


def _classified(record: StudyRecord, name: str, told: ToldApart | None, id: str) -> Section:
    whole = results_section(record, name, id, ())
    figures = [block for block in blocks_in(whole) if isinstance(block, Figure)]
    sized = images_section(record, name, f"{id}-sized")
    if sized is not None:
        figures += [block for block in blocks_in(sized) if isinstance(block, Figure)]
    blocks: list[Block] = [*verdict(record, name).claims, paper_table(record, name, id)]
    blocks += figures[:FIGURES_SHOWN]
    blocks += [*told_claims(told), told_table(told, id, PAIRS_SHOWN)] if told is not None else []
    blocks += _closely(record, name, id)
    return Section(id, f"Classification of {name}", tuple(blocks))


def paper_table(record: StudyRecord, name: str, id: str) -> Table:
    """The best rows of the results table, in as many columns as a page holds."""
    rows = ranked(record, name)
    best = record.best.get(name)
    made = [_row(at, row, row.method == best) for at, row in enumerate(rows[:ROWS_SHOWN], start=1)]
    caption = (
        f"Methods on {name}, the best by the choosing score ({selected_on(record, name)}) first. Under an "
    )
    caption += (
        "accuracy stands its 95 % interval over test images and seeds; “runs” names the first of the runs."
    )
    if len(rows) > len(made):
        caption += f" {len(made)} of {len(rows)} methods are shown; results.csv of the archive holds all."
    columns = (
        Column("#", numeric=True), Column("method"), Column("chosen by", numeric=True),
        Column("accuracy", numeric=True), Column("macro F1", numeric=True), Column("log loss", numeric=True),
        Column("time", numeric=True), Column("runs"),
    )  # fmt: skip
    return Table(f"{id}-methods", caption, columns, tuple(made), sortable=True)


def _row(at: int, row: MethodSummary, best: bool) -> Row:
    score, f1, loss = (row.scores.get(key) for key in ("accuracy", "macro_f1", "log_loss"))
    took = total_seconds(row.seconds)
    more = f"+ {len(row.cells) - 1}" if len(row.cells) > 1 else ""
    entries = (
        Entry(str(at), at),
        Entry(row.method, row.method.casefold(), small="" if row.status == "done" else row.status),
        Entry(percent(row.selection), row.selection),
        Entry(percent(score.value), score.value, small=interval(score)) if score else Entry(DASH),
        Entry(percent(f1.value), f1.value) if f1 else Entry(DASH),
        Entry(decimal(loss.value), loss.value) if loss else Entry(DASH),
        Entry(duration(took), took),
        Entry(row.cells[0][:8], row.cells[0], small=more, target=f"run-{row.cells[0]}"),
    )
    return Row(entries, "best" if best else "" if row.status == "done" else row.status)


def _closely(record: StudyRecord, name: str, id: str) -> list[Block]:
    """What the report shows of the best method, less its pictures: confusion, classes, reliability."""
    closely = best_section(record, name, PictureBook(0), f"{id}-best")
    if closely is None:
        return []
    kept: list[Block] = []
    for block in blocks_in(closely):
        too_wide = isinstance(block, Table) and block.matrix and len(block.columns) > MATRIX_SHOWN + 1
        if isinstance(block, Claim | Table | Figure) and not too_wide:
            kept.append(block)
    return kept

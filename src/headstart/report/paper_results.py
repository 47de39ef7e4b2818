"""The results of the paper: a table that fits a page, the drawings, who can be told apart, the best looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headstart.report.division import repeats
from headstart.report.document import (
    GROUPS,
    Block,
    Claim,
    Column,
    Entry,
    Figure,
    Gallery,
    Paragraph,
    Row,
    Section,
    Table,
    blocks_in,
)
from headstart.report.pictures import PictureBook
from headstart.report.published import published_table
from headstart.report.sections.best import best_section
from headstart.report.sections.error_maps import maps_caption
from headstart.report.sections.every_dataset import every_dataset
from headstart.report.sections.images_a_class import NO_CROSSING, images_section
from headstart.report.sections.over_datasets import over_datasets_section
from headstart.report.sections.results import against_entry, results_section, run_entry
from headstart.report.sections.retrieval import retrieval_section
from headstart.report.sections.several import several_section
from headstart.report.sections.shifted import shift_claims, short_shift_columns, short_shift_entries
from headstart.report.sections.told_apart import told_figure, told_table
from headstart.report.sections.tricks import tricks_in_short
from headstart.report.sections.tuned import TunedWorth, tuned_in_short
from headstart.report.sources import Bibliography
from headstart.report.statistics_words import Worths
from headstart.report.told import ToldApart
from headstart.report.verdict import (
    APART,
    LEVEL,
    cut_claims,
    datasets,
    missing_claims,
    ranked,
    selected_on,
    verdict,
)
from headstart.report.wording import DASH, count, decimal, duration, interval, percent, total_seconds
from headstart.study.records import MethodSummary, StudyRecord

ROWS_SHOWN, PAIRS_SHOWN, FIGURES_SHOWN = 12, 8, 3
MATRIX_SHOWN, TUNED_SHOWN = 10, 4
CROSSINGS_SHOWN, SHORT_CROSSINGS = 4, 1
"""Sentences on images a class: what two points more take, then where curves cross."""
SHORT_LINES = 3
"""Methods of a table of images a class, where more datasets than `APART` are told."""
MAP_BYTES = 400_000
FEW_ROWS, FEW_FIGURES = 3, 1
"""Of more datasets than `APART` each is told in so many rows and figures."""
MANY = 4
"""Of more datasets than so many each is told in sentences alone, beside the table of all of them."""
EVERY_ROWS, EVERY_COLUMNS = 16, 7
"""Methods and data sets of the table that then tells all of them."""


def results(
    record: StudyRecord, cited: Bibliography, told: dict[str, ToldApart | None], worths: Worths
) -> Section:
    """A part for each dataset, what was found over all of them, what tricks did, and what is missing."""
    classified = {row.dataset for row in record.summaries}
    parts = [
        part
        for at, name in enumerate(datasets(record))
        for part in (
            _classified(record, name, cited, told.get(name), f"found-{at}", worths.get(name, ()))
            if name in classified
            else None,
            several_section(record, name, f"outputs-{at}", PictureBook(MAP_BYTES)),
            retrieval_section(record, name, f"searched-{at}"),
        )
        if part is not None
    ]
    over, n = over_datasets_section(record), len(datasets(record))
    if over is not None and n > APART:  # the table of every method has the mean ranks
        over = replace(over, blocks=tuple(block for block in over.blocks if not isinstance(block, Table)))
    blocks: list[Block] = [*missing_claims(record), *cut_claims(record)]
    blocks += every_dataset(record, told, most=EVERY_ROWS, wide=EVERY_COLUMNS)
    if n > MANY:
        blocks.append(Paragraph("Tables and drawings of each data set alone are in the HTML report."))
    if not parts:
        blocks.append(Paragraph("Nothing has finished yet."))
    after = (over, tricks_in_short(record, cited))
    return Section(
        "results", "Results", tuple(blocks), (*parts, *(each for each in after if each is not None))
    )


def _in_short(block: Block) -> Block:
    """A table of images a class cut to what a short paper holds, and that said."""
    if not isinstance(block, Table):
        return block
    said = "Test accuracy by images a class, with 95 % intervals, and the fitted law."
    if len(block.rows) > SHORT_LINES:
        said += f" The first {SHORT_LINES} of {len(block.rows)} are shown."
    return replace(block, caption=said, rows=block.rows[:SHORT_LINES])


def _classified(
    record: StudyRecord, name: str, cited: Bibliography, told: ToldApart | None, id: str, worths: Sequence[TunedWorth]
) -> Section:  # fmt: skip
    whole = results_section(record, name, id, (), told)
    figures = [block for block in blocks_in(whole) if isinstance(block, Figure)]
    figures.sort(key=lambda each: each.id.endswith(("-memory", "-size")))  # those of seconds and layers first
    short = len(datasets(record)) > APART
    claims = (*verdict(record, name, told).claims, *shift_claims(record, name, short=short))
    if short:  # the study in short tells what is cheaper
        claims = tuple(claim for claim in claims if not claim.text.startswith(LEVEL))
    rows = FEW_ROWS if short else ROWS_SHOWN
    if len(datasets(record)) > MANY:
        others = published_table(record, name, id, cited)
        return Section(id, f"Classification of {name}", (*claims, *([others] if others is not None else [])))
    blocks: list[Block] = [*claims, paper_table(record, name, id, told, rows)]
    gaps = told_figure(record, told, id) if told is not None else []
    blocks += [*gaps, *figures][: FEW_FIGURES if short else FIGURES_SHOWN]
    blocks += [told_table(told, id, PAIRS_SHOWN)] if told is not None and not short else []
    others = published_table(record, name, id, cited)
    blocks += [others] if others is not None else []
    blocks += _closely(record, name, id, short)
    tuned = tuned_in_short(worths, f"{id}-tuned", 0 if short else TUNED_SHOWN)
    parts = tuple(each for each in (tuned, _sized(record, name, id, short)) if each is not None)
    return Section(id, f"Classification of {name}", tuple(blocks), parts)


def _sized(record: StudyRecord, name: str, id: str, short: bool) -> Section | None:
    """Accuracy against images a class as the report tells it, with as many crossings as a page holds."""
    whole = images_section(record, name, f"{id}-sized")
    if whole is None:
        return None
    blocks = [block for block in blocks_in(whole) if not (short and isinstance(block, Figure))]
    claims = [block for block in blocks if isinstance(block, Claim)]
    none = [claim for claim in claims if claim.text.startswith(NO_CROSSING)]
    kept: list[Block] = [*(claims if none else claims[: SHORT_CROSSINGS if short else CROSSINGS_SHOWN])]
    if len(claims) > len(kept):
        more = len(claims) - len(kept)
        kept.append(Paragraph(f"{count(more, 'more crossing is', 'more crossings are')} in the HTML report."))
    kept += [_in_short(block) if short else block for block in blocks if not isinstance(block, Claim)]
    title = whole.title if len(datasets(record)) == 1 else f"{whole.title} of {name}"
    return replace(whole, title=title, blocks=tuple(kept))


def paper_table(
    record: StudyRecord, name: str, id: str, told: ToldApart | None, most_rows: int = ROWS_SHOWN
) -> Table:
    """The best rows of the results table, in as many columns as a page holds."""
    rows = ranked(record, name)
    best = record.best.get(name)
    made = [
        _row(at, row, row.method == best, told, short_shift_entries(row, rows))
        for at, row in enumerate(rows[:most_rows], start=1)
    ]
    short = most_rows < ROWS_SHOWN
    on = "" if short else f" ({selected_on(record, name)})"
    caption = f"Methods on {name}, the best by the choosing score{on} first."
    if not short:
        caption += (
            f" Under an accuracy stands its 95 % interval over test images and {repeats(record, name)}s;"
        )
        caption += " “runs” names the first of the runs."
    if any(row.shifts for row in rows) and not short:
        caption += (
            " Under an accuracy on other test images stands the drop, in points, with its 95 % interval."
        )
    if len(rows) > len(made):
        where = "" if short else "; results.csv of the archive holds all"
        caption += f" {len(made)} of {len(rows)} methods are shown{where}."
    columns = (
        Column("#", numeric=True), Column("method"), Column("chosen by", numeric=True),
        Column("accuracy", numeric=True), *short_shift_columns(rows), Column("against the best"),
        Column("macro F1", numeric=True),
        Column("log loss", numeric=True),
        Column("time", numeric=True), Column("runs"),
    )  # fmt: skip
    return Table(f"{id}-methods", caption, columns, tuple(made), sortable=True)


def _row(
    at: int, row: MethodSummary, best: bool, told: ToldApart | None, shifts: Sequence[Entry] = ()
) -> Row:
    score, f1, loss = (row.scores.get(key) for key in ("accuracy", "macro_f1", "log_loss"))
    took = total_seconds(row.seconds)
    entries = (
        Entry(str(at), at),
        Entry(row.method, row.method.casefold(), small="" if row.status == "done" else row.status),
        Entry(percent(row.selection), row.selection),
        Entry(percent(score.value), score.value, small=interval(score)) if score else Entry(DASH),
        *shifts,
        against_entry(row, told),
        Entry(percent(f1.value), f1.value) if f1 else Entry(DASH),
        Entry(decimal(loss.value), loss.value) if loss else Entry(DASH),
        Entry(duration(took), took),
        run_entry(row),
    )
    return Row(entries, "best" if best else "" if row.status == "done" else row.status)


def _fewer(maps: Gallery, short: bool) -> Gallery:
    """As many maps as a page holds beside each other, under words on so many and on whether they may be believed."""
    groups, believed = maps.groups[:GROUPS], maps.caption.removeprefix(maps_caption(len(maps.groups)))
    return replace(maps, caption=f"{maps_caption(len(groups), short=short)}{believed}", groups=groups)


def _closely(record: StudyRecord, name: str, id: str, short: bool) -> list[Block]:
    """What the report shows of the best method, less most pictures: confusion, classes, reliability, maps of errors."""
    closely = best_section(record, name, PictureBook(MAP_BYTES), f"{id}-best")
    if closely is None:
        return []
    maps = [
        _fewer(block, short)
        for block in blocks_in(closely)
        if isinstance(block, Gallery) and block.id.endswith("-maps")
    ]
    if short:
        return [*maps]
    kept: list[Block] = []
    for block in blocks_in(closely):
        too_wide = isinstance(block, Table) and block.matrix and len(block.columns) > MATRIX_SHOWN + 1
        if isinstance(block, Claim | Table | Figure) and not too_wide:
            kept.append(block)
    return [*kept, *maps]

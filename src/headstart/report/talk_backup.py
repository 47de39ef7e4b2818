"""The backup slides of a talk: what is likely to be asked, answered from the study's own numbers.

Why this split, is the difference real, what did it cost, what if there were half the images, how is it repeated,
what do the metrics mean. With half the images is what a run near half of them scored, else what the law fitted to the
learning curve says, else why it cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from headstart.measure.cannot_tell import CannotTell
from headstart.report.division import division_words
from headstart.report.document import Block, Claim, Entry, Paragraph, Points, Table, blocks_in, plain_table
from headstart.report.paper import Paper
from headstart.report.run_links import WHOLE_LIST, named_in, place_of, run_table
from headstart.report.sections.closing import machine_words, versions_words
from headstart.report.sections.compared import use_of_splits
from headstart.report.sections.images_a_class import curve_of
from headstart.report.sections.told_apart import told_table
from headstart.report.verdict import accuracy, best_of, datasets
from headstart.report.wording import (
    count,
    duration,
    listed,
    percent,
    scored,
    seconds_parts,
    size,
    total_seconds,
)
from headstart.study.records import MethodSummary, StudyRecord

BACKUP_ROWS, DATASETS_SHOWN, RUN_ROWS = 8, 4, 12
NEAR_HALF = (0.35, 0.65)
"""Shares of all training images that count as about half of them."""


def cut(table: Table, rows: int) -> Table:
    """The first rows of a table, its caption gone: slides speak for themselves."""
    caption = "More rows are in the HTML report." if len(table.rows) > rows else ""
    return replace(table, caption=caption, rows=table.rows[:rows], sortable=False, folded="")


def backup(record: StudyRecord, paper: Paper) -> tuple[tuple[str, str, tuple[Block, ...]], ...]:
    """Slides for the questions after the talk: id, title and what stands on each."""
    names = datasets(record)
    told = [told for name in names if (told := paper.told.get(name)) is not None][:1]
    real: list[Block] = [cut(told_table(each, "backup", BACKUP_ROWS), BACKUP_ROWS) for each in told]
    if not real:
        real = [
            Paragraph(
                "The answers of two methods on the same images are not in the study, so it cannot be told."
            )
        ]
    split = of_each(record, lambda name: _split_words(record, name))
    return (
        ("why-split", "Why this split?", (Points(tuple(split)),)),
        ("is-real", "Is the difference real?", tuple(real)),
        ("cost", "What did it cost?", _cost(record)),
        ("half", "What if there were half the images?", _halves(record, names)),
        ("repeat", "How is it repeated?", _repeat(record)),
        ("formulas", "What do the metrics mean?", _formulas(paper)),
    )


def run_slides(
    record: StudyRecord, blocks: Iterable[Block]
) -> tuple[tuple[str, str, tuple[Block, ...]], ...]:
    """Slides that list every run that some blocks name, for their links to lead to: id, title and what is on each."""
    runs = [record.by_id[id] for id in named_in(blocks) if id in record.by_id]
    starts = range(0, len(runs), RUN_ROWS)
    made = []
    for number, at in enumerate(starts, start=1):
        caption = f"{count(len(runs), 'run')} that these slides name, of {len(record.results):,} in all. {WHOLE_LIST}"
        title = "The runs" + (f" ({number} of {len(starts)})" if len(starts) > 1 else "")
        table = run_table(record, runs[at : at + RUN_ROWS], f"named-runs-{number}", caption)
        made.append((f"runs-{number}", title, (table,)))
    return tuple(made)


def of_each(record: StudyRecord, words: Callable[[str], str]) -> list[str]:
    """The words on each data set, as many as a slide holds, and how many more there are."""
    names = datasets(record)
    more = len(names) - DATASETS_SHOWN
    said = [words(name) for name in names[:DATASETS_SHOWN]]
    return (
        [*said, f"{count(more, 'more data set is', 'more data sets are')} in the paper."]
        if more > 0
        else said
    )


def _split_words(record: StudyRecord, name: str) -> str:
    if name not in record.tables:
        return f"{name} was not scanned before the study stopped."
    return f"{name}: {division_words(record, name)}; {use_of_splits(record, name)}"


def _halves(record: StudyRecord, names: Sequence[str]) -> tuple[Block, ...]:
    """What half the images would do, data set by data set; those of which it cannot be told for one reason together."""
    claims: list[Block] = []
    unknown: dict[str, list[str]] = {}
    for name in names:
        found = _half(record, name)
        if isinstance(found, Claim):
            claims.append(found)
        else:
            unknown.setdefault(found.reason, []).append(name)
    claims = claims[:DATASETS_SHOWN]
    claims += [Paragraph(f"It cannot be told of {listed(of)}: {why}.") for why, of in unknown.items()]
    return tuple(claims) or (Paragraph("It cannot be told: no images were scanned."),)


def _half(record: StudyRecord, name: str) -> Claim | CannotTell:
    """The scores of the best method with all images and with half of them: run, or by the law fitted to its runs."""
    best = best_of(record, name)
    if best is None:
        return CannotTell("nothing has finished")
    rows = [
        row
        for row in record.sized
        if (row.dataset, row.method) == (name, best.method) and accuracy(row) is not None and row.n_train
    ]
    whole = next((row for row in rows if not row.per_class), None)
    if len(rows) < 2:
        return CannotTell(
            "every run learned from the same number of images a class; --per-class takes several"
        )
    if whole is None:
        return CannotTell("no run learned from all training images")
    low, high = (share * whole.n_train for share in NEAR_HALF)
    near = [row for row in rows if row.per_class and low <= row.n_train <= high]
    if not near:
        return _half_by_law(record, name, whole, rows)
    half = min(near, key=lambda row: (abs(row.n_train - whole.n_train / 2), row.n_train))
    share = half.n_train / whole.n_train
    said = f"{name}: {best.method} scores {_with(half)} ({half.per_class:,} a class, {100 * share:.0f} % of all), "
    return Claim(f"{said}against {_with(whole)} (all).", (*half.cells, *whole.cells))


def _half_by_law(
    record: StudyRecord, name: str, whole: MethodSummary, rows: Sequence[MethodSummary]
) -> Claim | CannotTell:
    """What the law fitted to the learning curve of the best says of half of all images, where it reaches them."""
    curve, most = curve_of(record, name, whole.method)
    if isinstance(curve, CannotTell):
        return CannotTell(f"no run was near half, and {curve.reason}")
    found = curve.predict(most / 2) if most > 0 else CannotTell("no run had all training images")
    if isinstance(found, CannotTell):
        return CannotTell(f"no run was near half, and {found.reason}")
    said = (
        f"{name}: no run was near half; by the law fitted to {len(curve.points)} numbers of images a class "
    )
    said += f"{whole.method} scores {scored(found)} with half of all, {most / 2:,.0f} a class, "
    said += f"against {_with(whole)} (all)."
    return Claim(said, tuple(cell for row in rows for cell in row.cells))


def _with(row: MethodSummary) -> str:
    score = accuracy(row)
    value = percent(score.value) if score is not None else "nothing"
    return f"{value} with {row.n_train:,} training images"


def _cost(record: StudyRecord) -> tuple[Block, ...]:
    rows = []
    for name in datasets(record):
        best = best_of(record, name)
        if best is not None:
            took = duration(total_seconds(best.seconds))
            parts = Entry(took, small=seconds_parts(best.seconds))
            named = Entry(best.method, target=place_of(best.cells[0]))
            rows.append((name, named, parts, size(best.peak_bytes), size(best.model_bytes)))
    if not record.results:
        return (Paragraph("Nothing has run yet."),)
    said = Claim(
        f"The whole study took {duration(record.seconds_total)} for {count(len(record.results), 'run')}.",
        tuple(result.cell.id for result in record.results),
    )
    titles = ("dataset", "best method", "time of a run", "most memory", "size of the model")
    table = [plain_table("costs", "", titles, rows)] if rows else []
    return (said, *table, Paragraph(machine_words(record) or "The machine was not recorded."))


def _repeat(record: StudyRecord) -> tuple[Block, ...]:
    command = (Points((record.command,), code=True),) if record.command else ()
    return (*command, Paragraph(versions_words(record) or "The versions were not recorded."))


def _formulas(paper: Paper) -> tuple[Block, ...]:
    tables = [
        b
        for s in paper.document.sections
        for b in blocks_in(s)
        if isinstance(b, Table) and b.id == "paper-metrics"
    ]
    return tuple(replace(cut(table, 6), columns=(table.columns[0], table.columns[2]), rows=tuple(
        replace(row, entries=(row.entries[0], row.entries[2])) for row in table.rows[:6]
    )) for table in tables)  # fmt: skip

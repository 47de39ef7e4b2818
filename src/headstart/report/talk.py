"""A study as a talk of 15 to 20 minutes: slides in the order of the paper, then backup slides.

Backup slides answer the likely questions from the study's own numbers: why this split, is the difference real,
what if there were half the images, what did it cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headstart.report.document import (
    Blank,
    Block,
    Claim,
    Entry,
    Figure,
    Gallery,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    blocks_in,
    plain_table,
)
from headstart.report.paper import Paper
from headstart.report.paper_methods import methods_named
from headstart.report.pictures import PictureBook
from headstart.report.sections.best import best_section
from headstart.report.sections.compared import use_of_splits
from headstart.report.sections.data import data_section
from headstart.report.sections.told_apart import told_claims, told_table
from headstart.report.verdict import accuracy, best_of, datasets, missing_claims, verdict
from headstart.report.wording import (
    count,
    decimal,
    duration,
    listed,
    percent,
    seconds_parts,
    size,
    total_seconds,
)
from headstart.study.records import MethodSummary, StudyRecord

PICTURES, PICTURE_BYTES = 8, 400_000
ROWS, BACKUP_ROWS = 6, 8
MATRIX = 8
DATASETS_TOLD = 2


@dataclass(frozen=True)
class Slide:
    """One slide: its title, what stands on it, and about how long it takes (0: a backup slide)."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    minutes: float = 0.0


@dataclass(frozen=True)
class Talk:
    """The slides of a talk and those behind it."""

    title: str
    subtitle: str
    slides: tuple[Slide, ...]
    backup: tuple[Slide, ...]

    @property
    def minutes(self) -> float:
        """About how long the talk takes without the backup."""
        return sum(slide.minutes for slide in self.slides)


def build_talk(record: StudyRecord, paper: Paper, *, picture_bytes: int = PICTURE_BYTES) -> Talk:
    """The talk of a study, finished or not.

    Parameters
    ----------
    record : StudyRecord
    paper : Paper
        Of the same record; its sections are shortened to slides.
    picture_bytes : int
        Most bytes of pictures in all; 0: none.
    """
    names = datasets(record)
    first = names[0] if names else ""
    book = PictureBook(picture_bytes)
    slides = [
        Slide("question", "The question", _question(record), 1.0),
        *_images(record, paper, first, book),
        Slide("ways", "What was compared", _ways(record, paper), 2.0),
        Slide("measured", "How it was measured", _measured(record), 1.5),
        *(_found(record, paper, name, at) for at, name in enumerate(names[:DATASETS_TOLD])),
        *_drawn(paper),
        *_told(paper, names[:DATASETS_TOLD]),
        *_over(paper),
        *_closely(record, first, book),
        Slide("improve", "What would improve it", _part(paper, "improving")[:4], 1.0),
        Slide("threats", "Threats to validity", _threats(paper), 1.5),
        Slide("conclusion", "Conclusion", _part(paper, "conclusion"), 1.0),
    ]
    kept = tuple(slide for slide in slides if slide.blocks)
    return Talk(paper.document.title, paper.document.subtitle, kept, backup(record, paper))


def _question(record: StudyRecord) -> tuple[Block, ...]:
    said = f"Which way of using pretrained networks is best for the images of {listed(datasets(record)) or 'the user'}, "
    return (
        Paragraph(said + "and how sure is that?"),
        Blank("What is the classifier for, and what does a wrong answer cost?"),
        Blank("What does each class mean?"),
    )


def _images(record: StudyRecord, paper: Paper, name: str, book: PictureBook) -> list[Slide]:
    """The first dataset: classes and examples, then whether it is enough and consistent."""
    opening = next((s for s in paper.document.sections if s.id == "introduction"), None)
    part = opening.parts[0] if opening is not None and opening.parts else None
    if part is None:
        return []
    facts = [block for block in part.blocks if isinstance(block, Table)]
    said = [block for block in part.blocks if isinstance(block, Paragraph | Claim)]
    examples = _examples(record, name, book)
    return [
        Slide(
            "images",
            f"The images of {name}",
            (said[1], *(_cut(table, ROWS) for table in facts), *examples),
            1.5,
        ),
        Slide("enough", "Are they enough, and consistent?", tuple(said[2:]), 1.0),
    ]


def _examples(record: StudyRecord, name: str, book: PictureBook) -> list[Block]:
    section = data_section(record.tables[name], record.targets[name], book, "example")
    found = next((block for block in section.blocks if isinstance(block, Gallery)), None)
    if found is None:
        return []
    groups = [(title, "", pictures[:2]) for title, _, pictures in found.groups[: PICTURES // 2]]
    return [Gallery("examples", "", tuple(groups))]


def _cut(table: Table, rows: int) -> Table:
    """The first rows of a table, its caption gone: slides speak for themselves."""
    caption = "More rows are in the paper." if len(table.rows) > rows else ""
    return replace(table, caption=caption, rows=table.rows[:rows], sortable=False, folded="")


def _ways(record: StudyRecord, paper: Paper) -> tuple[Block, ...]:
    tables = [
        b
        for s in paper.document.sections
        for b in blocks_in(s)
        if isinstance(b, Table) and b.id == "method-words"
    ]
    said = (
        Paragraph(methods_named(record)[:1].upper() + methods_named(record)[1:] + ".")
        if record.summaries
        else None
    )
    shown = [
        replace(_cut(table, 7), columns=table.columns[:2], rows=_first_two(table, 7)) for table in tables
    ]
    return (*([said] if said is not None else []), *shown)


def _first_two(table: Table, rows: int) -> tuple[Row, ...]:
    return tuple(replace(row, entries=row.entries[:2]) for row in table.rows[:rows])


def _measured(record: StudyRecord) -> tuple[Block, ...]:
    items = [f"{name}: {use_of_splits(record, name)}" for name in datasets(record)[:3]]
    items += [
        "Best is what scores highest on validation images or inner folds; test images choose nothing.",
        "Each score has a 95 % interval over test images and seeds.",
        "Methods are compared on the same images, with Holm's correction.",
    ]
    return (Points(tuple(items)),)


def _found(record: StudyRecord, paper: Paper, name: str, at: int) -> Slide:
    claims = [claim for claim in verdict(record, name).claims if claim.strong][:1]
    tables = [
        _narrow(b) for s in paper.document.sections for b in blocks_in(s)
        if isinstance(b, Table) and b.id == f"found-{at}-methods"
    ]  # fmt: skip
    missing = missing_claims(record) if at == 0 else []
    return Slide(
        f"result-{at}", f"The result on {name}", (*claims, *missing, *tables), 2.0 if at == 0 else 1.0
    )


def _narrow(table: Table) -> Table:
    kept = [at for at, column in enumerate(table.columns) if column.title not in ("runs", "log loss", "#")]
    rows = tuple(replace(row, entries=tuple(row.entries[at] for at in kept)) for row in table.rows[:ROWS])
    return replace(_cut(table, ROWS), columns=tuple(table.columns[at] for at in kept), rows=rows)


def _drawn(paper: Paper) -> list[Slide]:
    figures = [b for s in paper.document.sections for b in blocks_in(s) if isinstance(b, Figure)]
    titles = {"seconds": "Accuracy against time", "layers": "Accuracy by layer", "sized": "Images a class"}
    made = []
    for part, title in titles.items():
        figure = next((each for each in figures if each.id.startswith(f"found-0-{part}")), None)
        if figure is not None:
            made.append(Slide(f"figure-{part}", title, (_spoken(figure),), 1.0))
    return made[:2]


def _spoken(figure: Figure) -> Figure:
    """The drawing without its notes and the words that announce them."""
    return replace(figure, notes=(), caption=figure.caption.removesuffix(" On the frontier, by number:"))


def _told(paper: Paper, names: list[str]) -> list[Slide]:
    slides = []
    for at, name in enumerate(names):
        told = paper.told.get(name)
        if told is not None:
            table = _cut(told_table(told, f"talk-{at}", 5), 5)
            title = "Can they be told apart?" + (f" ({name})" if len(names) > 1 else "")
            slides.append(
                Slide(f"told-{at}", title, (*told_claims(told)[:1], table), 2.0 if at == 0 else 0.5)
            )
    return slides


def _over(paper: Paper) -> list[Slide]:
    part = _section(paper, "over-datasets")
    return (
        [Slide("over", part.title, tuple(b for b in part.blocks if isinstance(b, Claim)), 1.0)]
        if part
        else []
    )


def _closely(record: StudyRecord, name: str, book: PictureBook) -> list[Slide]:
    closely = best_section(record, name, book, "talk-best") if name else None
    if closely is None:
        return []
    matrix = [
        b for b in blocks_in(closely) if isinstance(b, Table) and b.matrix and len(b.columns) <= MATRIX + 1
    ]
    pairs = [_cut(b, ROWS) for b in blocks_in(closely) if isinstance(b, Table) and not matrix][:1]
    slides = [
        Slide("confusion", "What the best takes for what", (*(_cut(t, MATRIX) for t in matrix), *pairs), 1.5)
    ]
    errors = next((b for b in blocks_in(closely) if isinstance(b, Gallery)), None)
    if errors is not None and errors.groups:
        groups = tuple((title, "", pictures[:PICTURES]) for title, _, pictures in errors.groups[:1])
        slides.append(Slide("errors", "Its surest errors", (Gallery("errors", "", groups),), 1.0))
    return slides


def _section(paper: Paper, id: str) -> Section | None:
    waiting = list(paper.document.sections)
    while waiting:
        section = waiting.pop(0)
        if section.id == id:
            return section
        waiting += section.parts
    return None


def _part(paper: Paper, id: str) -> tuple[Block, ...]:
    section = _section(paper, id)
    return section.blocks if section is not None else ()


def _threats(paper: Paper) -> tuple[Block, ...]:
    return tuple(
        replace(block, items=block.items[:5]) if isinstance(block, Points) else block
        for block in _part(paper, "threats")
    )


def backup(record: StudyRecord, paper: Paper) -> tuple[Slide, ...]:
    """Slides for the questions after the talk."""
    names = datasets(record)
    told = [told for name in names if (told := paper.told.get(name)) is not None][:1]
    real: list[Block] = [_cut(told_table(each, "backup", BACKUP_ROWS), BACKUP_ROWS) for each in told]
    if not real:
        real = [
            Paragraph(
                "The answers of two methods on the same images are not in the study, so it cannot be told."
            )
        ]
    return (
        Slide(
            "why-split", "Why this split?", (Points(tuple(_split_words(record, name) for name in names[:3])),)
        ),
        Slide("is-real", "Is the difference real?", tuple(real)),
        Slide(
            "half", "What if there were half the images?", tuple(_half(record, name) for name in names[:3])
        ),
        Slide("cost", "What did it cost?", _cost(record)),
        Slide("repeat", "How is it repeated?", _repeat(record)),
        Slide("formulas", "What do the metrics mean?", _formulas(paper)),
    )


def _split_words(record: StudyRecord, name: str) -> str:
    table = record.tables.get(name)
    if table is None:
        return f"{name} was not scanned before the study stopped."
    said = (
        f"{name}: the split came with the images"
        if table.splits is not None and _given(record, name)
        else None
    )
    said = said or f"{name}: no split was given, so each seed drew one, with the same share of each class"
    said += "; groups were kept on one side" if table.groups is not None else "; no groups were given"
    return f"{said}; {use_of_splits(record, name)}"


def _given(record: StudyRecord, name: str) -> bool:
    """Whether every run used one and the same split."""
    return len({result.cell.split_digest for result in record.results if result.cell.dataset == name}) < 2


def _half(record: StudyRecord, name: str) -> Block:
    """The scores of the best method with all and with about half of the images, if both were run."""
    best = best_of(record, name)
    rows = [
        row for row in record.sized if best is not None and (row.dataset, row.method) == (name, best.method)
    ]
    known = sorted(
        (row for row in rows if accuracy(row) is not None and row.n_train), key=lambda row: row.n_train
    )
    if best is None or len(known) < 2:
        return Paragraph(
            f"{name}: this study had one number of images a class, so it does not tell; run it again with "
            "--per-class, for example --per-class 10,20,40,all."
        )
    whole = known[-1]
    half = min(known[:-1], key=lambda row: abs(row.n_train - whole.n_train / 2))
    runs = (*half.cells, *whole.cells)
    return Claim(f"{name}: {best.method} scores {_with(half)}, against {_with(whole)}.", runs)


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
            rows.append((name, best.method, parts, size(best.peak_bytes), size(best.model_bytes)))
    machine = ", ".join(
        f"{key.replace('_', ' ')} {size(value) if key.endswith('bytes') else value}"
        for key, value in record.machine.items()
    )
    said = Claim(
        f"The whole study took {duration(record.seconds_total)} for {count(len(record.results), 'run')}.",
        tuple(result.cell.id for result in record.results),
    )
    titles = ("dataset", "best method", "time of a run", "most memory", "size of the model")
    table = [plain_table("costs", "", titles, rows)] if rows else []
    return (said, *table, Paragraph(f"The machine: {machine or 'not recorded'}."))


def _repeat(record: StudyRecord) -> tuple[Block, ...]:
    versions = ", ".join(f"{name} {value}" for name, value in record.versions.items())
    command = (Points((record.command,), code=True),) if record.command else ()
    return (*command, Paragraph(f"Versions: {versions or 'not recorded'}."))


def _formulas(paper: Paper) -> tuple[Block, ...]:
    tables = [
        b
        for s in paper.document.sections
        for b in blocks_in(s)
        if isinstance(b, Table) and b.id == "paper-metrics"
    ]
    return tuple(replace(_cut(table, 6), columns=(table.columns[0], table.columns[2]), rows=tuple(
        replace(row, entries=(row.entries[0], row.entries[2])) for row in table.rows[:6]
    )) for table in tables)  # fmt: skip


def numbered(talk: Talk) -> list[tuple[str, Slide]]:
    """Every slide with its number: 1, 2 ... then B1, B2 ...; `decimal` minutes are for the speaker alone."""
    return [
        *((str(at), slide) for at, slide in enumerate(talk.slides, start=2)),
        *((f"B{at}", slide) for at, slide in enumerate(talk.backup, start=1)),
    ]


def minutes_words(talk: Talk) -> str:
    """`about 17.5 minutes`."""
    return f"about {decimal(talk.minutes, 1).removesuffix('.0')} minutes"

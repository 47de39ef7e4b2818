"""A study as a talk of 15 to 20 minutes: slides in the order of the paper, backup slides, the runs that they name.

Backup slides answer the likely questions from the study's own numbers: why this split, is the difference real,
what if there were half the images, what did it cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headstart.report.division import repeats
from headstart.report.document import (
    Blank,
    Block,
    Claim,
    Figure,
    Gallery,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    blocks_in,
)
from headstart.report.paper import Paper
from headstart.report.paper_introduction import TOGETHER
from headstart.report.paper_methods import methods_named
from headstart.report.pictures import PictureBook
from headstart.report.sections.best import best_section, confused_pairs
from headstart.report.sections.compared import use_of_splits
from headstart.report.sections.data import examples
from headstart.report.sections.shifted import shift_claims
from headstart.report.sections.told_apart import told_table
from headstart.report.summary import dataset_claims
from headstart.report.talk_backup import backup, cut, of_each, run_slides
from headstart.report.talk_together import examples_of_each, together
from headstart.report.verdict import APART, datasets, missing_claims, told_claims
from headstart.report.wording import (
    decimal,
    listed,
)
from headstart.study.records import StudyRecord

PICTURES, PICTURE_BYTES, MAPS = 8, 400_000, 4
ROWS = 6
LEFT_OUT = ("runs", "log loss", "#")
"""Columns of the methods of a data set."""
MATRIX, THREATS = 10, 8
DATASETS_TOLD, OTHERS_TOLD = 2, 8
"""Data sets with slides of their own in the talk, and of those that a table tells together behind it."""
MOST_MINUTES = 20.0
SPARED = (
    "figure-layers", "told-1", "looked", "errors", "figure-seconds", "result-1", "tuned", "improve", "figure-sized",
    "over",
)  # fmt: skip
"""Slides that may stand behind the talk where it would be too long, the first to go first."""


@dataclass(frozen=True)
class Slide:
    """One slide: its title, what stands on it, and about how long it takes (0: a backup slide)."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    minutes: float = 0.0


@dataclass(frozen=True)
class Talk:
    """The slides of a talk and those behind it; `runs` list every run that the others name."""

    title: str
    subtitle: str
    slides: tuple[Slide, ...]
    backup: tuple[Slide, ...]
    runs: tuple[Slide, ...] = ()

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
    all_told = [Slide(*each) for each in together(record, paper)]
    closely = names[: 1 if all_told else DATASETS_TOLD]
    slides = [
        Slide("question", "The question", _question(record), 1.0),
        *_images(record, paper, first, book),
        Slide("ways", "What was compared", _ways(record, paper), 2.0),
        Slide("measured", "How it was measured", _measured(record), 1.5),
        *([] if names else [Slide("result", "The result", tuple(missing_claims(record)), 1.0)]),
        *all_told,
        *(_found(record, paper, name, at) for at, name in enumerate(closely)),
        *_drawn(paper),
        *_sized(paper),
        *_told(paper, closely),
        *_worth(paper, names[:DATASETS_TOLD]),
        *_over(paper, 1 if any(slide.id == "ranks" for slide in all_told) else 0),
        *_tricks(paper),
        *_closely(record, first, book),
        Slide("improve", "What would improve it", _part(paper, "improving")[:4], 1.0),
        Slide("threats", "Threats to validity", _threats(paper), 1.5),
        Slide("conclusion", "Conclusion", _part(paper, "conclusion"), 1.0),
    ]
    kept, put_back = _in_time([slide for slide in slides if slide.blocks])
    others = [_found(record, paper, name, at) for at, name in enumerate(names) if name not in closely]
    others = [replace(each, minutes=0.0) for each in others[:OTHERS_TOLD] if each.blocks]
    behind = (*(Slide(*each) for each in backup(record, paper)), *others, *put_back)
    named = (block for slide in (*kept, *behind) for block in slide.blocks)
    runs = tuple(Slide(*each) for each in run_slides(record, named))
    return Talk(paper.document.title, paper.document.subtitle, kept, behind, runs)


def _in_time(slides: Sequence[Slide]) -> tuple[tuple[Slide, ...], list[Slide]]:
    """The slides that `MOST_MINUTES` hold, and those that stand behind the talk instead, in the order of `SPARED`."""
    kept, put_back = list(slides), []
    for id in SPARED:
        if sum(slide.minutes for slide in kept) <= MOST_MINUTES:
            break
        for slide in [each for each in kept if each.id == id]:
            kept.remove(slide)
            put_back.append(replace(slide, minutes=0.0))
    return tuple(kept), put_back


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
    title = f"The images of {name}"
    if part.id == TOGETHER:  # a sentence a data set, each on whether its images are enough
        shown, enough, title = said[:0], said, "The images"
        pictures = examples_of_each(record, book)
    else:
        shown, enough = said[1:2], said[2:]
        pictures = _examples(record, name, book)
    return [
        Slide(
            "images",
            title,
            (*shown, *(cut(table, ROWS) for table in facts), *pictures),
            1.5,
        ),
        Slide("enough", "Are they enough, and consistent?", tuple(enough), 1.0),
    ]


def _examples(record: StudyRecord, name: str, book: PictureBook) -> list[Block]:
    found = examples(
        record.tables[name], record.targets[name], book, "example", record.outputs.get(name, ()),
        n_classes=PICTURES // 2, n_each=2,
    )  # fmt: skip
    if found is None:
        return []
    return [Gallery("examples", "", tuple((title, "", pictures) for title, _, pictures in found.groups))]


def _ways(record: StudyRecord, paper: Paper) -> tuple[Block, ...]:
    tables = [
        b
        for s in paper.document.sections
        for b in blocks_in(s)
        if isinstance(b, Table) and b.id == "method-words"
    ]
    said = (
        Paragraph(methods_named(record)[:1].upper() + methods_named(record)[1:] + ".")
        if record.summaries or record.joint
        else None
    )
    shown = [replace(cut(table, 7), columns=table.columns[:2], rows=_first_two(table, 7)) for table in tables]
    return (*([said] if said is not None else []), *shown)


def _first_two(table: Table, rows: int) -> tuple[Row, ...]:
    return tuple(replace(row, entries=row.entries[:2]) for row in table.rows[:rows])


def _measured(record: StudyRecord) -> tuple[Block, ...]:
    items = of_each(record, lambda name: f"{name}: {use_of_splits(record, name)}")
    runs = listed(dict.fromkeys(f"{repeats(record, name)}s" for name in datasets(record)))
    items += [
        "Best is what scores highest on validation images or inner folds, less one standard error; test images "
        "choose nothing.",
        f"Each score has a 95 % interval over test images and {runs or 'seeds'}.",
        "Methods are compared on the same images, with Holm's correction.",
    ]
    return (Points(tuple(items)),)


def _found(record: StudyRecord, paper: Paper, name: str, at: int) -> Slide:
    claims = [claim for claim in dataset_claims(record, name, paper.told) if claim.strong]
    claims += shift_claims(record, name)
    tables = [
        _narrow(b) for s in paper.document.sections for b in blocks_in(s)
        if isinstance(b, Table) and b.id == f"found-{at}-methods"
    ]  # fmt: skip
    missing = missing_claims(record) if at == 0 else []
    minutes = 2.0 if at == 0 and len(paper.told) <= APART else 1.0
    return Slide(f"result-{at}", f"The result on {name}", (*claims, *missing, *tables), minutes)


def _narrow(table: Table) -> Table:
    """The first rows without what a slide has no room for; the name of a method leads to its first run instead."""
    kept = [at for at, column in enumerate(table.columns) if column.title not in LEFT_OUT]
    titles = tuple(table.columns[at] for at in kept)
    rows = []
    for row in table.rows[:ROWS]:
        to = next((entry.target for entry in row.entries if entry.target), "")
        named = [(table.columns[at].title, row.entries[at]) for at in kept]
        made = tuple(replace(entry, target=to) if title == "method" else entry for title, entry in named)
        rows.append(replace(row, entries=made))
    return replace(cut(table, ROWS), columns=titles, rows=tuple(rows))


def _drawn(paper: Paper) -> list[Slide]:
    figures = [b for s in paper.document.sections for b in blocks_in(s) if isinstance(b, Figure)]
    titles = {"seconds": "Accuracy against time", "layers": "Accuracy by layer"}
    made = []
    for part, title in titles.items():
        figure = next((each for each in figures if each.id.startswith(f"found-0-{part}")), None)
        if figure is not None:
            made.append(Slide(f"figure-{part}", title, (_spoken(figure),), 1.0))
    return made[: 1 if _section(paper, "found-0-sized") is not None else 2]


def _sized(paper: Paper) -> list[Slide]:
    """Accuracy against images a class, as the paper tells it: the two first sentences, the table, the drawing."""
    part = _section(paper, "found-0-sized")
    if part is None:
        return []
    said = [block for block in part.blocks if isinstance(block, Claim)][:2]
    tables = [cut(block, ROWS) for block in part.blocks if isinstance(block, Table)]
    drawn = [_spoken(block) for block in part.blocks if isinstance(block, Figure)]
    return [Slide("figure-sized", part.title, (*said, *drawn, *tables), 1.0)]


def _spoken(figure: Figure) -> Figure:
    """The drawing without its notes and the words that announce them."""
    return replace(figure, notes=(), caption=figure.caption.removesuffix(" On the frontier, by number:"))


def _told(paper: Paper, names: list[str]) -> list[Slide]:
    slides = []
    for at, name in enumerate(names):
        told = paper.told.get(name)
        if told is not None:
            table = cut(told_table(told, f"talk-{at}", 5), 5)
            title = "Can they be told apart?" + (f" ({name})" if len(paper.told) > 1 else "")
            minutes = 0.5 if at else 2.0 if len(paper.told) <= APART else 1.0
            slides.append(Slide(f"told-{at}", title, (*told_claims(told)[1:], table), minutes))
    return slides


def _worth(paper: Paper, names: list[str]) -> list[Slide]:
    """What tuning was worth, on the first dataset where methods were tuned."""
    parts = (_section(paper, f"found-{at}-tuned") for at in range(len(names)))
    part = next((each for each in parts if each is not None), None)
    return [Slide("tuned", part.title, _short(part, 2), 1.0)] if part is not None else []


def _tricks(paper: Paper) -> list[Slide]:
    part = _section(paper, "tricks")
    return [Slide("tricks", "What each trick did", _short(part, 2), 1.5)] if part is not None else []


def _short(part: Section, most: int) -> tuple[Block, ...]:
    """The first sentences and the first table of a part, as much as a slide holds."""
    said = [block for block in part.blocks if isinstance(block, Claim)][:most]
    tables = [cut(block, ROWS) for block in part.blocks if isinstance(block, Table)][:1]
    return (*said, *tables)


def _over(paper: Paper, n_told: int) -> list[Slide]:
    """What the comparison over the data sets says, less what another slide has told."""
    part = _section(paper, "over-datasets")
    said = [block for block in part.blocks if isinstance(block, Claim)] if part is not None else []
    return [Slide("over", part.title, tuple(said[n_told:]), 1.0)] if part is not None else []


def _closely(record: StudyRecord, name: str, book: PictureBook) -> list[Slide]:
    closely = best_section(record, name, book, "talk-best") if name else None
    if closely is None:
        return []
    matrix = [
        b for b in blocks_in(closely) if isinstance(b, Table) and b.matrix and len(b.columns) <= MATRIX + 1
    ]
    pairs = confused_pairs(record, name, "talk-pairs") if not matrix else None
    shown = [cut(table, MATRIX) for table in (*matrix, *([pairs] if pairs is not None else []))]
    on = f" ({name})" if len(datasets(record)) > 1 else ""
    slides = [Slide("confusion", f"What the best takes for what{on}", tuple(shown), 1.5)]
    galleries = [b for b in blocks_in(closely) if isinstance(b, Gallery)]
    errors = next((b for b in galleries if b.id.endswith("-errors")), None)
    if errors is not None and errors.groups:
        groups = tuple((title, "", pictures[:PICTURES]) for title, _, pictures in errors.groups[:1])
        slides.append(Slide("errors", f"Its surest errors{on}", (Gallery("errors", "", groups),), 1.0))
    maps = next((b for b in galleries if b.id.endswith("-maps")), None)
    if maps is not None:
        said = "Bright is what spoke for the class that was named, which is wrong."
        some = replace(maps, caption=said, groups=maps.groups[:MAPS])
        slides.append(Slide("looked", f"Where it looked when it was wrong{on}", (some,), 0.5))
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
        replace(block, items=block.items[:THREATS]) if isinstance(block, Points) else block
        for block in _part(paper, "threats")
    )


def numbered(talk: Talk) -> list[tuple[str, Slide]]:
    """Every slide with its number: 1, 2 ... then B1, B2 ..., R1, R2 ...; `decimal` minutes are for the speaker alone."""
    return [
        *((str(at), slide) for at, slide in enumerate(talk.slides, start=2)),
        *((f"B{at}", slide) for at, slide in enumerate(talk.backup, start=1)),
        *((f"R{at}", slide) for at, slide in enumerate(talk.runs, start=1)),
    ]


def minutes_words(talk: Talk) -> str:
    """`about 17.5 minutes`."""
    return f"about {decimal(talk.minutes, 1).removesuffix('.0')} minutes"

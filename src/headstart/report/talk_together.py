"""The slides that tell more data sets than two together: the study in short, methods by data sets, their examples."""

from __future__ import annotations

from dataclasses import replace

from headstart.report.document import Block, Claim, Figure, Gallery, Picture, Table
from headstart.report.paper import Paper
from headstart.report.pictures import PictureBook
from headstart.report.sections.data import examples
from headstart.report.sections.every_dataset import every_dataset
from headstart.report.sections.in_short import in_short_table
from headstart.report.verdict import datasets
from headstart.study.records import StudyRecord

ROWS, COLUMNS = 8, 7
EXAMPLES_OF, CLASSES_OF = 4, 2
"""Data sets with example pictures on one slide, and classes of each."""


def together(record: StudyRecord, paper: Paper) -> list[tuple[str, str, tuple[Block, ...], float]]:
    """Id, title, content and minutes of the slides on all data sets; nothing where each has slides of its own.

    The study in short, the methods by data sets, and the critical-difference diagram where there is one.
    """
    blocks = every_dataset(record, paper.told, "talk-every", most=ROWS, wide=COLUMNS)
    tables = [block for block in blocks if isinstance(block, Table)]
    if not tables:
        return []
    claims = [block for block in blocks if isinstance(block, Claim)]
    slides: list[tuple[str, str, tuple[Block, ...], float]] = []
    if (short := in_short_table(record, paper.told, "talk-short")) is not None:
        more = "" if len(short.rows) <= ROWS else "More data sets are in the paper."
        slides.append(
            ("short", "The result in short", (replace(short, caption=more, rows=short.rows[:ROWS]),), 1.5)
        )
    signs = tables[0].caption.partition(". ")[2].partition(" Look for")[0]
    signs += " More data sets are in the paper." if len(tables) > 1 else ""
    table = replace(tables[0], caption=signs, rows=tables[0].rows[:ROWS], sortable=False, runs=())
    slides.append(("every", "Every method on every data set", (*claims, table), 1.5))
    over = next(
        (part for s in paper.document.sections for part in s.parts if part.id == "over-datasets"), None
    )
    drawn = [block for block in over.blocks if isinstance(block, Figure)][:1] if over is not None else []
    if over is not None and drawn:
        said = [block for block in over.blocks if isinstance(block, Claim)][:1]
        slides.append(("ranks", "Mean ranks, and who can be told apart", (*said, *drawn), 1.0))
    return slides


def examples_of_each(record: StudyRecord, book: PictureBook) -> list[Block]:
    """One picture of some classes of each data set, as many data sets as a slide holds."""
    groups: list[tuple[str, str, tuple[Picture, ...]]] = []
    for name in [name for name in datasets(record) if name in record.tables][:EXAMPLES_OF]:
        found = examples(
            record.tables[name], record.targets[name], book, f"{name}-example", record.outputs.get(name, ()),
            n_classes=CLASSES_OF, n_each=1,
        )  # fmt: skip
        if found is not None:
            groups.append(
                (name, "", tuple(picture for _, _, pictures in found.groups for picture in pictures))
            )
    return [Gallery("examples", "", tuple(groups))] if groups else []

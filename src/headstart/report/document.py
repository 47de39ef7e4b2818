"""The report as frozen values: sections of claims, tables, figures and pictures.

One idea: what is said is settled here, as plain text and numbers, before any format is chosen; a renderer
only decides how it looks. Text is never markup: whoever renders it escapes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headstart.report.formula import Formula, plain

GROUPS = 4
"""Groups of a gallery that a page of paper holds beside each other."""


@dataclass(frozen=True)
class Claim:
    """A sentence that rests on runs: `runs` are the ids of the cells behind its numbers."""

    text: str
    runs: tuple[str, ...] = ()
    strong: bool = False

    kind = "claim"


@dataclass(frozen=True)
class Paragraph:
    """A sentence or two that need no run."""

    text: str
    quiet: bool = False

    kind = "paragraph"


@dataclass(frozen=True)
class Blank:
    """Words that only the author can add: what is asked of them. Marked in every format, never filled in."""

    text: str

    kind = "blank"


@dataclass(frozen=True)
class Points:
    """A list of sentences; `code` sets them as written (a command, a traceback)."""

    items: tuple[str, ...]
    title: str = ""
    code: bool = False

    kind = "points"


@dataclass(frozen=True)
class Entry:
    """One place in a table.

    Attributes
    ----------
    text : str
        What is shown.
    sort : float or str, optional
        What is sorted by; None (an absent value) always sorts last.
    small : str
        A second, smaller line: an interval, a unit, a remark.
    href : str
        A web address; renderers refuse anything but http and https.
    bars : tuple of float
        Lengths in 0..1 of the parts of a stacked bar, drawn instead of a number.
    heat : int, optional
        Shade 0..10 of a heat map.
    anchor, target : str
        Name of this place for links inside the document; name of the place that it links to.
    formula : Formula
        What is shown instead of `text` where a format can set mathematics; `text` is the same in plain signs.
    """

    text: str
    sort: float | str | None = None
    small: str = ""
    href: str = ""
    bars: tuple[float, ...] = ()
    heat: int | None = None
    anchor: str = ""
    target: str = ""
    formula: Formula = ()


def formula_entry(formula: Formula) -> Entry:
    """A formula as a place in a table."""
    return Entry(plain(formula), formula=formula)


@dataclass(frozen=True)
class Column:
    """A heading; `help` says what the column means; numbers are set to the right."""

    title: str
    help: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Row:
    """Entries in the order of the columns; `mark` is "best", "partial", "failed", "missing" or ""."""

    entries: tuple[Entry, ...]
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table; `matrix` sets it as a heat map whose first column is a heading; `runs` are behind all of it."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    sortable: bool = False
    matrix: bool = False
    folded: str = ""
    legend: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    kind = "table"


@dataclass(frozen=True)
class Figure:
    """A drawing as SVG text; the caption says what to see in it, `alt` what it shows; a `wide` one stands alone."""

    id: str
    caption: str
    svg: str
    alt: str
    notes: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    wide: bool = False

    kind = "figure"


@dataclass(frozen=True)
class Picture:
    """A small JPEG picture as a data address, with the lines that stand under it."""

    uri: str
    alt: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Groups of pictures: (title, remark, pictures)."""

    id: str
    caption: str
    groups: tuple[tuple[str, str, tuple[Picture, ...]], ...]

    kind = "gallery"


@dataclass(frozen=True)
class Pairs:
    """What every method said of every test image, for a reader to pick two and see where they differ.

    Attributes
    ----------
    id, caption : str
    methods, classes, images : tuple of str
        Names; images are paths.
    truth : str
        The class of each image, `width` signs each (see `headstart.report.sections.side_by_side.coded`).
    said : tuple of str
        The same of each method.
    width : int
    pictures : dict of int to str
        Data addresses by the place of the image; not all have one.
    """

    id: str
    caption: str
    methods: tuple[str, ...]
    classes: tuple[str, ...]
    images: tuple[str, ...]
    truth: str
    said: tuple[str, ...]
    width: int
    pictures: dict[int, str]

    kind = "pairs"

    @property
    def data(self) -> dict[str, object]:
        """What the page's script reads, as JSON-like values."""
        return {
            "methods": self.methods,
            "classes": self.classes,
            "images": self.images,
            "truth": self.truth,
            "said": self.said,
            "width": self.width,
            "pictures": self.pictures,
        }


@dataclass(frozen=True)
class Beside:
    """Tables or figures that stand side by side where there is room."""

    blocks: tuple[Table | Figure, ...]

    kind = "beside"


Block = Claim | Paragraph | Blank | Points | Table | Figure | Gallery | Pairs | Beside


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading; `parts` are the sections inside it."""

    id: str
    title: str
    blocks: tuple[Block, ...] = ()
    parts: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Document:
    """The whole report."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]

    @property
    def every(self) -> tuple[Section, ...]:
        """All sections in the order of the page, each before those inside it."""
        return tuple(inner for section in self.sections for inner in _opened(section))


def _opened(section: Section) -> Iterator[Section]:
    yield section
    for part in section.parts:
        yield from _opened(part)


def plain_table(id: str, caption: str, titles: Sequence[str], rows: Sequence[Sequence[Entry | str]]) -> Table:
    """A table of text without further ado."""
    columns = tuple(Column(title) for title in titles)
    made = [Row(tuple(at if isinstance(at, Entry) else Entry(at, at) for at in row)) for row in rows]
    return Table(id, caption, columns, tuple(made))


def blocks_in(section: Section) -> Iterator[Block]:
    """Every block of a section and of the sections inside it, those that stand side by side one by one."""
    for block in section.blocks:
        yield from block.blocks if isinstance(block, Beside) else (block,)
    for part in section.parts:
        yield from blocks_in(part)


def anchors_in(blocks: Iterable[Block]) -> frozenset[str]:
    """Names of places in tables that links may lead to."""
    tables = (block for block in blocks if isinstance(block, Table))
    return frozenset(
        entry.anchor for table in tables for row in table.rows for entry in row.entries if entry.anchor
    )

"""The paper as Markdown (CommonMark with tables), its drawings as SVG files beside it.

One idea: every text is escaped sign by sign, so that a class called `<script>` or `[x](y)` stays a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from headstart.report.document import (
    Beside,
    Blank,
    Block,
    Claim,
    Document,
    Entry,
    Figure,
    Gallery,
    Pairs,
    Points,
    Section,
    Table,
    anchors_in,
    blocks_in,
)
from headstart.report.html import CONTROLS, safe_href
from headstart.report.plain_svg import plain_svg
from headstart.report.run_links import NAMED, place_of

SPECIAL = re.compile(r"([\\`*_{}\[\]|~$^])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
PLACE = re.compile(r"[A-Za-z0-9-]+")
"""Names of places that a link may lead to."""
FIGURES = "figures"
Known = frozenset[str]
"""Places that are in the document."""


def markdown(document: Document) -> str:
    """The document as text; figures are linked as `figures/ID.svg` (see `drawings`)."""
    lines = [f"# {escaped(document.title)}", "", f"*{escaped(document.subtitle)}*", ""]
    known = anchors_in(block for section in document.sections for block in blocks_in(section))
    for section in document.sections:
        lines += _section(section, 2, known)
    return "\n".join(lines).rstrip() + "\n"


def drawings(document: Document) -> dict[str, str]:
    """SVG text by file name."""
    found = (block for section in document.sections for block in _figures(section))
    return {f"{figure.id}.svg": plain_svg(figure.svg) for figure in found}


def _figures(section: Section) -> Iterator[Figure]:
    return (block for block in blocks_in(section) if isinstance(block, Figure))


def escaped(text: str) -> str:
    """Text on one line in which nothing is markup.

    Examples
    --------
    >>> escaped("<b> *x*")
    '&lt;b&gt; \\\\*x\\\\*'
    """
    one_line = " ".join(CONTROLS.sub("\ufffd", text.encode("utf-8", "replace").decode()).split())
    made = SPECIAL.sub(r"\\\1", "".join(ENTITIES.get(sign, sign) for sign in one_line))
    made = re.sub(r"(?i)\b(https?|ftp)://", r"\1:\\/\\/", made)  # no address becomes a link by itself
    made = re.sub(r"(?i)\bwww\.", r"www\\.", made).replace("@", "&#64;")
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([#+=-])", r"\\\1", made))


def _section(section: Section, level: int, known: Known) -> Iterator[str]:
    yield f"{'#' * min(level, 6)} {escaped(section.title)}"
    yield ""
    for block in section.blocks:
        yield from _block(block, known)
        yield ""
    for part in section.parts:
        yield from _section(part, level + 1, known)


def _block(block: Block, known: Known) -> Iterable[str]:
    match block:
        case Table():
            return _table(block, known)
        case Figure():
            return _figure(block, known)
        case Claim():
            said = escaped(block.text)
            return [(f"**{said}**" if block.strong else said) + runs(block.runs, known)]
        case Blank():
            return [f"> **To be written by the author:** {escaped(block.text)}"]
        case Points():
            return _points(block)
        case Beside():
            return [line for inner in block.blocks for line in (*_block(inner, known), "")]
        case Gallery() | Pairs():
            return [f"*{escaped(block.caption)} The pictures are in the HTML report.*"]
        case _:
            return [escaped(block.text)]


def _figure(figure: Figure, known: Known) -> list[str]:
    notes = [f"- {escaped(note)}" for note in figure.notes]
    said = f"*{escaped(figure.caption)}*{runs(figure.runs, known)}"
    return [
        f"![{escaped(figure.alt)}]({FIGURES}/{figure.id}.svg)",
        "",
        said,
        *([""] if notes else []),
        *notes,
    ]


def _points(points: Points) -> list[str]:
    title = [f"**{escaped(points.title)}**", ""] if points.title else []
    return [*title, *(code_block(item) if points.code else f"- {escaped(item)}" for item in points.items)]


def runs(ids: tuple[str, ...], known: Known = frozenset()) -> str:
    """` (runs 1a2b3c4d, … and 5 more)`: which runs a sentence rests on, each with a link to where it is listed."""
    if not ids:
        return ""
    shown = ", ".join(_linked(f"`{id[:8]}`", place_of(id), known) for id in ids[:NAMED])
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f" ({'run' if len(ids) == 1 else 'runs'} {shown}{more})"


def _linked(said: str, place: str, known: Known) -> str:
    """Text, which is markup already, with a link to a place; without one where the document lacks the place."""
    return f"[{said}](#{place})" if place in known and PLACE.fullmatch(place) else said


def code_block(text: str) -> str:
    """Text as a code block, with a fence longer than any in it."""
    clean = CONTROLS.sub("\ufffd", text.encode("utf-8", "replace").decode())
    fence = "`" * max(3, 1 + max((len(found) for found in re.findall(r"`+", clean)), default=0))
    return f"{fence}\n{clean}\n{fence}"


def _table(table: Table, known: Known) -> Iterator[str]:
    if table.caption:
        yield f"*{escaped(table.caption)}*{runs(table.runs, known)}"
        yield ""
    yield "| " + " | ".join(escaped(column.title) for column in table.columns) + " |"
    yield "| " + " | ".join("---:" if column.numeric else "---" for column in table.columns) + " |"
    for row in table.rows:
        yield "| " + " | ".join(_cell(entry, known) for entry in row.entries) + " |"


def _cell(entry: Entry, known: Known) -> str:
    said = escaped(entry.text)
    if address := safe_href(entry):
        said = f"[{said}](<{address.replace('|', '%7C')}>)"
    elif entry.target:
        said = _linked(said, entry.target, known)
    if PLACE.fullmatch(entry.anchor):  # an HTML anchor: Markdown has no other
        said = f'<a id="{entry.anchor}"></a>{said}'
    return said + (f" ({escaped(entry.small)})" if entry.small else "")

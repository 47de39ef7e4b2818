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
    blocks_in,
)
from headstart.report.html import CONTROLS, safe_href
from headstart.report.plain_svg import plain_svg

SPECIAL = re.compile(r"([\\`*_{}\[\]|~$^])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
FIGURES = "figures"
NAMED = 3


def markdown(document: Document) -> str:
    """The document as text; figures are linked as `figures/ID.svg` (see `drawings`)."""
    lines = [f"# {escaped(document.title)}", "", f"*{escaped(document.subtitle)}*", ""]
    for section in document.sections:
        lines += _section(section, 2)
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


def _section(section: Section, level: int) -> Iterator[str]:
    yield f"{'#' * min(level, 6)} {escaped(section.title)}"
    yield ""
    for block in section.blocks:
        yield from _block(block)
        yield ""
    for part in section.parts:
        yield from _section(part, level + 1)


def _block(block: Block) -> Iterable[str]:
    match block:
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case Claim():
            said = escaped(block.text)
            return [(f"**{said}**" if block.strong else said) + runs(block.runs)]
        case Blank():
            return [f"> **To be written by the author:** {escaped(block.text)}"]
        case Points():
            return _points(block)
        case Beside():
            return [line for inner in block.blocks for line in (*_block(inner), "")]
        case Gallery() | Pairs():
            return [f"*{escaped(block.caption)} The pictures are in the HTML report.*"]
        case _:
            return [escaped(block.text)]


def _figure(figure: Figure) -> list[str]:
    notes = [f"- {escaped(note)}" for note in figure.notes]
    said = f"*{escaped(figure.caption)}*{runs(figure.runs)}"
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


def runs(ids: tuple[str, ...]) -> str:
    """` (runs 1a2b3c4d, … and 5 more)`: which runs a sentence rests on."""
    if not ids:
        return ""
    shown = ", ".join(f"`{id[:8]}`" for id in ids[:NAMED])
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f" ({'run' if len(ids) == 1 else 'runs'} {shown}{more})"


def code_block(text: str) -> str:
    """Text as a code block, with a fence longer than any in it."""
    clean = CONTROLS.sub("\ufffd", text.encode("utf-8", "replace").decode())
    fence = "`" * max(3, 1 + max((len(found) for found in re.findall(r"`+", clean)), default=0))
    return f"{fence}\n{clean}\n{fence}"


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield f"*{escaped(table.caption)}*{runs(table.runs)}"
        yield ""
    yield "| " + " | ".join(escaped(column.title) for column in table.columns) + " |"
    yield "| " + " | ".join("---:" if column.numeric else "---" for column in table.columns) + " |"
    for row in table.rows:
        yield "| " + " | ".join(_cell(entry) for entry in row.entries) + " |"


def _cell(entry: Entry) -> str:
    said = escaped(entry.text)
    if address := safe_href(entry):
        said = f"[{said}](<{address.replace('|', '%7C')}>)"
    return said + (f" ({escaped(entry.small)})" if entry.small else "")

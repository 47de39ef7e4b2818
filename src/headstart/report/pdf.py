"""The paper as A4 pages by Typst (typst.app): texts are data for the template, never markup; only formulas are read.

Needs the package `typst` (the extra `pdf`), which brings its fonts; nothing of the system is run.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from headstart.base.optional import require
from headstart.report.document import (
    GROUPS,
    Beside,
    Blank,
    Block,
    Claim,
    Document,
    Entry,
    Figure,
    Gallery,
    Paragraph,
    Picture,
    Points,
    Section,
    Table,
    anchors_in,
    blocks_in,
)
from headstart.report.formula import Formula, tall, typst
from headstart.report.html import CONTROLS, safe_href, tied
from headstart.report.plain_svg import plain_svg
from headstart.report.run_links import NAMED, place_of

LONG_WORD, PIECE = 22, 11
TEMPLATE = "paper.typ"
Kind = TypeVar("Kind", Figure, Gallery)


def pdf(document: Document) -> bytes:
    """The document as a PDF file; equal documents give equal bytes.

    Raises
    ------
    MissingPackage
        `typst` is not installed.
    """
    compiler = require("typst", extra="pdf", purpose="writing PDF")
    with tempfile.TemporaryDirectory(prefix="headstart-") as place:
        folder = Path(place)
        template = files("headstart.report").joinpath("templates", TEMPLATE).read_text(encoding="utf-8")
        (folder / TEMPLATE).write_text(template, encoding="utf-8")
        data = json.dumps(paper_data(document), ensure_ascii=False)
        (folder / "data.json").write_text(data, encoding="utf-8")
        for figure in _of_kind(document, Figure):
            (folder / f"{figure.id}.svg").write_text(plain_svg(figure.svg), encoding="utf-8")
        for gallery in _of_kind(document, Gallery):
            for name, picture in _pictures(gallery):
                (folder / name).write_bytes(base64.b64decode(picture.uri.partition(",")[2]))
        made: bytes = compiler.compile(folder / TEMPLATE, root=folder, format="pdf")
    return made


def _of_kind(document: Document, kind: type[Kind]) -> Iterator[Kind]:
    for section in document.sections:
        for block in blocks_in(section):
            if isinstance(block, kind):
                yield block


def _pictures(gallery: Gallery) -> Iterator[tuple[str, Picture]]:
    """The JPEG pictures of a gallery with the names of their files."""
    for at, (_, _, pictures) in enumerate(gallery.groups[:GROUPS]):
        for number, picture in enumerate(pictures):
            if picture.uri.startswith("data:image/jpeg;base64,"):
                yield f"{gallery.id}-{at}-{number}.jpg", picture


def paper_data(document: Document) -> dict[str, Any]:
    """What the template is given: strings, numbers and lists alone."""
    known = anchors_in(block for section in document.sections for block in blocks_in(section))
    sections = [made for section in document.sections for made in _sections(section, 1, known)]
    return {"title": _text(document.title), "subtitle": _text(document.subtitle), "sections": sections}


def _sections(section: Section, level: int, known: frozenset[str]) -> Iterator[dict[str, Any]]:
    blocks = [made for made in _blocks(section.blocks, known) if made is not None]
    yield {"title": _text(section.title), "level": min(level, 3), "blocks": blocks}
    for part in section.parts:
        yield from _sections(part, level + 1, known)


def _blocks(blocks: Iterable[Block], known: frozenset[str]) -> Iterator[dict[str, Any] | None]:
    """Each block; drawings that follow each other stand side by side, two in a line."""
    waiting: list[Figure] = []
    flat = [inner for block in blocks for inner in (block.blocks if isinstance(block, Beside) else (block,))]
    for block in flat:
        if isinstance(block, Figure) and not block.wide:
            waiting.append(block)
            if len(waiting) < 2:
                continue
        if waiting:
            yield {"kind": "figures", "figures": [_figure(each, known) for each in waiting]}
            waiting = []
        if isinstance(block, Figure) and block.wide:
            yield {"kind": "figures", "figures": [_figure(block, known)]}
        if not isinstance(block, Figure):
            yield _block(block, known)
    if waiting:
        yield {"kind": "figures", "figures": [_figure(each, known) for each in waiting]}


def _figure(figure: Figure, known: frozenset[str]) -> dict[str, Any]:
    return {
        "file": f"{figure.id}.svg",
        "alt": _text(figure.alt),
        "wide": figure.wide,
        "caption": _text(figure.caption),
        "notes": [_text(note) for note in figure.notes],
        **_runs(figure.runs, known),
    }


def _runs(ids: tuple[str, ...], known: frozenset[str]) -> dict[str, Any]:
    runs = [{"id": id, "short": id[:8], "known": place_of(id) in known} for id in ids[:NAMED]]
    return {"runs": runs, "more": max(0, len(ids) - NAMED)}


def _block(block: Block, known: frozenset[str]) -> dict[str, Any] | None:
    match block:
        case Claim():
            said = {"kind": "claim", "text": _text(block.text), "strong": block.strong}
            return {**said, **_runs(block.runs, known)}
        case Points():
            items = [_code(item) if block.code else _text(item) for item in block.items]
            return {"kind": "points", "title": _text(block.title), "items": items, "code": block.code}
        case Table():
            return _table(block, known)
        case Paragraph() | Blank():
            return {"kind": block.kind, "text": _text(block.text)}
        case Gallery():
            return _gallery(block)
        case _:
            return None  # two methods side by side are in the HTML report


def _gallery(gallery: Gallery) -> dict[str, Any]:
    names: dict[int, list[dict[str, str]]] = {}
    for name, picture in _pictures(gallery):
        at = int(name.rsplit("-", 2)[1])
        names.setdefault(at, []).append({"file": name, "alt": _text(picture.alt)})
    groups = [
        {"title": _text(title), "remark": _text(remark), "pictures": names[at]}
        for at, (title, remark, _) in enumerate(gallery.groups[:GROUPS])
        if at in names
    ]
    return {"kind": "gallery", "caption": _text(gallery.caption), "groups": groups}


def _table(table: Table, known: frozenset[str]) -> dict[str, Any]:
    rows = [[_entry(entry, known) for entry in row.entries] for row in table.rows]
    if table.id == "reference-list":
        longest = max((len(row[0]["text"]) for row in rows), default=1)
        return {"kind": "references", "rows": rows, "label-width": min(11.0, 0.9 + 0.52 * longest)}
    return {
        "kind": "runs" if table.id == "named-runs" else "table",
        "caption": _text(table.caption),
        "titles": [_text(column.title) for column in table.columns],
        "numeric": [column.numeric for column in table.columns],
        "widths": [_width(table, at) for at in range(len(table.columns))],
        "best": [row.mark == "best" for row in table.rows],
        "rows": rows,
        **_runs(table.runs, known),
    }


def _width(table: Table, at: int) -> float | str:
    """`auto` for numbers and short texts, else a share by the length of the texts."""
    texts = [max(len(row.entries[at].text), len(row.entries[at].small)) for row in table.rows]
    longest = max([*texts, len(table.columns[at].title)], default=1)
    if table.columns[at].numeric or longest <= 14:
        return "auto"
    share: float = float(min(60, max(10, longest))) ** 0.7
    return share


def _entry(entry: Entry, known: frozenset[str]) -> dict[str, Any]:
    return {
        "text": _text(entry.text),
        "small": _text(entry.small),
        "href": safe_href(entry),
        "anchor": entry.anchor,
        "target": entry.target if entry.target in known else "",
        "heat": entry.heat,
        "formula": _formula(entry.formula),
    }


def _formula(formula: Formula) -> list[dict[str, Any]]:
    """Prose as text; what is mathematics is the program's own and holds no text of a study."""
    return [
        {"math": False, "text": tied(part), "tall": False}
        if isinstance(part, str)
        else {"math": True, "text": typst(part), "tall": tall(part)}
        for part in formula
    ]


def _text(text: str) -> str:
    """Text on one line, whose long words may break."""
    line = " ".join(_code(text).split())
    return tied(re.sub(rf"\S{{{LONG_WORD},}}", lambda found: _breakable(found[0]), line))


def _breakable(word: str) -> str:
    return "\u200b".join(word[at : at + PIECE] for at in range(0, len(word), PIECE))


def _code(text: str) -> str:
    return CONTROLS.sub("\ufffd", text.encode("utf-8", "replace").decode())

"""The report of a study in the formats that are asked for, each under its fixed name in one folder.

Files that an author may have filled in (Markdown, LaTeX, BibTeX) end with the digest of what was written, and are
not replaced once they were changed; no file of another program is replaced either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.base.errors import DataError, UnknownName
from headstart.base.files import write_text, written_aside
from headstart.base.optional import require
from headstart.report.answers import load_answers
from headstart.report.build import build_document
from headstart.report.html import MARK, render
from headstart.report.latex import latex_tables
from headstart.report.markdown import FIGURES, drawings, markdown
from headstart.report.paper import build_paper
from headstart.report.pdf import pdf
from headstart.report.slides import slides
from headstart.report.sources import NUMBERED
from headstart.report.talk import PICTURE_BYTES, build_talk
from headstart.study.records import StudyRecord

HTML, PDF, MARKDOWN, LATEX, SLIDES, ALL = "html", "pdf", "markdown", "latex", "slides", "all"
FORMATS = (HTML, PDF, MARKDOWN, LATEX, SLIDES)
NAMES = {
    HTML: "report.html",
    PDF: "paper.pdf",
    MARKDOWN: "paper.md",
    LATEX: "tables.tex",
    SLIDES: "slides.html",
}
BIBLIOGRAPHY = "references.bib"
SEALS = {".md": ("<!-- ", " -->"), ".tex": ("% ", ""), ".bib": ("% ", "")}
SEAL = "written by Headstart, sha256 "


@dataclass(frozen=True)
class Outputs:
    """The files of a report as bytes.

    Attributes
    ----------
    files : dict of str to bytes
        By their name, `/` between folders.
    cited : tuple of str
        Keys of the papers that the paper cites.
    minutes : float
        About how long the talk takes; 0 where there are no slides.
    """

    files: dict[str, bytes]
    cited: tuple[str, ...]
    minutes: float


def build_outputs(
    record: StudyRecord,
    formats: Sequence[str] = FORMATS,
    *,
    style: str = NUMBERED,
    pictures: bool = True,
) -> Outputs:
    """Every file of a report, in memory.

    Parameters
    ----------
    record : StudyRecord
        Of a study, finished or not.
    formats : sequence of {"html", "pdf", "markdown", "latex", "slides"}
        Or ("all",).
    style : {"numbered", "alphabetic", "author-date"}
        Of the references.
    pictures : bool
        Whether images of the data may stand in HTML and slides.

    Raises
    ------
    UnknownName
        No such format or style.
    MissingPackage
        PDF is asked for, and `typst` is not installed.
    """
    chosen = FORMATS if ALL in formats else tuple(dict.fromkeys(formats))
    for name in chosen:
        if name not in FORMATS:
            raise UnknownName("format", name, (*FORMATS, ALL))
    if PDF in chosen:
        require("typst", extra="pdf", purpose="writing PDF")
    answers = load_answers(record)
    paper = build_paper(record, style=style, answers=answers)
    files: dict[str, bytes] = {}
    minutes = 0.0
    if HTML in chosen:
        page = build_document(record, answers, style=style, picture_bytes=None if pictures else 0)
        files[NAMES[HTML]] = render(page).encode()
    if PDF in chosen:
        files[NAMES[PDF]] = pdf(paper.document)
    if MARKDOWN in chosen:
        files[NAMES[MARKDOWN]] = sealed(markdown(paper.document), ".md")
        files |= {f"{FIGURES}/{name}": svg.encode() for name, svg in drawings(paper.document).items()}
    if LATEX in chosen:
        files[NAMES[LATEX]] = sealed(latex_tables(paper.document), ".tex")
    if SLIDES in chosen:
        talk = build_talk(record, paper, picture_bytes=PICTURE_BYTES if pictures else 0)
        files[NAMES[SLIDES]], minutes = slides(talk).encode(), talk.minutes
    if set(chosen) & {PDF, MARKDOWN, LATEX}:
        files[BIBLIOGRAPHY] = sealed(paper.bibliography.bibtex(), ".bib")
    return Outputs(files, tuple(paper.bibliography.keys), minutes)


def write_outputs(outputs: Outputs, folder: str | Path) -> list[Path]:
    """Write the files, all or none where one may not be replaced.

    Raises
    ------
    DataError
        A file is in the way that Headstart did not write, or that was changed since.
    """
    places = {name: Path(folder) / name for name in outputs.files}
    for place in places.values():
        check_ours(place)
    for name, place in places.items():
        if place.suffix == ".pdf":
            with written_aside(place) as aside:
                aside.write_bytes(outputs.files[name])
        else:
            write_text(place, outputs.files[name].decode())
    return list(places.values())


def sealed(text: str, suffix: str) -> bytes:
    """The text with its digest as a comment on the last line."""
    before, after = SEALS[suffix]
    body = text.rstrip("\n") + "\n"
    return f"{body}\n{before}{SEAL}{hashlib.sha256(body.encode()).hexdigest()}{after}\n".encode()


def check_ours(place: Path) -> None:
    """Refuse to replace what Headstart did not write, or what was changed since.

    Raises
    ------
    DataError
    """
    if not place.exists():
        return
    if not place.is_file():
        raise DataError(f"out: {place} is in the way and is no file; name another folder")
    found = place.read_bytes()
    if place.suffix in SEALS:
        body, _, _ = found.decode("utf-8", "replace").rpartition("\n" + SEALS[place.suffix][0] + SEAL)
        if sealed(body, place.suffix) != found:
            raise DataError(
                f"out: {place} was changed since Headstart wrote it, or is of another program, and is not replaced; "
                "move it or name another folder"
            )
    elif not any(mark in found for mark in (MARK.encode(), b"Headstart", b"<svg")):
        raise DataError(f"out: {place} is no file of Headstart and is not replaced; name another folder")
